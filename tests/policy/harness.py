"""Applies edits to recorded resources and replays them through a running pack; what a whole-program test needs too."""

import copy
import dataclasses
import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policy.client import Line, Pack, Recorded
from policy.engine import COULD_NOT_RUN

STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Delete:
    """Stands for the absence of a value."""


DELETE: Final = Delete()


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change to recorded resources of a type.

    ``match`` is a pattern for names or a predicate; the first resource that has it is edited, or ``every`` one. ``path``
    is dotted, with ``[n]`` for list members; empty, the resource itself is removed (``DELETE``) or its properties are
    replaced. It may be asked of the resource. ``add`` makes it a new resource of that type instead.
    """

    type: str
    path: str | Callable[[Recorded], str] = ""
    value: Any = DELETE
    match: str | Callable[[Recorded], bool] = "*"
    every: bool = False
    add: bool = False


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """Edits that one control must catch. ``also`` names other controls that may rightly object as well."""

    control: str
    says: str
    edits: tuple[Edit, ...]
    also: frozenset[str] = field(default_factory=frozenset)


class NoTargetError(LookupError):
    """No recorded resource fits an edit: the mutation proves nothing there."""


def put(props: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of ``props`` with the value set, or deleted, at a path; missing objects on the way are made."""
    result = copy.deepcopy(dict(props))
    steps: list[Any] = [int(index) if index else key for key, index in STEP.findall(path)]
    at: Any = result
    for step in steps[:-1]:
        at = at.setdefault(step, {}) if isinstance(at, dict) else at[step]
    if value is DELETE:
        at.pop(steps[-1], None) if isinstance(at, dict) else at.pop(steps[-1])
    else:
        at[steps[-1]] = value
    return result


def apply(resources: Sequence[Recorded], edits: Sequence[Edit]) -> list[Recorded]:
    """The resources after all edits.

    Raises:
        NoTargetError: where an edit meets nothing.
    """
    edited = list(resources)
    for edit in edits:
        edited = _added(edited, edit) if edit.add else _edited(edited, edit)
    return edited


def _fits(resource: Recorded, edit: Edit) -> bool:
    if resource.type != edit.type:
        return False
    return edit.match(resource) if callable(edit.match) else fnmatch.fnmatchcase(resource.name, edit.match)


def _edited(resources: list[Recorded], edit: Edit) -> list[Recorded]:
    result, hits = [], 0
    for resource in resources:
        if not _fits(resource, edit) or (hits and not edit.every):
            result.append(resource)
            continue
        hits += 1
        path = edit.path(resource) if callable(edit.path) else edit.path
        if path:
            result.append(_with(resource, path, edit.value))
        elif edit.value is not DELETE:
            result.append(dataclasses.replace(resource, props=edit.value))
    if not hits:
        msg = f"no {edit.type} fits {edit.match!r}"
        raise NoTargetError(msg)
    return result


def _with(resource: Recorded, path: str, value: Any) -> Recorded:
    """A value written as a literal depends on nothing any more; one that is unknown keeps its dependencies."""
    outputs = None if resource.outputs is None else put(resource.outputs, path, value)
    return dataclasses.replace(resource, props=put(resource.props, path, value), outputs=outputs)


def _added(resources: list[Recorded], edit: Edit) -> list[Recorded]:
    model = next((one for one in resources if one.provider and one.type.startswith("aws:")), None)
    if model is None:
        msg = "there is no resource whose provider a new one could take"
        raise NoTargetError(msg)
    prefix = "::".join(model.urn.split("::")[:2])
    props = edit.value if isinstance(edit.value, dict) else {}
    made = Recorded(type=edit.type, urn=f"{prefix}::{edit.type}::planted", props=props, provider=model.provider)
    return [*resources, made]


def unnamed(line: Line) -> bool:
    """Whether a line reports something that could not run."""
    return line.message.startswith(COULD_NOT_RUN)


def control_of(line: Line, controls: Mapping[str, str]) -> str:
    """The control id of a line, by its policy."""
    return controls[line.policy]


def survivors(pack: Pack, resources: Sequence[Recorded], mutations: Sequence[Mutation]) -> list[str]:
    """A sentence for each mutation that its control did not catch, or that none of the resources fits."""
    failures = []
    for mutation in mutations:
        label = f"{mutation.control} ({mutation.says})"
        try:
            edited = apply(resources, mutation.edits)
        except NoTargetError as error:
            failures.append(f"{label}: {error}")
            continue
        lines = [line for line in changed(pack, resources, edited) if not unnamed(line)]
        if not any(f"{mutation.control}: " in line.message and mutation.says in line.message for line in lines):
            failures.append(f"{label}: not caught; instead {[line.message for line in lines]}")
    return failures


def changed(pack: Pack, before: Sequence[Recorded], after: Sequence[Recorded]) -> list[Line]:
    """What the pack says of the resources that differ, and of the stack."""
    known = {id(one) for one in before}
    lines = [line for one in after if id(one) not in known for line in pack.analyze(one)]
    return lines + pack.analyze_stack(after)


def moved(source: Recorded, target: Recorded) -> Recorded:
    """``target`` with the provider of ``source``."""
    return dataclasses.replace(target, provider=source.provider)


def with_provider(resource: Recorded, changes: Mapping[str, Any] | None) -> Recorded:
    """A resource with its provider changed, or without one."""
    if changes is None or resource.provider is None:
        return dataclasses.replace(resource, provider=None)
    return dataclasses.replace(resource, provider=dataclasses.replace(resource.provider, **changes))
