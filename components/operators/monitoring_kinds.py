"""The Prometheus operator's kinds (ServiceMonitor and the like), without the operator.

They stand before everything else: charts that bring a monitor ask the cluster for its kind, and leave the monitor out, or fail,
where it is missing. No pod belongs to them, so they need no node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Component
from components.graph.names import SYSTEM_NAMESPACE
from components.helm import install


@dataclass(frozen=True, kw_only=True)
class MonitoringKindsArgs:
    """The kinds of one cluster."""

    after: Sequence[pulumi.Resource] = ()
    """Gates the release itself: the API server and who may use it."""


def chart_values() -> dict[str, Any]:
    """Every kind, with the chart's own defaults."""
    return {}


class MonitoringKinds(Component, token="zerotrust:operators:MonitoringKinds"):
    """The kinds. `ready` gates every release that brings a monitor."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: MonitoringKindsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "prometheus-operator-crds",
            namespace=SYSTEM_NAMESPACE,
            values=chart_values(),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
