"""Detection at run time in one cluster: certificates, the responder where there is one, the side-kick, and then Falco."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.assembly.place import ClusterPlace
from components.base import Component
from components.manifests import ManifestsArgs, RuntimeManifests
from components.runtime.certificates import authority, certificates
from components.runtime.falco import Falco, FalcoArgs
from components.runtime.responder import Responder, ResponderArgs
from components.runtime.sidekick import SecretDelivery, Sidekick, SidekickArgs


@dataclass(frozen=True, kw_only=True)
class RuntimeArgs:
    """Detection in one cluster."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """The network's rules, cert-manager with the cluster issuer `runtime-events` approved, the monitoring kinds, the mesh."""
    delivery: SecretDelivery | None = None
    """What brings the secrets of Slack and PagerDuty; needed with either."""


class Runtime(Component, token="zerotrust:runtime:Runtime"):
    """Falco, its side-kick, and the responder where the settings have one."""

    ready: tuple[pulumi.Resource, ...]
    """All of them."""

    def __init__(self, name: str, args: RuntimeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        trust = RuntimeManifests(
            f"{name}-certificates",
            ManifestsArgs(objects=(*authority(), *certificates()), after=args.after),
            opts=self.child(),
        )
        responding: tuple[pulumi.Resource, ...] = ()
        if place.graph.settings.runtime.responder is not None:
            responding = Responder(
                f"{name}-responder",
                ResponderArgs(graph=place.graph, region=place.region, after=args.after),
                opts=self.child(),
            ).ready
        sidekick = Sidekick(
            f"{name}-sidekick",
            SidekickArgs(graph=place.graph, delivery=args.delivery, after=[*args.after, *trust.ready, *responding]),
            opts=self.child(),
        )
        falco = Falco(
            f"{name}-falco",
            FalcoArgs(graph=place.graph, region=place.region, after=[*args.after, *sidekick.ready]),
            opts=self.child(),
        )
        self.ready = (*responding, *sidekick.ready, *falco.ready)
        self.register_outputs({})
