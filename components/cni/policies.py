"""Network rules before they become objects: whose pods, which peer, which ports. One form, two kinds of object.

`policies_cilium` and `baseline` render the same `Policy`, so a flow that one kind allows the other cannot forget. Everything
here is a list of allowances: a policy with no flow in a direction says nothing about it, and the default deny of both kinds
holds. There is no form for "anybody": every peer names somebody.

What identity means here. Cilium decides by a pod's labels, the namespace the API server put it in and its service account;
the last two nobody inside a namespace can choose freely for an existing account's privileges, a label anybody can who may
create pods. So tenants' pods are always named by all three. A NetworkPolicy knows no service account: it names a pod by label
and namespace alone, which is why `policies_cilium.impostor` takes everything from a pod that wears a label without its account.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["TCP", "UDP"]


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods of one namespace; no label means all of them."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str | None = None
    """Their account; None for a chart's pods in a namespace of the platform, where only the platform makes pods."""
    present: tuple[str, ...] = ()
    """Labels they have, whatever the value."""
    absent: tuple[str, ...] = ()
    """Labels they must not have."""
    stateful: bool = False
    """Whether a StatefulSet makes them: `baseline` must tell, nothing else does."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Addresses outside the cluster, as networks."""

    cidrs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """Names outside the cluster, in full. The policy that names them also lets them be looked up."""

    names: tuple[str, ...]
    inside: tuple[str, ...] = ()
    """Networks of the VPC where the names' endpoints stand; empty for hosts of the internet."""


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """DNS names that may be asked for; `patterns` where a chart chooses the name (`*` stays within one label)."""

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """The API server, as client or server: its interfaces stand in these networks."""

    cidrs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Nodes and what runs in their network: kubelets, agents."""

    cidrs: tuple[str, ...]


@dataclass(frozen=True)
class CredentialAgent:
    """EKS Pod Identity's agent on the pod's own node, port 80."""


@dataclass(frozen=True)
class EveryPod:
    """Every pod of the cluster. DNS servers answer everybody; nothing else does."""


Peer = Pods | Networks | Hosts | Lookups | ControlPlane | Nodes | CredentialAgent | EveryPod


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A peer and the pod ports (not a Service's); Lookups and CredentialAgent bring their own.

    Raises:
        ValueError: for a flow that names nobody or no port: both kinds of policy read that as everybody and every port.
    """

    peer: Peer
    ports: tuple[int, ...] = ()
    protocols: tuple[Protocol, ...] = ("TCP",)

    def __post_init__(self) -> None:
        if isinstance(self.peer, Lookups | CredentialAgent) == bool(self.ports):
            msg = f"{self.peer}: say the ports, and for lookups and the credential agent none"
            raise ValueError(msg)
        match self.peer:
            case Networks(cidrs=named) | ControlPlane(cidrs=named) | Nodes(cidrs=named) | Hosts(names=named):
                empty = not named
            case Lookups(names=names, patterns=patterns):
                empty = not (names or patterns)
            case _:
                empty = not self.protocols
        if empty:
            msg = f"{self.peer}: names nobody, which would mean everybody"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What some pods may receive and send. Lies in its subject's namespace."""

    name: str
    subject: Pods
    ingress: tuple[Flow, ...] = ()
    egress: tuple[Flow, ...] = ()

    def __post_init__(self) -> None:
        if not (self.ingress or self.egress):
            msg = f"{self.name}: allows nothing; leave it out"
            raise ValueError(msg)
        if any(isinstance(flow.peer, Hosts | Lookups | CredentialAgent) for flow in self.ingress):
            msg = f"{self.name}: names and the credential agent are only reached, they reach nobody"
            raise ValueError(msg)
        asked = {name for flow in self.egress if isinstance(flow.peer, Lookups) for name in flow.peer.names}
        unasked = {name for flow in self.egress if isinstance(flow.peer, Hosts) for name in flow.peer.names} - asked
        if unasked:
            msg = f"{self.name}: allow the lookup of {', '.join(sorted(unasked))} too; without it the name has no address"
            raise ValueError(msg)
