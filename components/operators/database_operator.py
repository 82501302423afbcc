"""CloudNativePG's operator: the tenants' PostgreSQL clusters, and the platform's own.

Guarantees: it checks every Cluster before it is stored (webhooks that fail closed); its rights are not given on to the view and
edit roles. Relies on: namespace cnpg-system, nodes, the monitoring kinds. It reaches instances on 8000 and 5432.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import DATABASE_OPERATOR_NAMESPACE
from components.helm import database_operator_values, install
from components.pods import pod_resources, spread_over_zones, system_placement

REPLICAS: Final = 2


@dataclass(frozen=True, kw_only=True)
class DatabaseOperatorArgs:
    """The database operator of one cluster."""

    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace, nodes and DNS, the monitoring kinds."""
    replicas: int = REPLICAS
    """Pods, of which one leads."""


def chart_values(replicas: int = REPLICAS) -> dict[str, Any]:
    """The chart's values."""
    return {
        "replicaCount": replicas,
        "image": database_operator_values(),
        "crds": {"create": True},
        "config": {"clusterWide": True},  # every tenant's namespace; policies say whom it may reach
        "webhook": {"mutating": {"failurePolicy": "Fail"}, "validating": {"failurePolicy": "Fail"}},
        "rbac": {"create": True, "aggregateClusterRoles": False},  # who may edit a namespace may not make databases in it
        "resources": pod_resources("100m", "256Mi", memory_limit="512Mi"),
        "priorityClassName": "system-cluster-critical",
        "topologySpreadConstraints": spread_over_zones({"app.kubernetes.io/name": "cloudnative-pg"}),
        "monitoring": {"podMonitorEnabled": True},
        **system_placement(),
    }


class DatabaseOperator(Component, token="zerotrust:operators:DatabaseOperator"):
    """The operator. `ready` gates every Cluster."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: DatabaseOperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "cloudnative-pg",
            namespace=DATABASE_OPERATOR_NAMESPACE,
            values=chart_values(args.replicas),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
