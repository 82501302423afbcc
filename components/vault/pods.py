"""What the pods of Vault's namespace have in common: Pod Security Standard `restricted`, a read-only root, one pod per zone.

Kubernetes, "Pod Security Standards", profile restricted.
"""

from collections.abc import Mapping
from typing import Any, Final

USER: Final = 100
"""The image's own user, by number: the kubelet can prove a number not to be root."""
SECRET_MODE: Final = 0o440
"""The group reads, nobody writes: the pod's fsGroup owns mounted secrets."""


def pod_security(user: int = USER) -> dict[str, Any]:
    """The pod's security context."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """A container's security context; what the pod says, again, so that an edit of the pod alone loosens nothing."""
    return {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def spread(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """`topologySpreadConstraints`: evenly over zones, which is required; a zone that is down does not count."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": dict(labels)},
            "nodeTaintsPolicy": "Honor",
        }
    ]
