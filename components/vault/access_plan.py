"""Everything that Vault must hold in one region because of the access graph, as plain data: nothing else gives anybody anything.

`vault_access` is pure. A tenant's part is its own: what is added to one tenant appears in no other's part, but for an edge to
its stores from a tenant of the same product, whose role lies with the store and whose policy lies with the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from components.graph.model import Graph
from components.graph.readers import platform_readers
from components.vault.database import Connection, CredentialRole, connections, credential_roles
from components.vault.engines import AwsRole, CertificateRole, Engine, aws_roles, certificate_roles, tenant_engines
from components.vault.policies import AccessPolicy, granted, workload_policy
from components.vault.readers import platform_engine, reader_policy
from components.vault.roles import LoginMount, LoginRole, login_mount, login_role, workload_role


@dataclass(frozen=True, kw_only=True)
class TenantPlan:
    """What exists because of one tenant, or for the platform itself."""

    engines: tuple[Engine, ...] = ()
    policies: tuple[AccessPolicy, ...] = ()
    logins: tuple[LoginRole, ...] = ()
    connections: tuple[Connection, ...] = ()
    credentials: tuple[CredentialRole, ...] = ()
    certificates: tuple[CertificateRole, ...] = ()
    aws: tuple[AwsRole, ...] = ()

    @property
    def keyed(self) -> tuple[Engine, ...]:
        """Engines that hold the tenant's key."""
        return tuple(engine for engine in self.engines if engine.kind == "transit")


@dataclass(frozen=True, kw_only=True)
class VaultPlan:
    """One region."""

    region: str
    login: LoginMount
    platform: TenantPlan
    tenants: Mapping[str, TenantPlan]
    """By tenant; those that have nothing in Vault are left out."""


def tenant_plan(graph: Graph, region: str, tenant: str) -> TenantPlan:
    """What one tenant has in a region's Vault. A workload that fetches nothing has no login."""
    fetching = [workload for workload in graph.workloads_of(tenant, region) if graph.fetches(workload)]
    return TenantPlan(
        engines=tenant_engines(graph, region, tenant),
        policies=tuple(workload_policy(graph, workload) for workload in fetching),
        logins=tuple(workload_role(graph, region, workload) for workload in fetching),
        connections=connections(graph, region, tenant),
        credentials=credential_roles(graph, region, tenant),
        certificates=certificate_roles(graph, region, tenant),
        aws=aws_roles(graph, region, tenant),
    )


def platform_plan(graph: Graph, region: str) -> TenantPlan:
    """What the platform's own parts read."""
    readers = platform_readers(graph.settings)
    return TenantPlan(
        engines=(platform_engine(),),
        policies=tuple(reader_policy(reader) for reader in readers),
        logins=tuple(login_role(graph, region, reader.name, reader.namespace, reader.account) for reader in readers),
    )


def vault_access(graph: Graph, region: str) -> VaultPlan:
    """The plan of a region."""
    plans = {tenant: tenant_plan(graph, region, tenant) for tenant in graph.tenants}
    return VaultPlan(
        region=region,
        login=login_mount(graph, region),
        platform=platform_plan(graph, region),
        tenants={tenant: plan for tenant, plan in plans.items() if plan != TenantPlan()},
    )


def vault_table(graph: Graph) -> tuple[tuple[str, str, str, str], ...]:
    """Rows for people, the same in every region a workload runs in: who, path, capability, and what it is.

    What every token may do with itself is left out.
    """
    meanings = {
        "database": "a credential of the database",
        "kv": "a secret kept for it",
        "transit": "the tenant's key",
        "pki": "a certificate of its own host",
        "aws": "credentials of its role in AWS",
    }
    rows = [
        (workload.ref, rule.path, rule.capability, meanings[rule.path.partition("-")[0]])
        for workload in graph.workloads.values()
        for rule in granted(graph, workload)
    ]
    rows += [
        (f"{reader.namespace}/{reader.account}", rule.path, rule.capability, "a secret of the platform")
        for reader in platform_readers(graph.settings)
        for rule in reader_policy(reader).rules
        if rule.path.startswith("kv-")
    ]
    return tuple(sorted(rows))
