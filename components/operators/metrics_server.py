"""The metrics server: what horizontal autoscalers read.

Guarantees: the API server verifies its certificate, and it verifies the kubelets' (EKS signs both sides' authorities). Relies
on: cert-manager, nodes, the monitoring kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Component
from components.graph.names import SYSTEM_NAMESPACE
from components.helm import install
from components.pods import pod_resources, spread_over_zones, system_placement


@dataclass(frozen=True, kw_only=True)
class MetricsServerArgs:
    """The metrics server of one cluster."""

    after: Sequence[pulumi.Resource]
    """Gates the release itself: nodes and DNS, cert-manager, the monitoring kinds."""


def chart_values() -> dict[str, Any]:
    """The chart's values. `args` has no --kubelet-insecure-tls: kubelets of EKS have certificates of the cluster's authority."""
    return {
        "replicas": 2,
        "apiService": {"insecureSkipTLSVerify": False},  # the chart's default trusts whoever answers
        "tls": {"type": "cert-manager"},  # `helm` would make a key at each render
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "topologySpreadConstraints": spread_over_zones({"app.kubernetes.io/name": "metrics-server"}),
        "resources": pod_resources("100m", "200Mi", memory_limit="512Mi"),
        "hostNetwork": {"enabled": False},
        "metrics": {"enabled": True},
        "serviceMonitor": {"enabled": True},
        **system_placement(),
    }


class MetricsServer(Component, token="zerotrust:operators:MetricsServer"):
    """The metrics server. Autoscalers work once it is ready; nothing waits for it."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: MetricsServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "metrics-server",
            namespace=SYSTEM_NAMESPACE,
            values=chart_values(),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
