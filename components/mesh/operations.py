"""Methods and paths of the settings in the spelling of Istio's rules: the one translation that every rule here is made with.

An exact path stays exact, `{name}` becomes the template's one segment `{*}`, a closing `/*` a prefix. Nothing else is ever
written: a path with a star in its middle would be compared literally, and an empty list of paths or methods would admit all.
"""

from collections.abc import Iterable
from typing import Any

from components.mesh.kinds import unique
from components.settings.access import OperationSettings


def paths(path: str, prefix: str = "") -> tuple[str, ...]:
    """A path of the settings below a prefix, as `operation.paths` compares it with the normalised path.

    `/accounts/{id}` gives `/accounts/{*}`; `/files/*` gives `/files/*`; `/a/{id}/*` gives `/a/{*}/{**}`, because a template
    knows no closing star. The root below a prefix is the prefix with and without its slash: both are rewritten to `/`.
    """
    if path == "/":
        return (prefix, f"{prefix}/") if prefix else ("/",)
    segments = ["{*}" if part.startswith("{") else part for part in path.split("/")]
    if "{*}" in segments and segments[-1] == "*":
        segments[-1] = "{**}"
    return (prefix + "/".join(segments),)


def rule_operations(operations: Iterable[OperationSettings], prefix: str = "", port: int | None = None) -> list[dict[str, Any]]:
    """The `to` of a rule: an entry per operation, each with methods and paths, and at a service with its one port.

    Without the port what an edge declares would pass on every port that the pod opens.

    Raises:
        ValueError: no operation, or one without methods or paths; Istio would read any of these as everything.
    """
    found = [
        {
            "operation": {
                "methods": unique(operation.methods),
                "paths": unique(spelled for path in operation.paths for spelled in paths(path, prefix)),
                **({} if port is None else {"ports": [str(port)]}),
            }
        }
        for operation in operations
    ]
    if not found or not all(entry["operation"]["methods"] and entry["operation"]["paths"] for entry in found):
        msg = "an operation without methods or paths would be compiled to everything; name both"
        raise ValueError(msg)
    return sorted(found, key=lambda entry: (entry["operation"]["paths"], entry["operation"]["methods"]))
