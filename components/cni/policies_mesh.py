"""Network rules of the mesh's own parts and of what serves it: gateways, SPIRE, the rate limiter, the issuer of tokens.

The edges' own ways through a gateway are the tenants' (`policies_tenant`); here is what a gateway needs without any edge.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from components.cni import dns
from components.cni.policies import Flow, Hosts, Lookups, Networks, Nodes, Pods, Policy
from components.cni.policies_platform import PODS
from components.cni.policies_tenant import (
    API_PORT,
    CACHE_BUS_PORT,
    DATABASE_LABEL,
    ISTIOD,
    ISTIOD_PORT,
    TO_ISTIOD,
    database,
    eastwest_cidrs,
    gateway_pods,
    instances,
    subnets,
)
from components.graph.model import Graph
from components.graph.names import (
    BUNDLE_PORT,
    EASTWEST,
    EASTWEST_PORT,
    GATEWAY_STATUS_PORT,
    GATEWAYS,
    INGRESS,
    INGRESS_PORT,
    ISSUER_NAMESPACE,
    ISSUER_PORT,
    POSTGRES_PORT,
    RATE_LIMIT_NAMESPACE,
    RATE_LIMIT_PORT,
    RATE_LIMIT_SERVICE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    VALKEY_PORT,
    bundle_host,
    service_host,
)

SPIRE_PORT: Final = 8081
KUBELET_PORT: Final = 10250
ISSUER_CLUSTER_PORTS: Final = (7800, 57800)
"""Keycloak's instances among themselves: JGroups and its failure detection."""
LIMITER: Final = Pods(namespace=RATE_LIMIT_NAMESPACE, labels={SERVICE_LABEL: RATE_LIMIT_SERVICE})
COUNTERS: Final = Pods(namespace=RATE_LIMIT_NAMESPACE, labels={"sidecar.istio.io/inject": "false"}, stateful=True)
"""The Valkey that counts, whatever it is called: the only pods there outside the mesh."""
ISSUER: Final = Pods(namespace=ISSUER_NAMESPACE, labels={SERVICE_LABEL: "keycloakx"}, service_account="keycloak", stateful=True)


def mesh_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """Gateways, SPIRE, rate limiter and, where the platform runs it, the issuer."""
    return (
        *_gateways(graph, region),
        *_spire(graph, region),
        *_limits(),
        *(_issuer(graph, region) if graph.runs_issuer(region) else ()),
    )


def _gateways(graph: Graph, region: str) -> Iterator[Policy]:
    settings = graph.settings
    for gateway in GATEWAYS:
        pods = gateway_pods(gateway)
        yield Policy(name=f"mesh-{gateway.name}", subject=ISTIOD, ingress=(Flow(peer=pods, ports=(ISTIOD_PORT,)),))
        yield Policy(name="mesh", subject=pods, egress=TO_ISTIOD)
    ingress, eastwest = gateway_pods(INGRESS), gateway_pods(EASTWEST)
    # The internal load balancer stands in the private subnets at addresses AWS chooses. Pods there have identities of their
    # own and are not matched by address; under another CNI they would be, and then the gateway's JWT rules are what refuses.
    # The issuer's way in is the public load balancer's own, in the public subnets.
    public = subnets(graph, region, "public") if graph.runs_issuer(region) else ()
    balancer = Networks(cidrs=(*subnets(graph, region, "private"), *public))
    yield Policy(
        name="clients",
        subject=ingress,
        ingress=(Flow(peer=balancer, ports=(INGRESS_PORT, GATEWAY_STATUS_PORT)),),
    )
    yield Policy(name="limits", subject=ingress, egress=(Flow(peer=LIMITER, ports=(RATE_LIMIT_PORT,)),))
    # The balancer does not hand the client's address on, so its own fixed addresses are the only ones that come.
    yield Policy(
        name="regions",
        subject=eastwest,
        ingress=(Flow(peer=Networks(cidrs=eastwest_cidrs(graph, region)), ports=(EASTWEST_PORT, GATEWAY_STATUS_PORT)),),
    )
    keys = urlsplit(settings.identity.jwks_url or settings.identity.issuer)
    host, port = keys.hostname or "", keys.port or API_PORT
    yield Policy(
        name="issuer-keys",
        subject=ISTIOD,
        egress=(Flow(peer=Hosts(names=(host,)), ports=(port,)), Flow(peer=Lookups(names=(host,)))),
    )


def _database(graph: Graph, region: str, namespace: str, users: Pods) -> Iterator[Policy]:
    """The one PostgreSQL cluster of a namespace of the platform, whatever it is called, and who uses it."""
    pods = Pods(namespace=namespace, present=(DATABASE_LABEL,))
    lookups = Lookups(patterns=dns.services_of(namespace))
    yield from database(graph, region, name="database", pods=pods, lookups=lookups, operator=namespace)
    yield Policy(name="stored", subject=pods, ingress=(Flow(peer=users, ports=(POSTGRES_PORT,)),))
    yield Policy(name="data", subject=users, egress=(Flow(peer=pods, ports=(POSTGRES_PORT,)), Flow(peer=lookups)))


def _spire(graph: Graph, region: str) -> Iterator[Policy]:
    """Agents come from their node's network or from pods, as the chart decides by the kubelet's address: both are let in."""
    server, agent = PODS["spire"], PODS["spire-agent"]
    nodes = Nodes(cidrs=subnets(graph, region, "private"))
    yield Policy(
        name="agents",
        subject=server,
        ingress=(Flow(peer=agent, ports=(SPIRE_PORT,)), Flow(peer=nodes, ports=(SPIRE_PORT,))),
    )
    yield Policy(
        name="server",
        subject=agent,
        egress=(
            Flow(peer=server, ports=(SPIRE_PORT,)),
            Flow(peer=nodes, ports=(KUBELET_PORT,)),
            Flow(peer=Lookups(names=(service_host(SPIRE_SERVER_NAMESPACE, "spire-server"),))),
        ),
    )
    yield from _database(graph, region, SPIRE_SERVER_NAMESPACE, server)
    for peer in graph.regions:
        if peer != region:
            yield _bundle(graph, peer, server)
    if len(graph.regions) > 1:
        balancer = Networks(cidrs=eastwest_cidrs(graph, region))
        yield Policy(name="bundles", subject=server, ingress=(Flow(peer=balancer, ports=(BUNDLE_PORT,)),))


def _bundle(graph: Graph, peer: str, server: Pods) -> Policy:
    """Another region's bundle endpoint, at its fixed addresses, and the private name it is asked by."""
    return Policy(
        name=f"bundle-{peer}",
        subject=server,
        egress=(
            Flow(peer=Networks(cidrs=eastwest_cidrs(graph, peer)), ports=(BUNDLE_PORT,)),
            Flow(peer=Lookups(names=(bundle_host(graph.trust_domain(peer)),))),
        ),
    )


def _limits() -> Iterator[Policy]:
    lookups = Lookups(patterns=dns.services_of(RATE_LIMIT_NAMESPACE))
    yield Policy(
        name="limits",
        subject=LIMITER,
        ingress=(Flow(peer=gateway_pods(INGRESS), ports=(RATE_LIMIT_PORT,)),),
        egress=(Flow(peer=COUNTERS, ports=(VALKEY_PORT,)), Flow(peer=lookups), *TO_ISTIOD),
    )
    yield Policy(name="mesh-limits", subject=ISTIOD, ingress=(Flow(peer=LIMITER, ports=(ISTIOD_PORT,)),))
    yield Policy(name="counters", subject=COUNTERS, ingress=(Flow(peer=LIMITER, ports=(VALKEY_PORT,)),))
    yield instances("counters", COUNTERS, (VALKEY_PORT, CACHE_BUS_PORT), lookups)


def _issuer(graph: Graph, region: str) -> Iterator[Policy]:
    gateway, among = gateway_pods(INGRESS), Flow(peer=ISSUER, ports=ISSUER_CLUSTER_PORTS)
    yield Policy(
        name="issuer",
        subject=ISSUER,
        ingress=(Flow(peer=gateway, ports=(ISSUER_PORT,)), among),
        egress=(among, *TO_ISTIOD),
    )
    yield Policy(name="issuer", subject=gateway, egress=(Flow(peer=ISSUER, ports=(ISSUER_PORT,)),))
    yield Policy(name="mesh-issuer", subject=ISTIOD, ingress=(Flow(peer=ISSUER, ports=(ISTIOD_PORT,)),))
    yield from _database(graph, region, ISSUER_NAMESPACE, ISSUER)
