"""Who decides about a service's requests, as admission expects it in the service's pod.

What the decision layer declares arrives as it is sent, a container and its volumes, and is taken apart into what a constraint
compares: one layer does not know how another makes its containers.

Constraints stand before the Deployments. When the image or the command line changes, pods that stand stay and are reported, and
one that is lost in between is not made again until its Deployment says the new one. Edges and rules change without that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

COMPARED: Final = frozenset({"name", "image", "args", "env", "volumeMounts"})
"""Fields of the container that a pod must have exactly so."""
UNCOMPARED: Final = frozenset(
    {"ports", "resources", "securityContext", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle"}
)
"""Fields that change no decision: the injector rewrites probes, before its end it may but wait, other controls judge the rest."""


@dataclass(frozen=True, kw_only=True)
class DecisionPoint:
    """What decides in the pods of one service."""

    account: str
    """The service's account."""
    container: Mapping[str, Any]
    """As an entry of a pod's `containers`."""
    volumes: Sequence[Mapping[str, Any]]
    """What it mounts, each a ConfigMap whole and not optional, or an empty directory."""


def decision_parameters(points: Sequence[DecisionPoint]) -> dict[str, Any]:
    """The control's parameters: the container's name and image, and each service's own, by account.

    Raises:
        ValueError: for a container or a volume that says what the control would not compare, for mounts of other volumes, and
            for services that differ in the container's name or image.
    """
    heads = {(str(one.container["name"]), str(one.container["image"])) for one in points}
    if len(heads) > 1:
        msg = f"decision-point: services of one tenant ask several containers: {sorted(heads)}"
        raise ValueError(msg)
    name, image = next(iter(heads), ("", ""))
    return {
        "name": name,
        "image": image,
        "services": [_service(one) for one in sorted(points, key=lambda each: each.account)],
    }


def _service(point: DecisionPoint) -> dict[str, Any]:
    container = point.container
    mounts = [{"readOnly": False, **one} for one in container["volumeMounts"]]
    config_maps = [{"volume": one["name"], "name": one["configMap"]["name"]} for one in point.volumes if "configMap" in one]
    empty = [one["name"] for one in point.volumes if "emptyDir" in one]
    uncompared = [
        *(set(container) - COMPARED - UNCOMPARED),
        *(f"env {one['name']}" for one in container["env"] if set(one) != {"name", "value"}),
        *(f"mount {one['name']}" for one in mounts if set(one) != {"name", "mountPath", "readOnly"}),
        *(f"volume {one['name']}" for one in point.volumes if not _whole(one)),
        *({str(one["name"]) for one in mounts} ^ {str(one["name"]) for one in point.volumes}),
    ]
    if uncompared:
        msg = f"decision-point: {point.account}: cannot be compared: {', '.join(sorted(uncompared))}"
        raise ValueError(msg)
    return {
        "account": point.account,
        "arguments": list(container["args"]),
        "variables": [dict(one) for one in container["env"]],
        "mounts": mounts,
        "configMaps": config_maps,
        "empty": empty,
    }


def _whole(volume: Mapping[str, Any]) -> bool:
    if set(volume) == {"name", "configMap"}:
        source = volume["configMap"]
        return set(source) <= {"name", "optional"} and not source.get("optional", False)
    return set(volume) == {"name", "emptyDir"}
