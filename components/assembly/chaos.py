"""Game days put together: Chaos Mesh and the book of what may be tried. Nothing at all unless `chaos.enabled`."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.assembly.place import ClusterPlace
from components.base import Component
from components.chaos.chart import ChaosMesh, ChaosMeshArgs
from components.chaos.mesh import mesh_objects
from components.chaos.workflow import region_objects
from components.manifests import ChaosManifests, ManifestsArgs


@dataclass(frozen=True, kw_only=True)
class ChaosArgs:
    """Game days in one cluster."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """The namespaces' network rules, cert-manager, the mesh."""


class Chaos(Component, token="zerotrust:chaos:Chaos"):
    """Chaos Mesh in one cluster."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ChaosArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.ready = ()
        settings = args.place.graph.settings
        if settings.chaos.enabled:
            rules = ChaosManifests(
                f"{name}-rules", ManifestsArgs(objects=mesh_objects(args.place.graph), after=args.after), opts=self.child()
            )
            mesh = ChaosMesh(
                f"{name}-mesh",
                ChaosMeshArgs(images=settings.images.chaos, after=[*args.after, *rules.ready]),
                opts=self.child(),
            )
            self.ready = ChaosManifests(
                f"{name}-book",
                ManifestsArgs(objects=region_objects(args.place.graph, args.place.region), after=mesh.ready),
                opts=self.child(),
            ).ready
        self.register_outputs({})
