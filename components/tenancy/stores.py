"""A tenant's databases and caches in a region, and one client certificate for every edge of the graph that leads to one.

Without an edge there is no certificate, and without a certificate no store answers. Where the store can tell clients apart
by their certificate (Valkey) it gives each what its edges grant; in PostgreSQL the certificate opens the connection, and
the credential that Vault issues for the edge decides the rights.
"""

from typing import Final

from components.certificates import OWN, Issuer, authority, leaf, product_issuer
from components.graph.model import Data, Graph, Store, Workload
from components.graph.names import TENANT_LABEL
from components.manifests import WITHOUT_AWAIT, Manifest
from components.settings.tenants import CacheSettings, DatabaseSettings
from components.tenancy.postgres import Archive, Postgres, postgres_cluster, postgres_monitor
from components.tenancy.valkey import Valkey, valkey_cache

CLIENT: Final = "client-tls"


def client_secret(edge: Data) -> str:
    """The secret with the certificate that an edge's service shows to its store."""
    return f"{edge.key}-{CLIENT}"


def issuer_of(graph: Graph, tenant: str) -> Issuer:
    """Who signs the certificates of a tenant's stores and of their clients."""
    product = graph.settings.tenants[tenant].product
    return OWN if product is None else product_issuer(product)


def common_name(graph: Graph, edge: Data) -> str:
    """What a store knows the edge's service by: its name, and before it the tenant where the authority signs for several.

    Whose store the edge leads to changes nothing: every store of a product trusts every certificate of its authority.
    """
    service = edge.service
    return service.name if issuer_of(graph, service.tenant) == OWN else f"{service.tenant}.{service.name}"


def edges_by_store(graph: Graph, workload: Workload) -> dict[str, Data]:
    """The workload's edges by the store's name; the settings refuse a second edge to a store of one name."""
    return {edge.store.name: edge for edge in sorted(graph.data_of(workload), key=lambda edge: edge.store.name)}


def postgres_of(graph: Graph, store: Store) -> Postgres:
    """A database of the graph. Raises TypeError for a cache."""
    settings = store.settings
    if not isinstance(settings, DatabaseSettings):
        msg = f"{store.ref} is no database"
        raise TypeError(msg)
    return Postgres(
        namespace=store.tenant,
        name=store.name,
        major=settings.version,
        image=graph.settings.images.postgres[settings.version],
        instances=settings.instances,
        storage=settings.storage,
        cpu=settings.cpu,
        memory=settings.memory,
        labels={TENANT_LABEL: store.tenant},
        issuer=issuer_of(graph, store.tenant),
        archive=Archive(timeout_seconds=graph.settings.backup.databases.archive_timeout_seconds),
    )


def valkey_of(graph: Graph, store: Store) -> Valkey:
    """A cache of the graph, with a user for each service that may use it. Raises TypeError for a database."""
    settings = store.settings
    if not isinstance(settings, CacheSettings):
        msg = f"{store.ref} is no cache"
        raise TypeError(msg)
    return Valkey(
        namespace=store.tenant,
        name=store.name,
        image=graph.settings.images.valkey,
        instances=settings.instances,
        memory=settings.memory,
        users={common_name(graph, edge): edge.settings.privileges for edge in graph.data_to(store)},
        labels={TENANT_LABEL: store.tenant},
        issuer=issuer_of(graph, store.tenant),
    )


def store_host(graph: Graph, store: Store, *, writable: bool) -> str:
    """The host a client of the store connects to."""
    database = store.kind == "database"
    wanted: Postgres | Valkey = postgres_of(graph, store) if database else valkey_of(graph, store)
    return wanted.host(writable=writable)


def store_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The tenant's authority and stores in a region, and the certificates by which its services use a store.

    A tenant of a product has no authority of its own: the product's stands with cert-manager.
    """
    stores, labels, issuer = graph.stores_of(tenant), {TENANT_LABEL: tenant}, issuer_of(graph, tenant)
    made = [*authority(tenant, labels)] if stores and issuer == OWN else []
    for store in stores:
        if store.kind == "database":
            made += postgres_cluster(postgres_of(graph, store))
        else:
            made += valkey_cache(valkey_of(graph, store))
    made += [
        leaf(
            tenant,
            client_secret(edge),
            common_name=common_name(graph, edge),
            usages=("client auth",),
            labels=labels,
            issuer=issuer,
        )
        for edge in graph.index.data_out_of.get(tenant, ())
        if region in edge.service.regions
    ]
    return tuple(made)


def store_monitors(graph: Graph, tenant: str) -> tuple[Manifest, ...]:
    """What scrapes the tenant's databases; caches bring no exporter."""
    monitors = [postgres_monitor(postgres_of(graph, store)) for store in graph.stores_of(tenant) if store.kind == "database"]
    return tuple({**each, "metadata": {**each["metadata"], "annotations": dict(WITHOUT_AWAIT)}} for each in monitors)
