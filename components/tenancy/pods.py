"""What every pod of the platform's own making has in common: Pod Security Standard `restricted`, and a read-only root.

Kubernetes, "Pod Security Standards", profile restricted; the documents' hardened pod. Ids of users and groups are numbers:
the kubelet can prove a number not to be root, a name in an image it cannot.
"""

from collections.abc import Mapping
from typing import Any, Final

ZONE: Final = "topology.kubernetes.io/zone"
HOST: Final = "kubernetes.io/hostname"
CPU_BURST: Final = 4
"""A container's CPU limit over its request: room to start, not room to starve another tenant's pods on the node."""
SECRET_MODE: Final = 0o440
"""The group reads, nobody writes: the pod's fsGroup owns mounted secrets."""


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


def container_security() -> dict[str, Any]:
    """A container's security context; seccomp and runAsNonRoot again, so that a pod-level edit alone loosens nothing."""
    return {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def spread(labels: Mapping[str, str], *, by_revision: bool) -> list[dict[str, Any]]:
    """Evenly over zones, which is required, and over hosts, which is wished for.

    A zone that is down has tainted nodes and is not counted: its pods may start elsewhere. `by_revision` counts the pods of
    one Deployment revision only, or a rolling update would balance new pods against old ones.
    """
    common: dict[str, Any] = {"maxSkew": 1, "labelSelector": {"matchLabels": dict(labels)}, "nodeTaintsPolicy": "Honor"}
    if by_revision:
        common["matchLabelKeys"] = ["pod-template-hash"]
    return [
        {**common, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"},
        {**common, "topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway"},
    ]
