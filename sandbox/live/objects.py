"""Between the engine's values and the server's objects: manifests from inputs, outputs from what the server has."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sandbox.standin import wire

MANAGER_KEY: Final = "__fieldManager"
"""Where the state keeps which manager owns an object's fields, as the real provider does."""
_SERVERS_OWN: Final = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
_HIDDEN: Final = ("data", "stringData")


def manifest(inputs: Mapping[str, Any], without: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What is sent: plain values, without what is null and what `without` names (`<apiVersion>/<kind>` → dotted paths)."""
    made: dict[str, Any] = _dense(wire.plain(dict(inputs)))
    made.pop("status", None)
    made.setdefault("metadata", {})
    for path in without.get(f"{made.get('apiVersion')}/{made.get('kind')}", ()):
        *above, last = path.split(".")
        found: Any = made
        for key in above:
            found = found.get(key, {})
        found.pop(last, None)
    return made


def _dense(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _dense(item) for key, item in value.items() if item is not None}
    return [_dense(item) for item in value] if isinstance(value, list) else value


def has_unknowns(value: Any) -> bool:
    """Whether something in the inputs is not known yet."""
    if wire.is_unknown(value):
        return True
    if isinstance(value, dict):
        return any(has_unknowns(item) for item in value.values())
    return isinstance(value, list) and any(has_unknowns(item) for item in value)


def identifier(live: Mapping[str, Any]) -> str:
    """`namespace/name`, or the name of an object without a namespace."""
    about = live["metadata"]
    return f"{about['namespace']}/{about['name']}" if about.get("namespace") else str(about["name"])


def outputs(live: Mapping[str, Any], inputs: Mapping[str, Any], manager: str) -> dict[str, Any]:
    """The state of an object: what the server has, secret where the input was, and always in a Secret's data."""
    about = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    made = {**live, "metadata": about}
    made = {key: _covered(value, inputs.get(key)) for key, value in made.items()}
    if live.get("kind") == "Secret":
        for key in set(_HIDDEN) & made.keys():
            made[key] = secret(wire.plain(made[key]))
    return {**made, MANAGER_KEY: manager}


def secret(value: Any) -> dict[str, Any]:
    """A value that the engine keeps encrypted."""
    return {wire.SIGNATURE: wire.SECRET, "value": value}


def _covered(value: Any, given: Any) -> Any:
    if wire.signature(given) == wire.SECRET:
        return secret(value)
    if isinstance(value, dict) and isinstance(given, dict):
        return {key: _covered(item, given.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(given, list) and len(value) == len(given):
        return [_covered(item, other) for item, other in zip(value, given, strict=True)]
    return value


def imported(live: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that would make an object that no program made."""
    about = {key: value for key, value in live["metadata"].items() if key not in _SERVERS_OWN}
    made = {key: value for key, value in live.items() if key != "status"} | {"metadata": about}
    if live.get("kind") == "Secret" and "data" in made:
        made["data"] = secret(made["data"])
    return made


def drifted(inputs: Any, live: Any, intended: Any) -> Any:
    """The inputs with what changed behind the engine's back.

    Args:
        inputs: as the program gave them, secrets wrapped.
        live: the same part of what the server has.
        intended: the same part of what the server would have if the inputs were applied again: where it differs from
            `live`, somebody changed something, whatever the server's own spelling of a value is.
    """
    if live == intended:
        return inputs
    if wire.signature(inputs) == wire.SECRET:
        return secret(drifted(inputs["value"], live, intended))
    if isinstance(inputs, dict) and isinstance(live, dict) and isinstance(intended, dict):
        kept = {key: drifted(value, live.get(key), intended.get(key)) for key, value in inputs.items()}
        return {key: value for key, value in kept.items() if value is not None}
    lists = isinstance(inputs, list) and isinstance(live, list) and isinstance(intended, list)
    if lists and len(inputs) == len(live) == len(intended):
        return [drifted(*each) for each in zip(inputs, live, intended, strict=True)]
    return live


def decoded(one: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret as its writer sees it: with `stringData` beside `data`."""
    texts: dict[str, str] = {}
    for key, value in (one.get("data") or {}).items():
        try:
            texts[key] = base64.b64decode(value).decode()
        except ValueError:
            continue
    return {**one, "stringData": texts} if one.get("kind") == "Secret" else dict(one)
