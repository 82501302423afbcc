"""The programs that the tests and the sandbox build: of each the Go package, where it is pinned, and how it is stamped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program: the Go package, the module that carries its version, build tags, and linker flags with `{version}`.

    A tool of our own has the package `.` and no module.
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


TOOLS: Final[Mapping[str, Tool]] = {
    "amtool": Tool(
        package="github.com/prometheus/alertmanager/cmd/amtool",
        module="github.com/prometheus/alertmanager",
        ldflags="-s -w -X github.com/prometheus/common/version.Version={version}",
    ),
    "argocd-verdicts": Tool(),
    "cilium-verdicts": Tool(),
    "etcd": Tool(package="go.etcd.io/etcd/server/v3", module="go.etcd.io/etcd/server/v3"),
    "gator": Tool(
        package="github.com/open-policy-agent/gatekeeper/v3/cmd/gator",
        module="github.com/open-policy-agent/gatekeeper/v3",
        ldflags="-s -w -X github.com/open-policy-agent/gatekeeper/v3/pkg/version.Version={version}",
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
    "kubelet": _kubernetes("kubelet"),
    "helm": Tool(
        package="helm.sh/helm/v3/cmd/helm",
        module="helm.sh/helm/v3",
        ldflags="-s -w -X helm.sh/helm/v3/internal/version.version={version}",
    ),
    "istioctl": Tool(
        package="istio.io/istio/istioctl/cmd/istioctl",
        module="istio.io/istio",
        ldflags="-s -w -X istio.io/istio/pkg/version.buildVersion={version}",
    ),
    "istio-verdicts": Tool(),
    "kyverno": Tool(
        package="github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno",
        module="github.com/kyverno/kyverno",
        ldflags="-s -w -X github.com/kyverno/kyverno/pkg/version.BuildVersion={version}",
    ),
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
    "vault": Tool(package="github.com/hashicorp/vault", module="github.com/hashicorp/vault", default=False),
}
