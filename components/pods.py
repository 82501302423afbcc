"""What the pods of the platform's own making have in common: hardening, placement, spread, resources.

Hardening is Kubernetes' "Pod Security Standards", profile restricted, and a read-only root. Ids of users and groups are
numbers: the kubelet can prove a number not to be root, a name in an image it cannot.
"""

from collections.abc import Mapping
from typing import Any, Final

ZONE: Final = "topology.kubernetes.io/zone"
HOST: Final = "kubernetes.io/hostname"
CPU_BURST: Final = 4
"""A tenant's container's CPU limit over its request: room to start, not room to starve another tenant's pods on the node."""
SECRET_MODE: Final = 0o440
"""The group reads, nobody writes: the pod's fsGroup owns mounted secrets."""
SYSTEM_NODES: Final[Mapping[str, str]] = {"zerotrust.role": "system"}
"""Node label of what carries the platform's own pods (the role of a node group in the settings)."""
SYSTEM_TOLERATION: Final[Mapping[str, str]] = {
    "key": "CriticalAddonsOnly",
    "operator": "Equal",
    "value": "true",
    "effect": "NoSchedule",
}
"""Lets a pod onto those nodes; tenants' pods have none."""


def pod_security(user: int) -> dict[str, Any]:
    """The pod's security context: a numeric user and group other than root, the runtime's seccomp profile."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(user: int | None = None) -> dict[str, Any]:
    """A container's security context; what the pod says, again, so that an edit of the pod alone loosens nothing.

    Args:
        user: whose process it is, where that is not the pod's user.
    """
    own = {} if user is None else {"runAsUser": user, "runAsGroup": user}
    return {
        **own,
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def system_placement() -> dict[str, Any]:
    """`nodeSelector` and `tolerations` of a platform Deployment, as charts and pod templates both spell them."""
    return {"nodeSelector": dict(SYSTEM_NODES), "tolerations": [dict(SYSTEM_TOLERATION)]}


def spread_over_zones(labels: Mapping[str, str], *, by_revision: bool = True) -> list[dict[str, Any]]:
    """`topologySpreadConstraints`: evenly over zones, which is required, and over nodes, which is wished for.

    A zone that is down has tainted nodes and is not counted: its pods may start elsewhere.

    Args:
        labels: of the pods.
        by_revision: whether the pods of one Deployment revision alone are counted, or a rolling update would balance new pods
            against old ones; a StatefulSet has no such label.
    """
    common: dict[str, Any] = {
        "maxSkew": 1,
        "labelSelector": {"matchLabels": dict(sorted(labels.items()))},
        "nodeTaintsPolicy": "Honor",
    }
    if by_revision:
        common["matchLabelKeys"] = ["pod-template-hash"]
    return [
        {**common, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"},
        {**common, "topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway"},
    ]


def pod_resources(cpu: str, memory: str, *, memory_limit: str | None = None) -> dict[str, Any]:
    """Requests, and a limit on memory alone: a limit on CPU would slow the one process everything else waits for."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory_limit or memory}}
