"""Property-level differences between two sets of inputs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.standin import evidence, wire

_SIMPLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_POSITION = re.compile(r"\[\d+\]")


def _join(path: str, key: str) -> str:
    if not _SIMPLE.match(key):
        quoted = key.replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{key}" if path else key


def _absent(values: Mapping[str, Any], key: str) -> bool:
    return values.get(key) is None


def _in_mappings(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key in sorted({*old, *new}):
        inner = _join(path, key)
        if _absent(new, key) != _absent(old, key):
            yield inner, "DELETE" if _absent(new, key) else "ADD"
        elif not _absent(new, key):
            yield from changes(old[key], new[key], inner)


def _in_lists(old: list[Any], new: list[Any], path: str) -> Iterator[tuple[str, str]]:
    for i, (before, after) in enumerate(zip(old, new, strict=False)):
        yield from changes(before, after, f"{path}[{i}]")
    for i in range(len(new), len(old)):
        yield f"{path}[{i}]", "DELETE"
    for i in range(len(old), len(new)):
        yield f"{path}[{i}]", "ADD"


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and wire.SIGNATURE not in value


def changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths that differ, each with `ADD`, `DELETE` or `UPDATE`; an unknown new value counts as changed."""
    if _is_mapping(old) and _is_mapping(new):
        yield from _in_mappings(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _in_lists(old, new, path)
    elif old != new:
        yield path, "UPDATE"


def diff_response(token: str, old: Mapping[str, Any], new: Mapping[str, Any], *, own_name: bool) -> pb.DiffResponse:
    """The engine's answer for a resource; `own_name` says that the program chose its physical name.

    A replaced resource whose name the program chose is deleted first: two of that name cannot exist.
    """
    response = pb.DiffResponse(changes=pb.DiffResponse.DIFF_NONE, hasDetailedDiff=True)
    for path, kind in changes(wire.plain(dict(old)), wire.plain(dict(new))):
        replaces = evidence.forces_replacement(token, _POSITION.sub("", path))
        name = f"{kind}_REPLACE" if replaces else kind
        response.detailedDiff[path].CopyFrom(pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(name), inputDiff=True))
        response.changes = pb.DiffResponse.DIFF_SOME
        top = re.split(r"[.\[]", path, maxsplit=1)[0]
        if top not in response.diffs:
            response.diffs.append(top)
        if replaces and top not in response.replaces:
            response.replaces.append(top)
    response.deleteBeforeReplace = bool(response.replaces) and own_name
    return response
