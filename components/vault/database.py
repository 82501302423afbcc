"""Credentials of a tenant's databases: an engine for the tenant, a connection for each database, a role for each edge.

The edge's privileges are enforced here: a credential is a member of one group of its database, `<database>_read` or
`<database>_read_write`, which `components.tenancy.postgres` makes when it makes the database. Vault itself connects as
`vault_access` by a client certificate and no password, and may make and drop credentials; it is no superuser.

A credential dies at its end: nobody renews it, its sessions are ended, and what it made belongs to the group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from components.graph.model import Data, Graph, Store
from components.graph.names import (
    CLUSTER_DOMAIN,
    DATABASE_ACCESS_ROLE,
    POSTGRES_PORT,
    database_group,
    database_name,
)
from components.settings.tenants import DatabaseSettings
from components.vault.engines import database_mount

PLUGIN: Final = "postgresql-database-plugin"
CONNECTIONS: Final = 20
"""A pod's pool. One credential is one pod's."""
VAULT_CONNECTIONS: Final = 4
USERNAME: Final = '{{ printf "v_%s_%s_%s" (.RoleName | truncate 24) (random 16) (unix_time) }}'
"""At most 54 of PostgreSQL's 63 characters; the edge is readable in every log line."""
_REVOCATION: Final = f"""DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{{{{name}}}}') THEN
    ALTER ROLE "{{{{name}}}}" NOLOGIN;
    GRANT "{{{{name}}}}" TO {DATABASE_ACCESS_ROLE};
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{{{name}}}}';
    REASSIGN OWNED BY "{{{{name}}}}" TO "<heir>";
    DROP OWNED BY "{{{{name}}}}";
    DROP ROLE "{{{{name}}}}";
  END IF;
END $$"""  # noqa: S608 - both are names of the graph's own making
_NO_PRIVILEGE: Final = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How Vault reaches one database."""

    mount: str
    name: str
    """The store's."""
    url: str
    username: str
    roles: tuple[str, ...]
    """Roles that may use it."""


@dataclass(frozen=True, kw_only=True)
class CredentialRole:
    """What Vault issues for one edge."""

    mount: str
    name: str
    """The edge's key."""
    connection: str
    creation: tuple[str, ...]
    revocation: tuple[str, ...]
    ttl_seconds: int


def creation_statements(edge: Data) -> tuple[str, ...]:
    """Statements that make a credential; Vault fills in what stands in double braces.

    A writer's sessions begin as the group, so what it creates is the group's, and every other writer's too.
    """
    group = database_group(edge.store.name, edge.settings.privileges)
    made = (
        f"CREATE ROLE \"{{{{name}}}}\" WITH LOGIN PASSWORD '{{{{password}}}}' VALID UNTIL '{{{{expiration}}}}' "
        f'{_NO_PRIVILEGE} CONNECTION LIMIT {CONNECTIONS} IN ROLE "{group}"'
    )
    if edge.settings.privileges == "read":
        return (made,)
    return (made, f"ALTER ROLE \"{{{{name}}}}\" SET role = '{group}'")


def revocation_statements(edge: Data) -> tuple[str, ...]:
    """One statement that ends a credential, and does nothing if it is gone already: Vault repeats what failed.

    Sessions first: a password that has ended ends no session. What is left behind goes to the writers' group.
    """
    return (_REVOCATION.replace("<heir>", database_group(edge.store.name, "read_write")),)


def edges_of(graph: Graph, region: str, store: Store) -> Sequence[Data]:
    """Who uses the store in a region."""
    return [edge for edge in graph.data_to(store) if region in edge.service.regions]


def connections(graph: Graph, region: str, tenant: str) -> tuple[Connection, ...]:
    """One for each database that an edge leads to. The server's name is verified; the files come with the component."""
    return tuple(
        Connection(
            mount=database_mount(tenant),
            name=store.name,
            url=(
                f"postgresql://{{{{username}}}}@{store.name}-rw.{tenant}.svc.{CLUSTER_DOMAIN}:{POSTGRES_PORT}"
                f"/{database_name(store.name)}?sslmode=verify-full"
            ),
            username=DATABASE_ACCESS_ROLE,
            roles=tuple(sorted(edge.key for edge in edges_of(graph, region, store))),
        )
        for store in graph.stores_of(tenant)
        if store.kind == "database" and edges_of(graph, region, store)
    )


def credential_roles(graph: Graph, region: str, tenant: str) -> tuple[CredentialRole, ...]:
    """One for each edge that leads to a database of the tenant, from whichever tenant of its product."""
    return tuple(
        CredentialRole(
            mount=database_mount(tenant),
            name=edge.key,
            connection=store.name,
            creation=creation_statements(edge),
            revocation=revocation_statements(edge),
            ttl_seconds=store.settings.credential_ttl_minutes * 60,
        )
        for store in graph.stores_of(tenant)
        if isinstance(store.settings, DatabaseSettings)
        for edge in edges_of(graph, region, store)
    )
