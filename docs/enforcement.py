"""Where each edge of the access graph is enforced: found by leaving the edge out and compiling everything again.

What disappears without the edge exists because of it; what changes holds it beside others. So no naming rule is believed here,
and an object that a compiler adds tomorrow is found without a word about it. Pure: settings in, names out; no resource is made.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from components.cni.objects import region_objects as network_region
from components.decision.objects import region_objects as decision_region
from components.edge.api_routes import operations
from components.graph.model import Call, Data, Egress, Graph, Route
from components.identity.registration import region_objects as identity_region
from components.manifests import Manifest
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects as mesh_region
from components.platform import region_context
from components.tenant import tenant_layers

Edge = Call | Data | Egress | Route
Kept = Literal["own", "shared"]
"""`own`: gone without the edge. `shared`: there without it, and different."""

LAYERS: Final[Mapping[str, str]] = {
    "edge": "API gateway",
    "identity": "SPIRE",
    "mesh": "Istio",
    "decision": "OPA",
    "cilium": "Cilium",
    "network": "NetworkPolicy",
    "stores": "store",
    "workloads": "pod",
}
"""Enforcing layers from outside inwards, as the page calls them."""
NO_JUDGES: Final = frozenset({"monitors"})
"""Layers of a tenant that enforce nothing."""
MESH_CONFIG: Final = "MeshConfig"


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """One object that enforces an edge."""

    layer: str
    kept: Kept
    kind: str
    name: str
    """`<namespace>/<name>`, or the name alone for what has no namespace."""
    regions: tuple[str, ...] = dataclasses.field(compare=False, default=())


def edges(graph: Graph) -> tuple[Edge, ...]:
    """Every edge: calls, data, external hosts, routes, each by key."""
    return (*graph.calls, *graph.data, *graph.egress, *graph.routes)


def tenants_of(edge: Edge) -> tuple[str, ...]:
    """The tenants at the edge's ends, the deciding one first: the callee's, the store's, the service's."""
    found: tuple[str, ...]
    match edge:
        case Call():
            found = (edge.callee.tenant, edge.caller.tenant)
        case Data():
            found = (edge.store.tenant, edge.service.tenant)
        case Egress():
            found = (edge.service.tenant,)
        case Route():
            found = (edge.service.tenant, *(client.tenant for client in edge.clients))
    return tuple(dict.fromkeys(found))


def without(graph: Graph, edge: Edge) -> Graph:
    """The same graph but for one edge."""
    return dataclasses.replace(
        graph,
        calls=tuple(each for each in graph.calls if each != edge),
        data=tuple(each for each in graph.data if each != edge),
        egress=tuple(each for each in graph.egress if each != edge),
        routes=tuple(each for each in graph.routes if each != edge),
    )


Key = tuple[str, str, str]
"""Layer, kind, name."""


def _key(layer: str, wanted: Manifest) -> Key:
    if layer == "network" and wanted["kind"].startswith("Cilium"):
        layer = "cilium"
    layer = {"namespace": "workloads", "risk": "decision"}.get(layer, layer)
    metadata = wanted["metadata"]
    return layer, wanted["kind"], "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)


def compiled(graph: Graph, region: str) -> dict[Key, Any]:
    """Every object of a region that a layer is compiled into, and istiod's configuration by its fields."""
    found: dict[Key, Any] = {}
    for tenant in graph.tenants:
        for layer, objects in tenant_layers(graph, region, tenant).items():
            found |= {} if layer in NO_JUDGES else {_key(layer, each): each for each in objects}
    for layer, objects in (
        ("identity", identity_region(graph, region)),
        ("decision", decision_region(graph, region)),
        ("network", network_region(graph, region)),
        ("mesh", mesh_region(graph, region)),
    ):
        found |= {_key(layer, each): each for each in objects}
    return found | {("mesh", MESH_CONFIG, field): value for field, value in mesh_config(graph, region).items()}


def _gateway(graph: Graph, edge: Edge) -> Iterator[Place]:
    """What API Gateway serves because of a route, by the API's physical name."""
    if not isinstance(edge, Route):
        return
    settings, tenant = graph.settings, edge.service.tenant
    for code in graph.regions:
        api = region_context(settings, code).physical("api", tenant)
        for operation in operations(tenant, {edge.key: edge.settings}):
            path = f"{api} {operation.method} {operation.template}"
            yield Place(layer="edge", kept="own", kind="operation of REST API", name=path, regions=(code,))


def places(graph: Graph) -> dict[str, tuple[Place, ...]]:
    """By `<kind of edge>/<key>`: every object that enforces the edge, sorted by layer; `regions` says where it stands."""
    whole = {region: compiled(graph, region) for region in graph.regions}
    return {edge_id(edge): _places(graph, edge, whole) for edge in edges(graph)}


def edge_id(edge: Edge) -> str:
    """`call/<key>`: keys are unique within their kind only."""
    return f"{type(edge).__name__.lower()}/{edge.key}"


def _places(graph: Graph, edge: Edge, whole: Mapping[str, Mapping[Key, Any]]) -> tuple[Place, ...]:
    reduced, regions = without(graph, edge), dict[Place, set[str]]()
    for region, objects in whole.items():
        left = compiled(reduced, region)
        for key, value in objects.items():
            if key not in left or left[key] != value:
                layer, kind, name = key
                place = Place(layer=layer, kept="shared" if key in left else "own", kind=kind, name=name)
                regions.setdefault(place, set()).add(region)
    for place in _gateway(graph, edge):
        regions.setdefault(dataclasses.replace(place, regions=()), set()).update(place.regions)
    found = [dataclasses.replace(place, regions=tuple(sorted(codes))) for place, codes in regions.items()]
    return tuple(sorted(found, key=lambda place: (list(LAYERS).index(place.layer), place)))


def standing(graph: Graph) -> tuple[tuple[str, str, str], ...]:
    """What refuses before any edge allows: layer, object and its sentence; each is looked up among what is compiled.

    Raises:
        KeyError: an object named here is no longer compiled.
    """
    objects, tenant = compiled(graph, graph.regions[0]), graph.tenants[0]
    wanted: tuple[tuple[str, str, str, str], ...] = (
        ("mesh", "PeerAuthentication", "istio-system/default", "mutual TLS for every port of the mesh, nothing in the clear"),
        ("mesh", "AuthorizationPolicy", f"{tenant}/default-deny", "a namespace of the mesh admits nobody; one in each"),
        ("mesh", "AuthorizationPolicy", f"{tenant}/opa", "every request to a tenant's pod is also put to that pod's OPA"),
        ("mesh", "Sidecar", f"{tenant}/default", "a pod of no declared service can name nobody"),
        ("mesh", MESH_CONFIG, "outboundTrafficPolicy", "a host outside a sidecar's scope is refused where the call is made"),
        ("decision", "EnvoyFilter", "istio-system/verified-claims-for-opa", "OPA sees the claims that Envoy verified, no header"),
        ("cilium", "CiliumClusterwideNetworkPolicy", "default-deny", "no pod of any namespace sends or receives"),
        ("network", "NetworkPolicy", f"{tenant}/default-deny", "the same per namespace, for any network plug-in"),
    )
    for layer, kind, name, _ in wanted:
        if (layer, kind, name) not in objects:
            raise KeyError((layer, kind, name))
    return tuple((LAYERS[layer], f"{kind} {name}", why) for layer, kind, name, why in wanted)
