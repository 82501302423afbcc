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


def call_names(call: Call, region: str) -> tuple[str, ...]:
    """The callee's Service, and its name for every region where the caller of this region may call it in another."""
    tenant, service = call.callee.tenant, call.callee.name
    ordinary = service_host(tenant, service)
    return (ordinary, every_region_host(tenant, service)) if set(call.destinations(region)) - {region} else (ordinary,)


def store_names(store: Store) -> tuple[str, ...]:
    """A store's names, for its clients and its own instances.

    CloudNativePG makes three Services per cluster: primary, replicas, any. A cache has a headless one, and its primary is pod 0.
    A name is no privilege: what may be written says the credential, and each of the names leads to the same pods.
    """
    if store.kind == "database":
        return tuple(service_host(store.tenant, f"{store.name}-{role}") for role in ("r", "ro", "rw"))
    every = service_host(store.tenant, store.name)
    return (every, f"{store.name}-0.{every}")


def egress_names(edge: Egress) -> tuple[str, ...]:
    """The host itself, which the application resolves, and the gateway its proxy goes to instead."""
    return tuple(sorted({edge.host, gateway_host(EGRESS)}))


def services_of(namespace: str) -> tuple[str, ...]:
    """Patterns for the Services of one namespace of the platform and their pods: what stands there is the platform's alone."""
    return tuple(f"{below}.{namespace}.svc.{CLUSTER_DOMAIN}" for below in ("*", "*.*"))
