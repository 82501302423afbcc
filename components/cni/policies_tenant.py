"""The access graph as network rules: one policy per edge and side, named by the edge's key in the settings.

Both ends of an edge must allow it, so a flow needs two policies and neither end can open it alone. The caller's side belongs
to the caller's tenant, the callee's to the callee's, a gateway's side to the tenant whose service the gateway serves: adding an
edge or a tenant adds policies and changes none.
"""

from collections.abc import Iterator
from typing import Final

from components.cni import dns
from components.cni.policies import ControlPlane, Flow, Hosts, Lookups, Networks, Pods, Policy
from components.graph.model import Call, Data, Egress, Graph, Route, Store, Workload
from components.graph.names import (
    DATABASE_OPERATOR_NAMESPACE,
    EASTWEST,
    EASTWEST_PORT,
    EGRESS,
    EGRESS_PORT,
    INGRESS,
    MESH_NAMESPACE,
    POSTGRES_PORT,
    SERVICE_LABEL,
    VALKEY_PORT,
    VAULT_NAMESPACE,
    VAULT_PORT,
    VAULT_SERVICE,
    Gateway,
    service_host,
)
from components.network.addresses import Tier, eastwest_address, subnet_cidr

ISTIOD_PORT: Final = 15012
"""Configuration over TLS; nothing else of istiod's is for proxies."""
API_PORT: Final = 443
DATABASE_STATUS_PORT: Final = 8000
"""CloudNativePG's instance manager."""
CACHE_BUS_PORT: Final = 16379
DATABASE_LABEL: Final = "cnpg.io/cluster"
"""Set by the operator itself on instances and on the jobs that create and join them."""

ISTIOD: Final = Pods(namespace=MESH_NAMESPACE, labels={"app": "istiod"})
DATABASE_OPERATOR: Final = Pods(namespace=DATABASE_OPERATOR_NAMESPACE, labels={SERVICE_LABEL: "cloudnative-pg"})
VAULT: Final = Pods(
    namespace=VAULT_NAMESPACE,
    labels={SERVICE_LABEL: VAULT_SERVICE, "component": "server"},
    service_account=VAULT_SERVICE,
    stateful=True,
)
TO_ISTIOD: Final = (
    Flow(peer=ISTIOD, ports=(ISTIOD_PORT,)),
    Flow(peer=Lookups(names=(dns.istiod_host(),))),
)


def workload_pods(workload: Workload) -> Pods:
    """A service's pods: label, namespace and service account together."""
    return Pods(namespace=workload.tenant, labels={SERVICE_LABEL: workload.name}, service_account=workload.name)


def store_pods(store: Store) -> Pods:
    """A database's or cache's pods. A database's are known by the label that the operator sets, not by one it is given."""
    label = DATABASE_LABEL if store.kind == "database" else SERVICE_LABEL
    return Pods(namespace=store.tenant, labels={label: store.name}, service_account=store.name)


def gateway_pods(gateway: Gateway) -> Pods:
    """A gateway's pods."""
    return Pods(namespace=gateway.namespace, labels=gateway.selector, service_account=gateway.name)


def subnets(graph: Graph, region: str, tier: Tier) -> tuple[str, ...]:
    """The networks of one tier of a region, a zone each."""
    network = graph.settings.regions[region]
    return tuple(subnet_cidr(network.vpc_cidr, tier, zone) for zone in sorted(network.zones))


def control_plane(graph: Graph, region: str) -> ControlPlane:
    """The region's API server: its interfaces stand in the intra subnets."""
    return ControlPlane(cidrs=subnets(graph, region, "intra"))


def eastwest_cidrs(graph: Graph, region: str) -> tuple[str, ...]:
    """The fixed addresses of a region's balancer for the other regions, one per zone."""
    network = graph.settings.regions[region]
    return tuple(f"{eastwest_address(network.vpc_cidr, zone)}/32" for zone in sorted(network.zones))


def tenant_policies(graph: Graph, region: str, tenant: str) -> tuple[Policy, ...]:
    """Every policy that exists in a region because of one tenant."""
    return tuple(_policies(graph, region, tenant))


def _policies(graph: Graph, region: str, tenant: str) -> Iterator[Policy]:
    workloads = graph.workloads_of(tenant, region)
    if workloads:
        yield Policy(name=f"mesh-{tenant}", subject=ISTIOD, ingress=(Flow(peer=Pods(namespace=tenant), ports=(ISTIOD_PORT,)),))
    for workload in workloads:
        yield from _service(graph, region, workload)
        if graph.fetches(workload):
            yield from _fetching(workload)
    for store in graph.stores_of(tenant):
        yield from _store(graph, region, store)
        yield from (_used(edge) for edge in graph.data_to(store) if region in edge.service.regions)


def _service(graph: Graph, region: str, workload: Workload) -> Iterator[Policy]:
    yield Policy(name=f"mesh-{workload.name}", subject=workload_pods(workload), egress=TO_ISTIOD)
    for call in graph.calls_from(workload, region):
        yield _caller(graph, region, call)
    for call in graph.calls_to(workload, region):
        yield from _callee(region, call)
    yield from (_user(edge) for edge in graph.data_of(workload))
    for host in graph.egress_of(workload):
        yield from _egress(host)
    for route in graph.routes_to(workload):
        yield from _route(route)


def _caller(graph: Graph, region: str, call: Call) -> Policy:
    destinations = call.destinations(region)
    flows = [Flow(peer=Lookups(names=dns.call_names(call, region)))]
    if region in destinations:
        flows.append(Flow(peer=workload_pods(call.callee), ports=(call.callee.port,)))
    others = tuple(cidr for code in destinations if code != region for cidr in eastwest_cidrs(graph, code))
    if others:
        flows.append(Flow(peer=Networks(cidrs=others), ports=(EASTWEST_PORT,)))
    return Policy(name=f"call-{call.key}", subject=workload_pods(call.caller), egress=tuple(flows))


def _callee(region: str, call: Call) -> Iterator[Policy]:
    """A caller of another region comes in by the east-west gateway: who it is, its certificate says, not the network."""
    origins = call.origins(region)
    port, callee, gateway = (call.callee.port,), workload_pods(call.callee), gateway_pods(EASTWEST)
    peers = [workload_pods(call.caller)] if region in origins else []
    if set(origins) - {region}:
        peers.append(gateway)
        yield Policy(name=f"called-{call.key}", subject=gateway, egress=(Flow(peer=callee, ports=port),))
    yield Policy(name=f"called-{call.key}", subject=callee, ingress=tuple(Flow(peer=peer, ports=port) for peer in peers))


def _user(edge: Data) -> Policy:
    flows = (
        Flow(peer=store_pods(edge.store), ports=(edge.store.port,)),
        Flow(peer=Lookups(names=dns.store_names(edge.store))),
    )
    return Policy(name=f"data-{edge.key}", subject=workload_pods(edge.service), egress=flows)


def _used(edge: Data) -> Policy:
    flow = Flow(peer=workload_pods(edge.service), ports=(edge.store.port,))
    return Policy(name=f"stored-{edge.key}", subject=store_pods(edge.store), ingress=(flow,))


def _fetching(workload: Workload) -> Iterator[Policy]:
    """A workload to which Vault has something to give, and Vault's side of it."""
    pods, port = workload_pods(workload), (VAULT_PORT,)
    names = Lookups(names=(service_host(VAULT_NAMESPACE, VAULT_SERVICE),))
    yield Policy(name=f"vault-{workload.name}", subject=pods, egress=(Flow(peer=VAULT, ports=port), Flow(peer=names)))
    yield Policy(name=f"fetched.{workload.tenant}.{workload.name}", subject=VAULT, ingress=(Flow(peer=pods, ports=port),))


def _egress(edge: Egress) -> Iterator[Policy]:
    service, gateway, port = workload_pods(edge.service), gateway_pods(EGRESS), (EGRESS_PORT,)
    yield Policy(
        name=f"egress-{edge.key}",
        subject=service,
        egress=(Flow(peer=gateway, ports=port), Flow(peer=Lookups(names=dns.egress_names(edge)))),
    )
    yield Policy(
        name=f"egress-{edge.key}",
        subject=gateway,
        ingress=(Flow(peer=service, ports=port),),
        egress=(Flow(peer=Hosts(names=(edge.host,)), ports=(edge.port,)), Flow(peer=Lookups(names=(edge.host,)))),
    )


def _route(route: Route) -> Iterator[Policy]:
    service, gateway, port = workload_pods(route.service), gateway_pods(INGRESS), (route.service.port,)
    yield Policy(name=f"route-{route.key}", subject=service, ingress=(Flow(peer=gateway, ports=port),))
    yield Policy(name=f"route-{route.key}", subject=gateway, egress=(Flow(peer=service, ports=port),))


def _store(graph: Graph, region: str, store: Store) -> Iterator[Policy]:
    """What a store needs whoever uses it: its own instances, and for a database its operator and the API server."""
    pods, lookups = store_pods(store), Lookups(names=dns.store_names(store))
    if store.kind == "cache":
        yield instances(store.name, pods, (VALKEY_PORT, CACHE_BUS_PORT), lookups)
    else:
        yield from database(graph, region, name=store.name, pods=pods, lookups=lookups, operator=f"{store.tenant}.{store.name}")


def instances(name: str, pods: Pods, ports: tuple[int, ...], lookups: Lookups, *more: Flow) -> Policy:
    """A store's instances among themselves, and the names by which they find each other."""
    among = Flow(peer=pods, ports=ports)
    return Policy(name=f"instances-{name}", subject=pods, ingress=(among,), egress=(among, Flow(peer=lookups), *more))


def database(graph: Graph, region: str, *, name: str, pods: Pods, lookups: Lookups, operator: str) -> Iterator[Policy]:
    """A CloudNativePG cluster: instances, the operator's side and theirs. `operator` ends the name of the operator's policy.

    That name joins its parts with a dot, which no name of the settings holds: `a-b`/`c` is not `a`/`b-c`.
    """
    ports = (POSTGRES_PORT, DATABASE_STATUS_PORT)
    yield instances(name, pods, ports, lookups, Flow(peer=control_plane(graph, region), ports=(API_PORT,)))
    yield Policy(name=f"operated-{name}", subject=pods, ingress=(Flow(peer=DATABASE_OPERATOR, ports=ports),))
    yield Policy(name=f"operated.{operator}", subject=DATABASE_OPERATOR, egress=(Flow(peer=pods, ports=ports),))
