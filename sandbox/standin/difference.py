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


def changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths that differ, each with `ADD`, `DELETE` or `UPDATE`; an unknown new value counts as changed."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and wire.SIGNATURE not in old and wire.SIGNATURE not in new:
        for key in sorted({*old, *new}):
            inner = _join(path, key)
            if key not in new or new[key] is None:
                if old.get(key) is not None:
                    yield inner, "DELETE"
            elif key not in old or old[key] is None:
                yield inner, "ADD"
            else:
                yield from changes(old[key], new[key], inner)
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            if i >= len(new):
                yield f"{path}[{i}]", "DELETE"
            elif i >= len(old):
                yield f"{path}[{i}]", "ADD"
            else:
                yield from changes(old[i], new[i], f"{path}[{i}]")
    else:
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
