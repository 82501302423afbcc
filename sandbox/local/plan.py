"""Where everything of a sandbox is: the folders, names and addresses of its regions and nodes.

A region has a network namespace for its control plane, which also routes between its nodes, to the other regions and to
this machine. A node is a namespace of its own with a kubelet and a containerd, in a zone of the region. Addresses come
from the settings: the region's own range for nodes and pods, its service range for services.
"""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.toolchain import ROOT

HOME: Final = ROOT / "build" / "sandbox"
"""Everything that a running sandbox writes: keys, logs, data, what is running."""
API_PORT: Final = 6443
CLUSTER_DOMAIN: Final = "cluster.local"
NODES: Final = (("a", "system"), ("b", "workload"), ("c", "workload"))
"""Zone letter and role of a region's nodes, as the settings' node groups have roles."""
_ROUTER, _HOST, _FIRST_NODE = 1, 2, 10
_PODS_BITS: Final = 20
_BALANCERS_BITS: Final = 24

Network = ipaddress.IPv4Network
Address = ipaddress.IPv4Address


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """One node: the machine of one zone."""

    name: str
    """Of the Kubernetes node, its network namespace and its control group: `zt-<zone>`."""
    zone: str
    role: str
    address: Address
    pods: Network
    home: Path
    """Its private files: `/etc/cni`, `/opt/cni`, `/run` and `/var` as its pods see the node's."""


@dataclass(frozen=True, kw_only=True)
class RegionPlan:
    """One region: a control plane and its nodes."""

    code: str
    namespace: str
    """Network namespace of the control plane."""
    network: Network
    router: Address
    """Of the control plane: the nodes' gateway, and where the API server listens."""
    host: Address
    """Of this machine, as the region sees it."""
    pods: Network
    """The upper half of the region's range; each node has a part of it."""
    services: Network
    balancers: Network
    """Addresses for services of type LoadBalancer; routed to the first node."""
    nodes: tuple[NodePlan, ...]
    home: Path

    @property
    def link(self) -> str:
        """This machine's end of the link into the region; a name of at most 15 characters."""
        return f"zt-{hashlib.sha256(self.code.encode()).hexdigest()[:8]}"

    @property
    def api(self) -> str:
        """URL of the API server."""
        return f"https://{self.router}:{API_PORT}"

    @property
    def kubeconfig(self) -> Path:
        """Of the cluster's administrator."""
        return self.home / "admin.kubeconfig"

    @property
    def dns(self) -> Address:
        """Of the cluster's name server, where EKS puts it."""
        return self.services[10]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole sandbox."""

    home: Path
    regions: tuple[RegionPlan, ...]

    @property
    def images(self) -> Path:
        """Table of the images that nodes may run, read by each node's image service."""
        return self.home / "images.json"

    def region(self, code: str) -> RegionPlan:
        """The region with this code; a KeyError otherwise."""
        return {region.code: region for region in self.regions}[code]


def plan(ranges: Mapping[str, tuple[str, str]], home: Path = HOME) -> Plan:
    """The plan of these regions.

    Args:
        ranges: region code → its own range (a /16) and its service range, as the settings have them.
        home: where the sandbox writes.
    """
    return Plan(home=home, regions=tuple(_region(code, *ranges[code], home / code) for code in sorted(ranges)))


def _region(code: str, network: str, services: str, home: Path) -> RegionPlan:
    own = Network(network)
    _, pods = own.subnets()
    blocks = pods.subnets(new_prefix=_PODS_BITS)
    nodes = tuple(
        NodePlan(
            name=f"zt-{code}{letter}",
            zone=f"{code}{letter}",
            role=role,
            address=own[_FIRST_NODE + index],
            pods=block,
            home=home / f"node-{letter}",
        )
        for index, ((letter, role), block) in enumerate(zip(NODES, blocks, strict=False))
    )
    return RegionPlan(
        code=code,
        namespace=f"zt-{code}",
        network=own,
        router=own[_ROUTER],
        host=own[_HOST],
        pods=pods,
        services=Network(services),
        balancers=list(own.subnets(new_prefix=_BALANCERS_BITS))[1],
        nodes=nodes,
        home=home,
    )
