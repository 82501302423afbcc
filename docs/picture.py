"""The README's picture: components of one region and of the environment, and what each of them uses.

Nodes, counts and thin arrows come from the recorded program. Only the traffic's path is named here, since traffic between
fixed addresses leaves no dependency behind.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from tests.support.monitor import Recording, Registered

COMPOSING: Final = frozenset(
    {
        "zerotrust:platform:Platform",
        "zerotrust:region:Region",
        "zerotrust:region:Services",
        "zerotrust:identity:Trust",
        "zerotrust:mesh:ServiceMesh",
    }
)
"""What only composes others and is no node."""
PART_OF: Final = {
    "zerotrust:backup:TenantBackups": "zerotrust:backup:Backups",
    "zerotrust:backup:VolumeVault": "zerotrust:backup:RegionBuckets",
    "zerotrust:cluster:PodIdentityAgent": "zerotrust:cluster:ControlPlane",
    "zerotrust:identity:Kinds": "zerotrust:identity:TrustDomain",
    "zerotrust:identity:Manifests": "zerotrust:identity:TrustDomain",
    "zerotrust:mesh:Manifests": "zerotrust:mesh:Istio",
    "zerotrust:operators:MonitoringKinds": "zerotrust:cluster:ControlPlane",
    "zerotrust:vault:Grants": "zerotrust:vault:Platform",
}
"""What is drawn as a part of another node."""
AFTERWARDS: Final = frozenset({"zerotrust:backup:TenantBackups", "zerotrust:vault:Grants"})
"""What its layer adds for the tenants once they stand: counted there, and no reason for an arrow back."""
PATH: Final = (
    "zerotrust:edge:Entry",
    "zerotrust:edge:WebAcl",
    "zerotrust:edge:LoadBalancer",
    "zerotrust:edge:Api",
    "zerotrust:mesh:MeshGateway",
    "zerotrust:tenancy:Tenant",
)
"""A request's way in."""
TITLES: Final = {
    "zerotrust:account:Alarms": "Alarms on the trail",
    "zerotrust:account:Guards": "Account guards and trail",
    "zerotrust:account:RegionGuards": "GuardDuty, Config, Security Hub",
    "zerotrust:admission:Guardrails": "Floor, Gatekeeper, Kyverno",
    "zerotrust:audit:RegionEvidence": "Evidence buckets, WORM",
    "zerotrust:backup:Backups": "Velero, PostgreSQL's archive",
    "zerotrust:backup:RegionBackups": "A locked copy in the other region",
    "zerotrust:backup:RegionBuckets": "Locked buckets and vault",
    "zerotrust:chaos:Chaos": "Game days",
    "zerotrust:cluster:Addons": "Add-ons",
    "zerotrust:cluster:ControlPlane": "EKS control plane, pod identity",
    "zerotrust:cluster:NodeGroup": "Node groups",
    "zerotrust:cluster:NodeRole": "Node role",
    "zerotrust:cluster:PodIdentity": "Roles of the platform's pods",
    "zerotrust:cni:Cilium": "Cilium: ENI mode, WireGuard",
    "zerotrust:edge:Api": "API gateway, one API per tenant",
    "zerotrust:edge:Certificate": "Certificate",
    "zerotrust:edge:Entry": "Route 53 and health checks",
    "zerotrust:edge:IssuerFront": "Way in to Keycloak, home region only",
    "zerotrust:edge:LoadBalancer": "Public load balancer, token check",
    "zerotrust:edge:RegionBalancer": "Way in from other regions",
    "zerotrust:edge:WebAcl": "WAF",
    "zerotrust:identity:Federation": "Federation: a region trusts another",
    "zerotrust:identity:Issuer": "Keycloak, home region only",
    "zerotrust:identity:TrustDomain": "SPIRE: the region's trust domain",
    "zerotrust:keys:Key": "KMS keys",
    "zerotrust:mesh:Istio": "Istio and the region's rules",
    "zerotrust:mesh:MeshGateway": "Gateways: ingress, egress, east-west",
    "zerotrust:mesh:RateLimiter": "Rate limiter",
    "zerotrust:network:Endpoints": "Private endpoints",
    "zerotrust:network:Peering": "Peering of the regions",
    "zerotrust:network:PrivateZone": "Private names",
    "zerotrust:network:Vpc": "VPC, DNS firewall, flow logs",
    "zerotrust:observability:Monitoring": "Prometheus, Grafana, Loki, Tempo",
    "zerotrust:observability:Telemetry": "Collectors: redaction, audit, SIEM",
    "zerotrust:operators:Ground": "Namespaces, default deny, operators",
    "zerotrust:operators:Manifests": "Pods behind load balancers, private records",
    "zerotrust:runtime:Runtime": "Falco and its side-kick",
    "zerotrust:tenancy:Tenant": "Tenant: services, OPA, stores, rules",
    "zerotrust:vault:Platform": "Vault, and what the graph grants in it",
}
"""What a person calls a component; one that is not named here shows its class."""
LAYERS: Final = {
    "edge": "Edge",
    "tenancy": "Tenants",
    "delivery": "Delivery",
    "vault": "Secrets",
    "admission": "Guardrails",
    "observability": "Sight and detection",
    "mesh": "Mesh",
    "identity": "Identity",
    "operators": "Ground",
    "cni": "Pod network",
    "cluster": "Cluster",
    "network": "Network",
    "backup": "Backups",
    "audit": "Evidence",
    "keys": "Keys",
    "account": "Account guards",
}
"""Layers from the client inwards."""
DRAWN_WITH: Final = {"chaos": "observability", "runtime": "observability"}
"""Layers that stand in another's frame."""
ONCE: Final = {
    "edge": "Entry",
    "backup": "Backups between regions",
    "network": "Between regions",
    "identity": "Between trust domains",
}
"""Layers by another name where they stand once per environment."""

WAITING: Final = ("kubernetes:", "aws:eks/nodeGroup:")
"""Types whose order is drawn as well: what is in a cluster, and the nodes, which wait for their network."""

Edge = tuple[str, str]


class Drawing:
    """What the picture shows of a recording."""

    def __init__(self, recording: Recording) -> None:
        self._by_urn = {resource.urn: resource for resource in recording.resources}
        self.regions = sorted(resource.name for resource in recording.of("zerotrust:region:Region"))
        self.owners = {resource.urn: self._owner(resource) for resource in recording.resources}
        components = {owner.urn: owner for owner in self.owners.values() if owner}
        self.regional = {_node(owner) for owner in components.values() if self._in_region(owner)}
        self.resources = Counter(
            _node(owner) for urn, owner in self.owners.items() if owner and not self._by_urn[urn].type.startswith("zerotrust:")
        )

        kinds = Counter(owner.type for owner in components.values() if owner.type not in PART_OF)
        self.kinds = Counter({kind: count for kind, count in kinds.items() if self.resources[kind]})

    def _parent_type(self, resource: Registered) -> str:
        parent = self._by_urn.get(resource.parent)
        return parent.type if parent else ""

    def _in_region(self, resource: Registered) -> bool:
        current: Registered | None = resource
        while current is not None and current.type != "zerotrust:region:Region":
            current = self._by_urn.get(current.parent)
        return current is not None

    def _owner(self, resource: Registered) -> Registered | None:
        """The component below a region or the platform that a resource belongs to."""
        current: Registered | None = resource
        while current is not None and self._parent_type(current) not in COMPOSING:
            current = self._by_urn.get(current.parent)
        return current if current and current.type.startswith("zerotrust:") and current.type not in COMPOSING else None

    def uses(self) -> set[Edge]:
        """Kind → kind it takes a property of, or for what is in a cluster: waits for."""
        found: set[Edge] = set()
        for urn, owner in self.owners.items():
            if owner and owner.type in AFTERWARDS:
                continue
            resource = self._by_urn[urn]
            named = [target for targets in resource.property_dependencies.values() for target in targets]
            waits = resource.dependencies if resource.type.startswith(WAITING) else ()
            others = (self.owners.get(target) for target in {*named, *waits})
            found |= {(_node(owner), _node(other)) for other in others if owner and other and _node(owner) != _node(other)}
        return found

    def count(self, kind: str) -> str:
        """Resources inside; in one region for what every region has."""
        regions = len(self.regions) if kind in self.regional and self.kinds[kind] >= len(self.regions) else 1
        several, inside = self.kinds[kind] // regions, self.resources[kind] // regions
        if several == 1:
            return f"{inside} resource{'s' if inside > 1 else ''}"
        return f"{several} × {inside // several}" if inside % several == 0 else f"{several}, together {inside} resources"  # noqa: RUF001 - times


def _node(owner: Registered) -> str:
    return PART_OF.get(owner.type, owner.type)


def path_edges(kinds: Mapping[str, int]) -> list[Edge]:
    """The path's hops between kinds that are there."""
    stops = [kind for kind in PATH if kind in kinds]
    return list(itertools.pairwise(stops))


def _reaches(edges: set[Edge], start: str, goal: str) -> bool:
    seen, waiting = set(), [start]
    while waiting:
        current = waiting.pop()
        if current == goal:
            return True
        seen.add(current)
        waiting += [target for source, target in edges if source == current and target not in seen]
    return False


def reduced(edges: set[Edge], path: list[Edge]) -> list[Edge]:
    """The edges without those that a longer way implies, the path's own, and those against the path."""
    kept = set(path) | {edge for edge in edges if not _reaches(set(path), edge[1], edge[0])}
    for edge in sorted(kept - set(path)):
        if _reaches(kept - {edge}, *edge):
            kept.discard(edge)
    return sorted(kept - set(path))


def title(kind: str) -> str:
    """What a person calls a component."""
    return TITLES.get(kind) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.rsplit(":", 1)[1]).capitalize()


def layer_of(kind: str) -> str:
    """The frame a component is drawn in."""
    layer = kind.split(":")[1]
    return DRAWN_WITH.get(layer, layer)


def _id(kind: str) -> str:
    return "_".join(kind.split(":")[1:])


def _boxes(drawing: Drawing, *, regional: bool, indent: str) -> Iterator[str]:
    scope, names = ("region", LAYERS) if regional else ("environment", {**LAYERS, **ONCE})
    kinds = sorted(kind for kind in drawing.kinds if (kind in drawing.regional) == regional)
    known = [*LAYERS, *sorted({layer_of(kind) for kind in kinds} - set(LAYERS))]
    for layer in known:
        inside = [kind for kind in kinds if layer_of(kind) == layer]
        if not inside:
            continue
        yield f'{indent}subgraph {scope}_{layer}["{names.get(layer, layer.capitalize())}"]'
        yield from (f'{indent}  {_id(kind)}["{title(kind)}<br/><small>{drawing.count(kind)}</small>"]' for kind in inside)
        yield f"{indent}end"


def mermaid(recording: Recording) -> str:
    """The flowchart."""
    drawing = Drawing(recording)
    path = path_edges(drawing.kinds)
    regions = " and ".join(drawing.regions)
    lines = ["flowchart TB", '  client(["Clients and partners"])']
    lines += _boxes(drawing, regional=False, indent="  ")
    lines += [f'  subgraph region["Every region alike: {regions}"]', *_boxes(drawing, regional=True, indent="    "), "  end"]
    lines.append(f"  client ==> {_id(PATH[0])}")
    for hop in path:
        lines.append(f"  {_id(hop[0])} ==> {_id(hop[1])}")
    lines += [f"  {_id(source)} --> {_id(target)}" for source, target in reduced(drawing.uses(), path)]
    stops = ",".join(["client", *(_id(kind) for kind in PATH if kind in drawing.kinds)])
    lines += ["  classDef path stroke-width:3px,font-weight:bold", f"  class {stops} path"]
    return "\n".join(lines)


def block(recording: Recording) -> str:
    """The picture with its legend."""
    return (
        f"```mermaid\n{mermaid(recording)}\n```\n\n"
        "Thick: a request's way in. Thin: what a component takes from another or waits for; what a longer way implies is left "
        "out. Counts are of one region where every region has its own."
    )
