module zerotrust/tools/spiffe-helper

go 1.26.0

require github.com/spiffe/spiffe-helper v0.11.0
