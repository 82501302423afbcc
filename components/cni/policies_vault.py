"""Network rules of Vault: its servers among themselves, whom they ask, who comes from outside, and the snapshots' job.

A service's way to Vault stands with the access graph (`policies_tenant`). Vault's own way to a tenant's database is here and is
the tenant's: it is there when the database is, and on both sides.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from components.cni import dns
from components.cni.policies import CredentialAgent, Flow, Hosts, Lookups, Networks, Pods, Policy
from components.cni.policies_observability import ALERTMANAGER, COLLECTORS, SIDE_KICK
from components.cni.policies_tenant import API_PORT, VAULT, control_plane, store_pods, subnets
from components.graph.model import Graph, Store
from components.graph.names import (
    DISCOVERY_SERVICE,
    POSTGRES_PORT,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    VAULT_NAMESPACE,
    VAULT_PORT,
    VAULT_SERVICE,
    service_host,
)
from components.graph.readers import platform_readers
from components.names import bucket_name

RAFT_PORT: Final = 8201
DISCOVERY_PORT: Final = 8443
"""Of the container; its Service has 443."""
VAULT_PODS: Final = VAULT
SNAPSHOT: Final = Pods(namespace=VAULT_NAMESPACE, labels={SERVICE_LABEL: "vault-snapshot"}, service_account="vault-snapshot")
DISCOVERY: Final = Pods(namespace=SPIRE_SERVER_NAMESPACE, labels={SERVICE_LABEL: "spiffe-oidc-discovery-provider"})
BACKUP_PURPOSE: Final = "backup"
READERS: Final = {str(pods.service_account): pods for pods in (ALERTMANAGER, COLLECTORS, SIDE_KICK)}
"""Pods of the platform that may have a secret in Vault, by their account."""


def vault_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """Everything that a region has once."""
    return (*_servers(graph, region), *_snapshots(graph, region), *_readers(graph), *_writers(graph))


def tenant_vault_policies(graph: Graph, region: str, tenant: str) -> tuple[Policy, ...]:
    """Vault's way to the databases of one tenant that a service uses in this region: it makes their logins and removes them."""
    return tuple(
        policy
        for store in graph.stores_of(tenant)
        if store.kind == "database" and any(region in edge.service.regions for edge in graph.data_to(store))
        for policy in _credentials(store)
    )


def _servers(graph: Graph, region: str) -> Iterator[Policy]:
    among = Flow(peer=VAULT_PODS, ports=(VAULT_PORT, RAFT_PORT))
    yield Policy(
        name="instances-vault",
        subject=VAULT_PODS,
        ingress=(among,),
        egress=(among, Flow(peer=Lookups(patterns=dns.services_of(VAULT_NAMESPACE)))),
    )
    # Labels of its own pods, and whose token it was shown.
    yield Policy(
        name="vault-api",
        subject=VAULT_PODS,
        egress=(
            Flow(peer=control_plane(graph, region), ports=(API_PORT,)),
            Flow(peer=Lookups(names=(service_host("default", "kubernetes"),))),
        ),
    )
    # The seal's key, and STS for the role, for the deployer's login and for the credentials it gives out.
    hosts = tuple(f"{service}.{region}.amazonaws.com" for service in ("kms", "sts"))
    yield Policy(
        name="vault-aws",
        subject=VAULT_PODS,
        egress=(
            Flow(peer=Hosts(names=hosts, inside=subnets(graph, region, "intra")), ports=(API_PORT,)),
            Flow(peer=Lookups(names=hosts)),
        ),
    )
    yield Policy(
        name="vault-identities",
        subject=VAULT_PODS,
        egress=(
            Flow(peer=DISCOVERY, ports=(DISCOVERY_PORT,)),
            Flow(peer=Lookups(names=(service_host(SPIRE_SERVER_NAMESPACE, DISCOVERY_SERVICE),))),
        ),
    )
    yield Policy(name="vault-identities", subject=DISCOVERY, ingress=(Flow(peer=VAULT_PODS, ports=(DISCOVERY_PORT,)),))
    # The load balancer's interfaces, whose security group says who stands behind them.
    yield Policy(
        name="vault-deployer",
        subject=VAULT_PODS,
        ingress=(Flow(peer=Networks(cidrs=subnets(graph, region, "intra")), ports=(VAULT_PORT,)),),
    )


def _snapshots(graph: Graph, region: str) -> Iterator[Policy]:
    settings, service = graph.settings, f"s3.{region}.amazonaws.com"
    bucket = bucket_name(settings.organization, settings.environment, region, BACKUP_PURPOSE, settings.account.id)
    hosts = (service, f"{bucket}.{service}")
    yield Policy(
        name="vault-snapshot",
        subject=SNAPSHOT,
        egress=(
            Flow(peer=VAULT_PODS, ports=(VAULT_PORT,)),
            Flow(peer=Lookups(names=(service_host(VAULT_NAMESPACE, f"{VAULT_SERVICE}-active"),))),
        ),
    )
    # By the gateway endpoint, which leaves S3 its public addresses.
    yield Policy(
        name="vault-snapshot-bucket",
        subject=SNAPSHOT,
        egress=(
            Flow(peer=Hosts(names=hosts), ports=(API_PORT,)),
            Flow(peer=Lookups(names=hosts)),
            Flow(peer=CredentialAgent()),
        ),
    )
    yield Policy(name="snapshot", subject=VAULT_PODS, ingress=(Flow(peer=SNAPSHOT, ports=(VAULT_PORT,)),))


def _readers(graph: Graph) -> Iterator[Policy]:
    """The platform's own parts that fetch a secret, each by its account, and Vault's side of it."""
    names = Lookups(names=(service_host(VAULT_NAMESPACE, VAULT_SERVICE),))
    for reader in platform_readers(graph.settings):
        pods, port = READERS[reader.account], (VAULT_PORT,)
        yield Policy(name=f"secrets-{reader.account}", subject=pods, egress=(Flow(peer=VAULT_PODS, ports=port), Flow(peer=names)))
        yield Policy(name=f"fetched-{reader.account}", subject=VAULT_PODS, ingress=(Flow(peer=pods, ports=port),))


def _writers(graph: Graph) -> Iterator[Policy]:
    """Vault's way to the keys of the issuer, whose tokens writers show."""
    if graph.settings.vault.writers:
        keys = urlsplit(graph.settings.identity.keys_url)
        host = str(keys.hostname)
        flows = (Flow(peer=Hosts(names=(host,)), ports=(keys.port or API_PORT,)), Flow(peer=Lookups(names=(host,))))
        yield Policy(name="vault-issuer", subject=VAULT_PODS, egress=flows)


def _credentials(store: Store) -> Iterator[Policy]:
    """The name on Vault's side joins its parts with a dot, which no name of the settings holds."""
    database = store_pods(store)
    yield Policy(
        name=f"credentials.{store.tenant}.{store.name}",
        subject=VAULT_PODS,
        egress=(
            Flow(peer=database, ports=(POSTGRES_PORT,)),
            Flow(peer=Lookups(names=(service_host(store.tenant, f"{store.name}-rw"),))),
        ),
    )
    yield Policy(name=f"credentials-{store.name}", subject=database, ingress=(Flow(peer=VAULT_PODS, ports=(POSTGRES_PORT,)),))
