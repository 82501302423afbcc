// The modules whose files the sandbox reads: custom resource definitions and charts.
//
// They are fetched one by one, as written (`go mod download path@version`), never as one build: their dependency sets
// conflict, and a version raised by a neighbour's requirement would no longer be the one the program installs. Hence
// two sums a module in go.sum, and no graph. sandbox/modules.py reads this file.
module zerotrust/tools/crds

go 1.25.0

require (
	github.com/argoproj/argo-cd/v3 v3.4.4
	github.com/aws/karpenter-provider-aws v1.14.1
	github.com/cert-manager/cert-manager v1.21.2
	github.com/cilium/cilium v1.20.2
	github.com/cloudnative-pg/cloudnative-pg v1.30.0
	github.com/cloudnative-pg/plugin-barman-cloud v0.13.0
	github.com/kyverno/kyverno v1.19.1
	github.com/open-policy-agent/gatekeeper/v3 v3.23.1
	github.com/prometheus-operator/prometheus-operator v0.93.1
	github.com/sigstore/policy-controller v0.13.1
	github.com/spiffe/spire-controller-manager v0.6.0
	github.com/vmware-tanzu/velero v1.18.1
	istio.io/api v1.30.3
	sigs.k8s.io/external-dns v0.21.0
	sigs.k8s.io/gateway-api v1.5.1
)
