module zerotrust/tools/spire

go 1.26.4

require github.com/spiffe/spire v1.15.2

replace github.com/Keyfactor/ejbca-go-client-sdk => ./ejbca
