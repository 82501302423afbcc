"""Calls that may leave the region: the caller's own region first, another when it has nobody, identity checked end to end.

The application calls the ordinary host. Its sidecar sends the call to the every-region host, whose endpoints are the callee's
pods here and the other regions' east-west gateways; those pass TLS through by SNI, so caller and callee still see each other's
certificates. The SNI names the ordinary host: the other side finds its own pods and never sends the call on. Relies on the
fixed east-west addresses of the address plan.
"""

from typing import Any, Final

from components.graph.identity import spiffe_id
from components.graph.model import Call, Graph, Workload
from components.graph.names import (
    EASTWEST,
    EASTWEST_PORT,
    REGION_REACH_LABEL,
    SERVICE_LABEL,
    every_region_host,
    service_host,
)
from components.manifests import Manifest
from components.mesh.kinds import dns_label, istio, unique
from components.network.addresses import eastwest_address

PORT_NAME: Final = "http"
CONNECT_TIMEOUT: Final = "2s"
OUTLIERS: Final = {
    # Answers of the service itself, also its errors, eject nobody: only a path that does not lead to it does.
    "consecutive5xxErrors": 0,
    "consecutiveGatewayErrors": 3,
    "splitExternalLocalOriginErrors": True,
    "consecutiveLocalOriginFailures": 3,
    "interval": "5s",
    "baseEjectionTime": "30s",
    "maxEjectionPercent": 100,
}
"""When an endpoint is left out. All of a region may be: that is what failing over means."""


def leaves(call: Call, region: str) -> tuple[str, ...]:
    """The other regions that the caller of a region may reach the callee in."""
    return tuple(code for code in call.destinations(region) if code != region)


def _callers(graph: Graph, region: str, callee: Workload) -> list[Call]:
    return [call for call in graph.index.calls_to.get(callee.ref, ()) if leaves(call, region)]


def entry_objects(graph: Graph, region: str, callee: Workload) -> tuple[Manifest, ...]:
    """The every-region host of a callee and its endpoints outside; nothing where no caller of the region may leave it.

    The one object here that several edges share is the ServiceEntry: its `exportTo` lists the callers' namespaces. The
    WorkloadEntries must never carry the label that the callee's ordinary Service selects by, or calls that stay in the
    region would leave it.
    """
    callers = _callers(graph, region, callee)
    if not callers:
        return ()
    tenant, reach = callee.tenant, {REGION_REACH_LABEL: callee.name}
    hosts = [every_region_host(tenant, callee.name)]
    if region not in callee.regions:
        # No Service of the region has the ordinary name, and the application still calls it.
        hosts.append(service_host(tenant, callee.name))
    spec = {
        "hosts": hosts,
        "exportTo": unique(call.caller.tenant for call in callers),
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": callee.port, "name": PORT_NAME, "protocol": "HTTP"}],
        "workloadSelector": {"labels": reach},
    }
    entry = istio("ServiceEntry", f"every-region-{callee.name}", tenant, spec, tenant=tenant)
    outside = unique(code for call in callers for code in leaves(call, region))
    return entry, *(made for code in outside for made in _workload_entries(graph, code, callee))


def _workload_entries(graph: Graph, other: str, callee: Workload) -> list[Manifest]:
    settings = graph.settings.regions[other]
    return [
        istio(
            "WorkloadEntry",
            f"{callee.name}.{other}{zone}",
            callee.tenant,
            {
                "address": eastwest_address(settings.vpc_cidr, zone),
                "ports": {PORT_NAME: EASTWEST_PORT},
                "labels": {REGION_REACH_LABEL: callee.name},
                "locality": f"{other}/{other}{zone}",
            },
            tenant=callee.tenant,
        )
        for zone in sorted(settings.zones)
    ]


def _next_region(region: str, others: tuple[str, ...]) -> str:
    """The region after this one in the alphabet's ring: each region has one successor and no two lean on the same."""
    later = [code for code in sorted(others) if code > region]
    return later[0] if later else min(others)


def route_namespace(call: Call) -> str:
    """Where the route that leads a call out of the region lies: the caller's namespace, but not the callee's own.

    A sidecar takes in every route beside the host that it names, with all that the route leads to. In the callee's namespace a
    neighbour's route would so let every local caller name the other regions; there it lies with the gateway that it leads to.
    """
    return call.caller.tenant if call.caller.tenant != call.callee.tenant else EASTWEST.namespace


def caller_objects(graph: Graph, region: str, call: Call) -> tuple[Manifest, ...]:
    """The caller's side of a call that may leave the region: the route to the every-region host, and whom to expect there."""
    others = leaves(call, region)
    if not others:
        return ()
    caller, callee, name = call.caller, call.callee, f"call-{call.key}"
    ordinary, everywhere = service_host(callee.tenant, callee.name), every_region_host(callee.tenant, callee.name)
    labels = {SERVICE_LABEL: caller.name}
    place = route_namespace(call)
    route = {
        "hosts": [ordinary],
        "exportTo": ["." if place == caller.tenant else caller.tenant],
        "http": [
            {
                "match": [{"sourceLabels": labels}],
                "route": [{"destination": {"host": everywhere, "port": {"number": callee.port}}}],
            }
        ],
    }
    identities = [spiffe_id(graph.trust_domain(code), callee.tenant, callee.name) for code in sorted(call.destinations(region))]
    policy: dict[str, Any] = {
        "tls": {
            "mode": "ISTIO_MUTUAL",
            "sni": f"outbound_.{callee.port}_._.{ordinary}",
            "subjectAltNames": identities,
        },
        "connectionPool": {"tcp": {"connectTimeout": CONNECT_TIMEOUT}},
        "outlierDetection": OUTLIERS,
        "loadBalancer": {
            "simple": "LEAST_REQUEST",
            "localityLbSetting": {"enabled": True, "failover": [{"from": region, "to": _next_region(region, others)}]},
        },
    }
    rule = {
        "host": everywhere,
        "exportTo": ["."],
        "workloadSelector": {"matchLabels": labels},
        "trafficPolicy": policy,
    }
    return (
        istio("VirtualService", name, place, route, tenant=caller.tenant),
        istio("DestinationRule", name, caller.tenant, rule, tenant=caller.tenant),
    )


def eastwest_objects(graph: Graph, region: str, callee: Workload) -> tuple[Manifest, ...]:
    """The callee's host at the region's east-west gateway; nothing where no other region's caller is admitted.

    AUTO_PASSTHROUGH applies no policy: whatever host is listed here is reachable for mutual TLS from the other regions, and
    refused by the callee itself unless an edge admits the caller.
    """
    if not any(set(call.origins(region)) - {region} for call in graph.calls_to(callee, region)):
        return ()
    server = {
        "port": {"number": EASTWEST_PORT, "name": "tls-mesh", "protocol": "TLS"},
        "hosts": [f"{callee.tenant}/{service_host(callee.tenant, callee.name)}"],
        "tls": {"mode": "AUTO_PASSTHROUGH"},
    }
    spec = {"selector": EASTWEST.selector, "servers": [server]}
    return (istio("Gateway", dns_label(callee.tenant, callee.name), EASTWEST.namespace, spec, tenant=callee.tenant),)


def tenant_failover(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """What the tenant's workloads need as callees of other regions' callers, and as callers of other regions' callees."""
    workloads = graph.index.workloads_of.get(tenant, ())
    return (
        *(made for workload in workloads for made in entry_objects(graph, region, workload)),
        *(made for workload in workloads for made in eastwest_objects(graph, region, workload)),
        *(made for call in graph.index.calls_out_of.get(tenant, ()) for made in caller_objects(graph, region, call)),
    )
