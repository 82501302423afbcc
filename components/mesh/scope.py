"""What each workload's sidecar can name at all: its callees, its stores, its external hosts, and nothing else.

A Sidecar per workload lists hosts one by one; a namespace-wide one reaches nothing but istiod and the authorizer, so a pod of
no known service calls nobody. With REGISTRY_ONLY a host outside the scope is refused where the call is made.
"""

from typing import Any, Final

from components.graph.model import Data, Graph, Workload
from components.graph.names import (
    CLUSTER_DOMAIN,
    COLLECTOR,
    EGRESS,
    MESH_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    OPA_HOST,
    RATE_LIMIT_NAMESPACE,
    SERVICE_LABEL,
    VAULT_NAMESPACE,
    VAULT_SERVICE,
    every_region_host,
    service_host,
)
from components.manifests import Manifest
from components.mesh.failover import route_namespace
from components.mesh.kinds import gateway_host, istio, unique

ISTIOD: Final = f"{MESH_NAMESPACE}/istiod.{MESH_NAMESPACE}.svc.{CLUSTER_DOMAIN}"
VAULT: Final = f"{VAULT_NAMESPACE}/{service_host(VAULT_NAMESPACE, VAULT_SERVICE)}"
"""Outside the mesh: it ends the agent's TLS itself."""
SPANS: Final = f"{OBSERVABILITY_NAMESPACE}/{service_host(OBSERVABILITY_NAMESPACE, COLLECTOR)}"
"""A proxy sends spans to a host that its own scope names; which port and path, the collector's policy says."""
ALWAYS: Final = (f"{MESH_NAMESPACE}/{OPA_HOST}", ISTIOD, SPANS)
REGISTRY_ONLY: Final = {"mode": "REGISTRY_ONLY"}


def store_hosts(edge: Data) -> tuple[str, ...]:
    """Names of a store's services: CloudNativePG's three (primary, replicas, any), a cache's one."""
    store = edge.store
    if store.kind == "cache":
        return (service_host(store.tenant, store.name),)
    return tuple(service_host(store.tenant, f"{store.name}-{role}") for role in ("r", "ro", "rw"))


def scope_hosts(graph: Graph, region: str, workload: Workload) -> tuple[str, ...]:
    """`<namespace>/<host>` of everything a workload may open a connection to, sorted."""
    hosts = list(ALWAYS)
    for call in graph.calls_from(workload, region):
        tenant, destinations = call.callee.tenant, call.destinations(region)
        # The ordinary host is what the application calls, wherever the callee runs.
        ordinary = service_host(tenant, call.callee.name)
        hosts.append(f"{tenant}/{ordinary}")
        if set(destinations) - {region}:
            hosts.append(f"{tenant}/{every_region_host(tenant, call.callee.name)}")
            # The namespace part also says whose VirtualServices count: the one that leads further is this caller's.
            place = route_namespace(call)
            hosts.append(f"{'.' if place == workload.tenant else place}/{ordinary}")
    for edge in graph.data_of(workload):
        hosts.extend(f"{edge.store.tenant}/{host}" for host in store_hosts(edge))
    if graph.fetches(workload):
        hosts.append(VAULT)
    external = graph.egress_of(workload)
    hosts.extend(f"./{edge.host}" for edge in external)
    if external:
        hosts.append(f"{EGRESS.namespace}/{gateway_host(EGRESS)}")
    return tuple(unique(hosts))


def _spec(hosts: tuple[str, ...]) -> dict[str, Any]:
    return {"egress": [{"hosts": list(hosts)}], "outboundTrafficPolicy": REGISTRY_ONLY}


def workload_scope(graph: Graph, region: str, workload: Workload) -> Manifest:
    """The Sidecar of a workload; inbound stays Istio's default, every port that a Service of it has."""
    spec = {
        "workloadSelector": {"labels": {SERVICE_LABEL: workload.name}},
        **_spec(scope_hosts(graph, region, workload)),
    }
    return istio("Sidecar", f"service-{workload.name}", workload.tenant, spec, tenant=workload.tenant)


def tenant_scope(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The Sidecars of a tenant's namespace: the one of every other pod, then one per workload of the region."""
    return (
        istio("Sidecar", "default", tenant, _spec(tuple(unique(ALWAYS))), tenant=tenant),
        *(workload_scope(graph, region, workload) for workload in graph.workloads_of(tenant, region)),
    )


def limiter_scope() -> Manifest:
    """The rate limiter reaches the counters beside it and nothing else."""
    hosts = ("./*", ISTIOD, SPANS)
    return istio("Sidecar", "default", RATE_LIMIT_NAMESPACE, _spec(tuple(unique(hosts))))


def authorizer_entry(port: int) -> Manifest:
    """The one name of every pod's own OPA, which listens on loopback: each sidecar asks the OPA beside it."""
    spec = {
        "hosts": [OPA_HOST],
        "exportTo": ["*"],
        "location": "MESH_EXTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": port, "name": "grpc", "protocol": "GRPC"}],
        "endpoints": [{"address": "127.0.0.1"}],
    }
    return istio("ServiceEntry", "opa-ext-authz", MESH_NAMESPACE, spec)
