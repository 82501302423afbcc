"""What stands in Vault for one tenant: an engine of each kind it needs, none of them shared with another tenant.

An engine per tenant, not a folder per tenant in one engine: adding a tenant touches nothing that stands, removing one removes
its keys with it, and no slip in a path leads from one tenant's engine into another's.
"""

from dataclasses import dataclass
from typing import Final, Literal

from components.graph.model import Graph
from components.graph.names import service_host

KEY: Final = "tenant"
"""The one key of a tenant's transit engine."""
KEY_ROTATION_SECONDS: Final = 90 * 24 * 3600
ROOT_HOURS: Final = 5 * 365 * 24
AWS_MOST_SECONDS: Final = 3600
Kind = Literal["kv", "database", "transit", "pki", "aws"]


def kv_mount(tenant: str) -> str:
    """Where a tenant's API keys lie."""
    return f"kv-{tenant}"


def database_mount(tenant: str) -> str:
    """Where credentials of a tenant's databases are made."""
    return f"database-{tenant}"


def transit_mount(tenant: str) -> str:
    """Where a tenant's key encrypts and decrypts."""
    return f"transit-{tenant}"


def pki_mount(tenant: str) -> str:
    """A tenant's certificate authority."""
    return f"pki-{tenant}"


def aws_mount(tenant: str) -> str:
    """Where a tenant's services get credentials of AWS."""
    return f"aws-{tenant}"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A secrets engine."""

    path: str
    kind: Kind
    description: str


@dataclass(frozen=True, kw_only=True)
class CertificateRole:
    """Which certificates a service gets of its tenant's authority: for its own host and no other name."""

    mount: str
    name: str
    domain: str
    ttl_hours: int


@dataclass(frozen=True, kw_only=True)
class AwsRole:
    """Which role a service acts as in AWS."""

    mount: str
    name: str
    arn: str
    ttl_seconds: int


def tenant_engines(graph: Graph, region: str, tenant: str) -> tuple[Engine, ...]:
    """The engines that the tenant's workloads of a region use, and that of its databases as soon as an edge leads to one."""
    workloads = graph.workloads_of(tenant, region)
    edges = [edge for store in graph.stores_of(tenant) if store.kind == "database" for edge in graph.data_to(store)]
    wanted: list[tuple[str, Kind, str, bool]] = [
        (kv_mount(tenant), "kv", "API keys", any(workload.settings.secrets for workload in workloads)),
        (
            database_mount(tenant),
            "database",
            "Credentials of databases",
            any(region in edge.service.regions for edge in edges),
        ),
        (transit_mount(tenant), "transit", "The tenant's key", any(workload.settings.tenant_key for workload in workloads)),
        (pki_mount(tenant), "pki", "Certificates of services", bool(certificate_roles(graph, region, tenant))),
        (aws_mount(tenant), "aws", "Credentials of AWS", bool(aws_roles(graph, region, tenant))),
    ]
    return tuple(
        Engine(path=path, kind=kind, description=f"{description} of {tenant}") for path, kind, description, used in wanted if used
    )


def certificate_roles(graph: Graph, region: str, tenant: str) -> tuple[CertificateRole, ...]:
    """One for each service that can be called; none unless the settings want authorities in Vault."""
    if not graph.settings.vault.pki:
        return ()
    return tuple(
        CertificateRole(
            mount=pki_mount(tenant),
            name=workload.name,
            domain=service_host(tenant, workload.name),
            ttl_hours=graph.settings.vault.pki_ttl_hours,
        )
        for workload in graph.workloads_of(tenant, region)
        if workload.serves
    )


def aws_roles(graph: Graph, region: str, tenant: str) -> tuple[AwsRole, ...]:
    """One for each service that has a role in AWS."""
    return tuple(
        AwsRole(
            mount=aws_mount(tenant),
            name=workload.name,
            arn=workload.settings.aws_role.arn,
            ttl_seconds=workload.settings.aws_role.minutes * 60,
        )
        for workload in graph.workloads_of(tenant, region)
        if workload.settings.aws_role is not None
    )


def declared_roles(graph: Graph, region: str) -> tuple[str, ...]:
    """ARNs of every role in AWS that a service of the region has, whoever its tenant, in order and once."""
    return tuple(sorted({role.arn for tenant in graph.tenants for role in aws_roles(graph, region, tenant)}))
