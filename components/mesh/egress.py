"""External hosts: a workload's TLS goes through the egress gateway, inside the mesh's own mutual TLS, told apart by SNI.

Beside the caller an edge has a route and a TLS setting of its own, for that workload's pods only. At the gateway a host stands
once: its listener, its route, its name; who may use it is the edge's AuthorizationPolicy there. The stream inside stays the
application's TLS from end to end. What has no edge has no name in the sidecar's scope, no route and no policy.
"""

from collections.abc import Iterable

from components.graph.model import Egress, Graph
from components.graph.names import EGRESS, EGRESS_PORT, SERVICE_LABEL
from components.manifests import Manifest
from components.mesh.kinds import dns_label, gateway_host, istio


def _here(edges: Iterable[Egress], region: str) -> list[Egress]:
    return [edge for edge in edges if region in edge.service.regions]


def host_ports(edges: Iterable[Egress]) -> dict[str, int]:
    """The port of each host; the settings admit one port only."""
    return {edge.host: edge.port for edge in sorted(edges, key=lambda edge: edge.host)}


def _entry(host: str, port: int, namespace: str, tenant: str | None = None) -> Manifest:
    """The host's name, for one namespace."""
    spec = {
        "hosts": [host],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [{"number": port, "name": "tls", "protocol": "TLS"}],
    }
    return istio("ServiceEntry", dns_label("external", host), namespace, spec, tenant=tenant)


def caller_objects(graph: Graph, region: str, edge: Egress) -> tuple[Manifest, ...]:
    """The caller's side of an edge: its connections to the host go to the gateway, as the caller, with the host as SNI."""
    tenant, name = edge.service.tenant, f"egress-{edge.key}"
    labels, target = {SERVICE_LABEL: edge.service.name}, gateway_host(EGRESS)
    route = {
        "hosts": [edge.host],
        "gateways": ["mesh"],
        "exportTo": ["."],
        "tls": [
            {
                "match": [{"gateways": ["mesh"], "port": edge.port, "sniHosts": [edge.host], "sourceLabels": labels}],
                "route": [{"destination": {"host": target, "subset": name, "port": {"number": EGRESS_PORT}}}],
            }
        ],
    }
    tls = {
        "mode": "ISTIO_MUTUAL",
        "sni": edge.host,
        "subjectAltNames": [f"spiffe://{graph.gateway_principal(EGRESS, region)}"],
    }
    # Istio merges what several edges of one workload say about the gateway's host; their subsets have names of their own.
    rule = {
        "host": target,
        "exportTo": ["."],
        "workloadSelector": {"matchLabels": labels},
        "subsets": [{"name": name, "trafficPolicy": {"tls": tls}}],
    }
    return (
        istio("VirtualService", name, tenant, route, tenant=tenant),
        istio("DestinationRule", name, tenant, rule, tenant=tenant),
    )


def tenant_egress(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The external hosts of a tenant in its own namespace, each once, and every edge's caller side."""
    edges = _here(graph.index.egress_out_of.get(tenant, ()), region)
    ports = host_ports(edges)
    return (
        *(_entry(host, ports[host], tenant, tenant) for host in sorted({edge.host for edge in edges})),
        *(made for edge in edges for made in caller_objects(graph, region, edge)),
    )


def gateway_objects(host: str, port: int) -> tuple[Manifest, ...]:
    """A host at the egress gateway: taken by its name over mutual TLS 1.3, sent on to the host itself."""
    name = dns_label("external", host)
    server = {
        "port": {"number": EGRESS_PORT, "name": "tls-mesh", "protocol": "TLS"},
        "hosts": [f"./{host}"],
        "tls": {"mode": "ISTIO_MUTUAL", "minProtocolVersion": "TLSV1_3"},
    }
    # The mesh's TLS ends here, so the stream is TCP to Istio: a `tls` route would match nothing.
    route = {
        "hosts": [host],
        "gateways": [f"{EGRESS.namespace}/{name}"],
        "exportTo": ["."],
        "tcp": [{"match": [{"port": EGRESS_PORT}], "route": [{"destination": {"host": host, "port": {"number": port}}}]}],
    }
    return (
        _entry(host, port, EGRESS.namespace),
        istio("Gateway", name, EGRESS.namespace, {"selector": EGRESS.selector, "servers": [server]}),
        istio("VirtualService", name, EGRESS.namespace, route),
    )


def region_egress(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """Every external host that some workload of the region may reach, once at the egress gateway."""
    ports = host_ports(_here(graph.egress, region))
    return tuple(made for host, port in ports.items() for made in gateway_objects(host, port))
