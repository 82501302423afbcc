"""What a rule sees and what it says: resources, the stack, findings. Plain data, no engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policy.values import UNKNOWN, look

STACK_TYPE = "pulumi:pulumi:Stack"
# The outputs by which one resource refers to another.
IDENTIFYING = ("id", "arn", "name", "bucket", "restApiId")


@dataclass(frozen=True, kw_only=True)
class Provider:
    """The provider a resource is managed by."""

    type: str
    urn: str
    name: str
    props: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource, decoded. ``property_dependencies`` are URNs by top-level property."""

    type: str
    urn: str
    name: str
    props: Mapping[str, Any]
    parent: str = ""
    provider: Provider | None = None
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, path: str) -> Any:
        """The value at a dotted path, None or UNKNOWN."""
        return look(self.props, path)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A property that breaks the control. ``urn`` stays empty where the rule judges one resource."""

    path: str
    problem: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class CouldNotRun:
    """A property the rule needs and the preview does not know."""

    path: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class NotApplicable:
    """The control says nothing about this resource, and why."""

    reason: str
    urn: str = ""


Finding = Violation | CouldNotRun | NotApplicable
Findings = Iterator[Finding]
Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Related:
    """The resources a property refers to. Not ``complete``: there may be others, or these may not be the ones."""

    resources: tuple[Resource, ...]
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Every resource of a stack, and how they refer to each other."""

    resources: Sequence[Resource]
    exemption_problems: Sequence[str] = ()

    @cached_property
    def _by_type(self) -> dict[str, list[Resource]]:
        index: dict[str, list[Resource]] = {}
        for resource in self.resources:
            index.setdefault(resource.type, []).append(resource)
        return index

    @cached_property
    def _by_urn(self) -> dict[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    @cached_property
    def urn(self) -> str:
        """The stack's own URN, for findings that belong to no single resource."""
        roots = self._by_type.get(STACK_TYPE)
        return roots[0].urn if roots else ""

    def of(self, *types: str) -> list[Resource]:
        """The resources of any of these types, in order of registration."""
        return [resource for kind in types for resource in self._by_type.get(kind, ())]

    def related(self, source: Resource, key: str, types: Sequence[str]) -> Related:
        """What ``source.key`` refers to among resources of ``types``.

        A known reference is compared with what identifies the candidates. One that is unknown in a preview is followed
        through the dependencies the engine recorded for the property. A single reference that depends on several
        candidates stays undecided.
        """
        value = source.get(key)
        members = value if isinstance(value, list) else [value]
        unknown = sum(member is UNKNOWN for member in members)
        depended = [
            self._by_urn[urn]
            for urn in source.property_dependencies.get(key.split(".", maxsplit=1)[0], ())
            if urn in self._by_urn and self._by_urn[urn].type in types
        ]
        # A preview or a recording may know the reference and not yet the candidate's id: the dependency then decides.
        nameless = [one for one in depended if not isinstance(one.props.get("id"), str)]
        known = [one for one in self.of(*types) if any(self._identifies(one, member) for member in members)]
        followed = depended if unknown else [] if known else nameless
        found = {one.urn: one for one in (*known, *followed)}
        resources = tuple(found.values())
        if key.endswith("s"):
            complete = not unknown or (bool(depended) if value is UNKNOWN else len(depended) >= unknown)
        else:
            complete = len(followed) <= 1 and (not unknown or bool(followed))
        return Related(resources=resources, complete=complete)

    @staticmethod
    def _identifies(candidate: Resource, member: Any) -> bool:
        if not isinstance(member, str) or not member:
            return False
        return any(candidate.props.get(key) == member for key in IDENTIFYING)

    def refers(self, source: Resource, key: str, target: Resource) -> bool | None:
        """Whether ``source.key`` refers to ``target``; None where the preview cannot tell."""
        related = self.related(source, key, (target.type,))
        listed = any(one.urn == target.urn for one in related.resources)
        if related.complete:
            return listed
        # A single reference can only be to what it depends on; a list may hold more than could be followed.
        return False if related.resources and not listed and not key.endswith("s") else None
