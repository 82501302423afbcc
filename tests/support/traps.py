"""What a check of a trap is given, and how it is noted with the changes that it must see."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.support.monitor import Recording, Registered
from tests.support.objects import all_of, objects_of, releases_of
from tests.support.order import reached
from tests.support.program import record_stack

HOME = "eu-west-1"
RELEASE = "kubernetes:helm.sh/v3:Release"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"


@dataclasses.dataclass
class World:
    """What a region's cluster is sent, and everything that the program registers."""

    values: dict[str, Any]
    objects: list[Any]
    resources: list[Registered]

    def at(self, release: str, path: str) -> Any:
        found = self.values[release]
        for key in path.split("/"):
            found = found[key]
        return found

    def put(self, release: str, path: str, value: Any) -> None:
        *way, last = path.split("/")
        found = self.values[release]
        for key in way:
            found = found.setdefault(key, {})
        found[last] = value

    def of(self, kind: str) -> list[Any]:
        return all_of(kind, self.objects)

    def inputs(self, type_: str) -> list[dict[str, Any]]:
        return [one.inputs for one in self.resources if one.type == type_]

    def change(self, type_: str, **inputs: Any) -> None:
        index = next(index for index, one in enumerate(self.resources) if one.type == type_)
        one = self.resources[index]
        self.resources[index] = dataclasses.replace(one, inputs={**one.inputs, **inputs})

    def add(self, type_: str) -> None:
        self.resources.append(dataclasses.replace(self.resources[0], type=type_, name="added", inputs={}))


@cache
def world(stack: str, region: str) -> World:
    values = {one["name"]: one["values"] for one in releases_of(stack)[region]}
    return World(values, objects_of(stack)[region], record_stack(stack).resources)


Check = Callable[[World], Any]
Breaks = tuple[Callable[[World], Any], ...]
CHECKS: dict[str, tuple[Check, Breaks]] = {}


def trap(*breaks: Callable[[World], Any]) -> Callable[[Check], Check]:
    """Registers a check, which returns whether the trap is avoided, with changes that it must see."""

    def note(check: Check) -> Check:
        CHECKS[check.__name__] = (check, breaks)
        return check

    return note


def mesh(w: World) -> Any:
    return w.at("istiod", "meshConfig")


def releases_by_cluster(w: World) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in w.resources:
        if one.type == RELEASE:
            found.setdefault(one.provider, {})[one.inputs["name"]] = one.name
    return found


def dependencies(w: World) -> dict[str, set[str]]:
    """Registered name → names of all it waits for."""
    by_urn = {one.urn: one.name for one in w.resources}
    behind = reached(Recording(resources=w.resources))
    return {one.name: {by_urn[urn] for urn in behind[one.urn] if urn in by_urn} for one in w.resources if one.custom}


def loosen(w: World, type_: str, name: str) -> None:
    """Takes a resource's own dependencies away."""
    index = next(index for index, one in enumerate(w.resources) if one.type.startswith(type_) and name in one.name)
    w.resources[index] = dataclasses.replace(w.resources[index], dependencies=frozenset())
