module zerotrust/tools/cnpg

go 1.26.4

// What stands here beside the operator is what tools/cert-manager selects: the two share what is compiled.
require (
	github.com/cloudnative-pg/cloudnative-pg v1.30.0
	golang.org/x/net v0.58.0
	golang.org/x/sync v0.22.0
	golang.org/x/sys v0.47.0
	golang.org/x/term v0.45.0
	golang.org/x/text v0.41.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260610212136-7ab31c22f7ad
	google.golang.org/grpc v1.83.2
)
