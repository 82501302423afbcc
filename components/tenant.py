"""One tenant in one region: everything the access graph says of it, compiled into every layer and registered layer by layer.

The order is what makes it safe to create and to change: first the namespace, then identity, decision, network and mesh rules
in parallel, and only then what they hold in check, the stores and the workloads. A tenant's objects are its own: adding one
registers nothing below another's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import pulumi

from components.base import Component
from components.cni.objects import tenant_objects as network_objects
from components.decision.container import opa_container, opa_volumes
from components.decision.objects import tenant_objects as decision_objects
from components.decision.objects import written_by_the_responder
from components.decision.rights import responder_rights
from components.graph.model import Graph
from components.identity.registration import tenant_objects as identity_objects
from components.manifests import (
    CniManifests,
    DecisionManifests,
    IdentityManifests,
    Manifest,
    Manifests,
    ManifestsArgs,
    MeshManifests,
    TenancyManifests,
)
from components.mesh.objects import tenant_objects as mesh_objects
from components.tenancy.namespace import namespace_objects
from components.tenancy.stores import store_monitors, store_objects
from components.tenancy.workloads import workload_monitor, workload_objects
from components.vault.delivery import delivery, delivery_objects

Layer = Literal["namespace", "identity", "decision", "risk", "network", "mesh", "stores", "workloads", "monitors"]
BEFORE: Final[Mapping[Layer, tuple[Layer, ...]]] = {
    "namespace": (),
    "identity": ("namespace",),
    "decision": ("namespace",),
    "risk": ("namespace",),
    "network": ("namespace",),
    "mesh": ("namespace",),
    "stores": ("namespace", "network"),
    "workloads": ("namespace", "identity", "decision", "risk", "network", "mesh", "stores"),
    "monitors": ("namespace",),
}
"""Every layer in the order of registration, and what stands before it."""
REGISTERED_AS: Final[Mapping[Layer, type[Manifests]]] = {
    "namespace": TenancyManifests,
    "identity": IdentityManifests,
    "decision": DecisionManifests,
    "risk": DecisionManifests,
    "network": CniManifests,
    "mesh": MeshManifests,
    "stores": TenancyManifests,
    "workloads": TenancyManifests,
    "monitors": TenancyManifests,
}
"""The class of each layer's objects: what a table of resources counts them under."""
IGNORED: Final[Mapping[Layer, Mapping[str, Sequence[str]]]] = {"risk": {"ConfigMap": ("data",)}}
"""The risk of a workload is written by the responder; the program creates it empty and never resets it."""


def _decision(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    return tuple(each for each in decision_objects(graph, region, tenant) if not written_by_the_responder(each))


def _risk(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    written = (each for each in decision_objects(graph, region, tenant) if written_by_the_responder(each))
    return (*written, *responder_rights(graph, tenant))


def _workloads(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    image = graph.settings.images.opa
    deployed = (
        each
        for workload in graph.workloads_of(tenant, region)
        for fetched in [delivery(graph, region, workload)]
        for each in workload_objects(
            graph,
            region,
            workload,
            sidecars=[opa_container(image, workload)],
            helpers=fetched.containers,
            volumes=[*opa_volumes(workload), *fetched.volumes],
            mounts=fetched.mounts,
            variables=fetched.variables,
        )
    )
    return (*delivery_objects(graph, region, tenant), *deployed)


def _monitors(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    workloads = (workload_monitor(graph, workload) for workload in graph.workloads_of(tenant, region))
    return (*store_monitors(graph, tenant), *workloads)


COMPILERS: Final[Mapping[Layer, Callable[[Graph, str, str], tuple[Manifest, ...]]]] = {
    "namespace": namespace_objects,
    "identity": identity_objects,
    "decision": _decision,
    "risk": _risk,
    "network": network_objects,
    "mesh": mesh_objects,
    "stores": store_objects,
    "workloads": _workloads,
    "monitors": _monitors,
}


def tenant_layers(graph: Graph, region: str, tenant: str) -> dict[Layer, tuple[Manifest, ...]]:
    """Every object that exists in a region because of one tenant, by layer. Raises KeyError for an unknown tenant."""
    return {layer: compiler(graph, region, tenant) for layer, compiler in COMPILERS.items()}


@dataclass(frozen=True, kw_only=True)
class TenantArgs:
    """Which tenant, where, and what each layer waits for."""

    graph: Graph
    region: str
    tenant: str
    after: Mapping[Layer, Sequence[pulumi.Resource]] = field(default_factory=dict)
    """Gates each object of a layer: the release that brings its kinds, the rules that must stand first."""
    without: frozenset[Layer] = frozenset()
    """Layers whose kinds the cluster does not have yet; only `monitors` may be among them, all others enforce something."""

    def __post_init__(self) -> None:
        """Raises ValueError for a layer left out that must not be."""
        if enforcing := sorted(self.without - {"monitors"}):
            msg = f"{self.tenant} in {self.region}: no tenant stands without its {', '.join(enforcing)}"
            raise ValueError(msg)


def nearest(layer: Layer, standing: Mapping[Layer, Manifests]) -> tuple[Layer, ...]:
    """The layers before one that have objects, without those that another of them waits for already."""
    present = [before for before in BEFORE[layer] if before in standing and standing[before].ready]
    return tuple(before for before in present if not any(before in BEFORE[other] for other in present))


class Tenant(Component, token="zerotrust:tenancy:Tenant"):
    """One tenant in one region. The cluster's provider is given by the caller and reaches every child."""

    layers: Mapping[Layer, Manifests]
    ready: tuple[pulumi.Resource, ...]
    """What to wait for: it stands for every object of every layer."""

    def __init__(self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        layers: dict[Layer, Manifests] = {}
        for layer, objects in tenant_layers(args.graph, args.region, args.tenant).items():
            if layer in args.without:
                continue
            layers[layer] = REGISTERED_AS[layer](
                f"{name}-{layer}",
                ManifestsArgs(
                    objects=objects,
                    after=[
                        *args.after.get(layer, ()),
                        *(gate for before in nearest(layer, layers) for gate in layers[before].ready),
                    ],
                    ignore_changes=IGNORED.get(layer),
                ),
                opts=self.child(),
            )
        self.layers = layers
        self.ready = tuple(resource for each in layers.values() for resource in each.ready)
        self.register_outputs({})
