"""Which names a pod may ask for: those of its own edges, in full, and no other.

A pod's resolver (`ndots: 5`) tries a name with fewer than five dots under each search domain first:
`ledger-rw.bank-a.svc.cluster.local` goes out as `ledger-rw.bank-a.svc.cluster.local.bank-a.svc.cluster.local` before it goes
out as it stands. None of these variants is allowed, and none needs to be: Cilium's proxy answers them itself with NXDOMAIN
(the chart's `dnsProxy.dnsRejectResponseCode: nameError`; with `refused` some resolvers give up), so the resolver goes on
to the next, and no refused query reaches a DNS server, let alone leaves the VPC. The short forms work by the same search:
`trans-ms` and `trans-ms.bank-b` are completed to the full name, which is the one allowed. Price: up to four refused queries
before each name that is written in full without its closing dot.
"""

from components.graph.model import Call, Egress, Store
from components.graph.names import (
    CLUSTER_DOMAIN,
    EGRESS,
    MESH_NAMESPACE,
    Gateway,
    every_region_host,
    service_host,
)

ISTIOD = "istiod"


def gateway_host(gateway: Gateway) -> str:
    """A gateway's Service."""
    return service_host(gateway.namespace, gateway.name)


def istiod_host() -> str:
    """Where proxies get their configuration."""
    return service_host(MESH_NAMESPACE, ISTIOD)


def call_names(call: Call) -> tuple[str, ...]:
    """The callee's Service, and its name for every region where the call may leave its own."""
    tenant, service = call.callee.tenant, call.callee.name
    ordinary = service_host(tenant, service)
    return (ordinary, every_region_host(tenant, service)) if call.settings.reach == "every_region" else (ordinary,)


def store_names(store: Store) -> tuple[str, ...]:
    """A store's Services. CloudNativePG makes three per cluster: primary, replicas, any.

    A name is no privilege: what may be written says the credential, and each of the three leads to the same pods.
    """
    if store.kind == "database":
        return tuple(service_host(store.tenant, f"{store.name}-{role}") for role in ("r", "ro", "rw"))
    return (service_host(store.tenant, store.name),)


def instance_names(store: Store) -> tuple[str, ...]:
    """Patterns for a cache's single pods below its own Service and its headless one; a database finds its primary by name."""
    if store.kind == "database":
        return ()
    return tuple(f"*.{service_host(store.tenant, service)}" for service in (store.name, f"{store.name}-headless"))


def egress_names(edge: Egress) -> tuple[str, ...]:
    """The host itself, which the application resolves, and the gateway its proxy goes to instead."""
    return tuple(sorted({edge.host, gateway_host(EGRESS)}))


def services_of(namespace: str) -> str:
    """A pattern for the Services of one namespace of the platform, where a chart or an operator chooses the name."""
    return f"*.{namespace}.svc.{CLUSTER_DOMAIN}"
