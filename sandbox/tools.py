"""The programs that the tests and the sandbox build: of each the Go package, where it is pinned, and how it is stamped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program: the Go package, the module that carries its version, build tags, and linker flags.

    In the flags, `{version}` is the pinned version and `{number}` the same without its `v`. A tool of our own has
    the package `.` and no module.
    """

    package: str = "."
    module: str | None = None
    folder: str | None = None
    """Of `tools/`, where it is not the tool's own name: programs of one module share its pins and what is compiled."""
    tags: str = ""
    ldflags: str = "-s -w"
    cgo: bool = False
    default: bool = True
    """Whether `make test` needs it; one that takes minutes for one more make of the same server has a target of its own."""


def _kubernetes(program: str) -> Tool:
    """A program of the release whose API server judges the manifests; only that one is needed by every test."""
    return Tool(
        package=f"k8s.io/kubernetes/cmd/{program}",
        module="k8s.io/kubernetes",
        folder="kube-apiserver",
        ldflags="-s -w -X k8s.io/component-base/version.gitVersion={version}",
        default=program == "kube-apiserver",
    )


def _spire(package: str) -> Tool:
    """A program of SPIRE's release."""
    return Tool(
        package=f"github.com/spiffe/spire/{package}",
        module="github.com/spiffe/spire",
        folder="spire",
        ldflags="-s -w -X github.com/spiffe/spire/pkg/common/version.gittag={number}",
        default=False,
    )


def _istio(package: str, *, default: bool = False) -> Tool:
    """A program of the Istio whose analysis judges the manifests, stamped with the module's version, which no release names."""
    return Tool(
        package=f"istio.io/istio/{package}",
        module="istio.io/istio",
        folder="istioctl",
        ldflags="-s -w -X istio.io/istio/pkg/version.buildVersion={version}",
        default=default,
    )


def _cert_manager(component: str) -> Tool:
    """A component of cert-manager: a program of our own on the released library, as the release's commands are in no module."""
    return Tool(
        package=f"./{component}",
        module="github.com/cert-manager/cert-manager",
        folder="cert-manager",
        ldflags="-s -w -X github.com/cert-manager/cert-manager/pkg/util.AppVersion={version}",
        default=False,
    )


TOOLS: Final[Mapping[str, Tool]] = {
    "amtool": Tool(
        package="github.com/prometheus/alertmanager/cmd/amtool",
        module="github.com/prometheus/alertmanager",
        ldflags="-s -w -X github.com/prometheus/common/version.Version={version}",
    ),
    "app": Tool(default=False),
    "argocd-verdicts": Tool(),
    "cert-manager-cainjector": _cert_manager("cainjector"),
    "cert-manager-controller": _cert_manager("controller"),
    "cert-manager-startupapicheck": _cert_manager("startupapicheck"),
    "cert-manager-webhook": _cert_manager("webhook"),
    "cilium-verdicts": Tool(),
    "coredns": Tool(default=False),
    "cnpg": Tool(
        package="github.com/cloudnative-pg/cloudnative-pg/cmd/manager",
        module="github.com/cloudnative-pg/cloudnative-pg",
        ldflags="-s -w -X github.com/cloudnative-pg/cloudnative-pg/pkg/versions.buildVersion={number}",
        default=False,
    ),
    "etcd": Tool(package="go.etcd.io/etcd/server/v3", module="go.etcd.io/etcd/server/v3"),
    "gator": Tool(
        package="github.com/open-policy-agent/gatekeeper/v3/cmd/gator",
        module="github.com/open-policy-agent/gatekeeper/v3",
        ldflags="-s -w -X github.com/open-policy-agent/gatekeeper/v3/pkg/version.Version={version}",
    ),
    "gatekeeper": Tool(
        package="github.com/open-policy-agent/gatekeeper/v3",
        module="github.com/open-policy-agent/gatekeeper/v3",
        folder="gator",
        ldflags="-s -w -X github.com/open-policy-agent/gatekeeper/v3/pkg/version.Version={version}",
        default=False,
    ),
    "jaeger": Tool(
        package="github.com/jaegertracing/jaeger/cmd/jaeger",
        module="github.com/jaegertracing/jaeger",
        ldflags="-s -w -X github.com/jaegertracing/jaeger/internal/version.latestVersion={version}",
    ),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kube-proxy": _kubernetes("kube-proxy"),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kubectl": _kubernetes("kubectl"),
    "kubelet": _kubernetes("kubelet"),
    "helm": Tool(
        package="helm.sh/helm/v3/cmd/helm",
        module="helm.sh/helm/v3",
        ldflags="-s -w -X helm.sh/helm/v3/internal/version.version={version}",
    ),
    "image-service": Tool(default=False),
    "istio-cni": _istio("cni/cmd/istio-cni"),
    "istio-cni-node": _istio("cni/cmd/install-cni"),
    "istioctl": _istio("istioctl/cmd/istioctl", default=True),
    "istio-verdicts": Tool(),
    "kyverno": Tool(
        package="github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno",
        module="github.com/kyverno/kyverno",
        ldflags="-s -w -X github.com/kyverno/kyverno/pkg/version.BuildVersion={version}",
    ),
    "load": Tool(default=False),
    "loki": Tool(
        package="github.com/grafana/loki/v3/cmd/loki",
        module="github.com/grafana/loki/v3",
        ldflags="-s -w -X github.com/grafana/loki/v3/pkg/util/build.Version={version}",
    ),
    "opa-envoy": Tool(
        package="github.com/open-policy-agent/opa-envoy-plugin/cmd/opa-envoy-plugin",
        module="github.com/open-policy-agent/opa-envoy-plugin",
    ),
    "otelcol": Tool(),
    "pilot-agent": _istio("pilot/cmd/pilot-agent"),
    "pilot-discovery": _istio("pilot/cmd/pilot-discovery"),
    "pause": Tool(default=False),
    "prometheus": Tool(
        package="github.com/prometheus/prometheus/cmd/prometheus",
        module="github.com/prometheus/prometheus",
        tags="remove_all_sd,enable_kubernetes_sd",  # as promtool, whose packages it shares
        ldflags="-s -w -X github.com/prometheus/common/version.Version={version}",
    ),
    "promtool": Tool(
        package="github.com/prometheus/prometheus/cmd/promtool",
        module="github.com/prometheus/prometheus",
        tags="remove_all_sd,enable_kubernetes_sd",  # the other clouds' libraries are over half of the build
        ldflags="-s -w -X github.com/prometheus/common/version.Version={version}",
    ),
    "pulumi": Tool(
        package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        module="github.com/pulumi/pulumi/pkg/v3",
        ldflags="-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
    ),
    "registrar": Tool(default=False),
    "responder": Tool(),
    "ratelimit": Tool(
        package="github.com/envoyproxy/ratelimit/src/service_cmd", module="github.com/envoyproxy/ratelimit", default=False
    ),
    "spiffe-csi": Tool(
        package="github.com/spiffe/spiffe-csi/cmd/spiffe-csi-driver",
        module="github.com/spiffe/spiffe-csi",
        ldflags="-s -w -X github.com/spiffe/spiffe-csi/internal/version.gitTag={number}",
        default=False,
    ),
    "spiffe-helper": Tool(
        package="github.com/spiffe/spiffe-helper/cmd/spiffe-helper",
        module="github.com/spiffe/spiffe-helper",
        ldflags="-s -w -X github.com/spiffe/spiffe-helper/pkg/version.gittag={number}",
        default=False,
    ),
    "spire-agent": _spire("cmd/spire-agent"),
    "spire-controller-manager": Tool(
        package="github.com/spiffe/spire-controller-manager/cmd",
        module="github.com/spiffe/spire-controller-manager",
        default=False,
    ),
    "spire-oidc": _spire("support/oidc-discovery-provider"),
    "spire-server": _spire("cmd/spire-server"),
    "valkey-front": Tool(default=False),
    "vault": Tool(package="github.com/hashicorp/vault", module="github.com/hashicorp/vault", default=False),
    "volumes": Tool(default=False),
}
