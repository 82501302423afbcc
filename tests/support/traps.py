"""What a check of a trap is given, and how it is noted with the changes that it must see."""

import dataclasses
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

from components.graph.names import RESPONDER
from components.helm import pins
from tests.support.monitor import Recording, Registered
from tests.support.objects import all_of, objects_of, releases_of
from tests.support.order import reached
from tests.support.program import record_stack
from tests.support.recordings import no_collections

HOME = "eu-west-1"
RELEASE = "kubernetes:helm.sh/v3:Release"
DELIVERS = ("gitops.acting", "gitops.argocd", "gitops.following", "gitops.reading", "gitops.root")
"""Roles and bindings of GitOps in a tenant's namespace."""
DELIVERED = {
    "applications",
    "configmaps",
    "cronjobs",
    "deployments",
    "events",
    "jobs",
    "pods",
    "replicasets",
    "serviceaccounts",
}
"""All they may be about: no kind among them that a load balancer follows."""
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"


@dataclasses.dataclass
class World:
    """What a region's cluster is sent, and everything that the program registers."""

    values: dict[str, Any]
    objects: list[Any]
    resources: list[Registered]
    region: str
    charts: dict[str, str]
    """Release → the platform's name for its chart, in the pin file."""

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
    releases = releases_of(stack)[region]
    pinned = {(pin.chart, pin.version): name for name, pin in pins().items()}
    return World(
        values={one["name"]: one["values"] for one in releases},
        objects=objects_of(stack)[region],
        resources=record_stack(stack).resources,
        region=region,
        charts={one["name"]: pinned[one["chart"], one["version"]] for one in releases},
    )


@cache
def _packed(stack: str, region: str) -> bytes:
    one = world(stack, region)
    return pickle.dumps((one.values, one.objects), protocol=5)


def another(stack: str, region: str) -> World:
    """A world to be changed: values and objects at any depth, resources and their inputs' own keys."""
    with no_collections():
        values, objects = pickle.loads(_packed(stack, region))  # noqa: S301 - packed above
    same = world(stack, region)
    resources = [dataclasses.replace(one, inputs=dict(one.inputs)) for one in same.resources]
    return dataclasses.replace(same, values=values, objects=objects, resources=resources)


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


def holders(w: World) -> set[tuple[str, str]]:
    """Namespace and account of every pod identity of the region."""
    associations = [one for one in w.resources if one.type == ASSOCIATION and one.name.startswith(f"{w.region}-")]
    return {(one.inputs["namespace"], one.inputs["serviceAccount"]) for one in associations}


def databases(w: World) -> dict[tuple[str, str], Any]:
    """Every database of the region by namespace and account: the operator names the account like it."""
    return {(one["metadata"]["namespace"], one["metadata"]["name"]): one["spec"] for one in w.of("Cluster")}


def told(value: Any, key: str) -> set[Any]:
    """What is said under a key, at any depth."""
    if isinstance(value, list):
        return set().union(*(told(one, key) for one in value))
    if not isinstance(value, dict):
        return set()
    own = {value[key]} if isinstance(value.get(key), str) else set()
    return own.union(*(told(one, key) for one in value.values()))


def give_a_role(w: World, namespace: str, account: str) -> None:
    index = next(i for i, one in enumerate(w.resources) if one.type == ASSOCIATION and one.name.startswith(f"{w.region}-"))
    one = w.resources[index]
    w.resources[index] = dataclasses.replace(one, inputs={**one.inputs, "namespace": namespace, "serviceAccount": account})


def only_delivers(one: dict[str, Any]) -> bool:
    """Whether it is a role or binding of GitOps about what a repository may deliver, or the responder's about pods and risks."""
    about = {name for rule in one.get("rules", ()) for name in rule["resources"]}
    allowed = DELIVERED if one["metadata"]["name"] in DELIVERS else {"configmaps", "pods"}
    return one["kind"] != "ClusterRoleBinding" and one["metadata"]["name"] in (*DELIVERS, RESPONDER) and about <= allowed
