module zerotrust/tools/spiffe-csi

go 1.26.0

require github.com/spiffe/spiffe-csi v0.2.6
