"""PostgreSQL by CloudNativePG: TLS 1.3 only, a client certificate and a password for whoever connects, no superuser.

For the tenants' databases and for the platform's own (SPIRE's datastore, the issuer's). Outside the mesh: replication and
the operator bring TLS of their own, and a sidecar would stand between them. Relies on: CloudNativePG 1.30, the namespace's
certificate authority, a storage class `encrypted`. Backups are another component's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from components.certificates import OWN, Issuer, leaf
from components.graph.names import CLUSTER_DOMAIN, DATABASE_ACCESS_ROLE, SERVICE_LABEL, database_group, database_name
from components.manifests import WHEN_READY, Manifest, manifest
from components.pods import CPU_BURST, HOST, ZONE
from components.settings.tenants import mebibytes, millicores

API: Final = "postgresql.cnpg.io/v1"
STORAGE_CLASS: Final = "encrypted"
REPLICATION_USER: Final = "streaming_replica"
"""The operator's own user; it knows it by its certificate's common name."""
SYNCHRONOUS_FROM: Final = 3
"""Instances from which one standby confirms every commit: with fewer, one lost pod would stop all writes."""
RELOADED: Final = {"cnpg.io/reload": ""}
"""Label of secrets that the operator watches: a renewed certificate is taken up without a restart."""
OUTSIDE_THE_MESH: Final = {"sidecar.istio.io/inject": "false"}


ARCHIVER: Final = "barman-cloud.cloudnative-pg.io"
"""The plug-in that archives, as the operator knows it."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Where a database's log goes; None of it where `Postgres.archive` is None."""

    timeout_seconds: int
    """A segment that is not full is archived after this time."""

    def plugin(self, database: str) -> dict[str, Any]:
        """The Cluster's entry: the ObjectStore bears the database's name."""
        return {"name": ARCHIVER, "isWALArchiver": True, "parameters": {"barmanObjectName": database}}


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """One database cluster."""

    namespace: str
    name: str
    major: str
    image: str
    """By digest."""
    instances: int
    storage: str
    cpu: str
    memory: str
    labels: Mapping[str, str] = field(default_factory=dict)
    issuer: Issuer = OWN
    login: Literal["certificate_and_password", "certificate"] = "certificate_and_password"
    """`certificate`: the common name is the user and nothing else is asked, for the one client of a platform database."""
    archive: Archive | None = None
    """Where its log goes."""

    @property
    def database(self) -> str:
        """The database and its owner: the name, as SQL writes it without quotes."""
        return database_name(self.name)

    @property
    def client_secret(self) -> str:
        """With `certificate`, the owner's certificate (`postgres_client`)."""
        return f"{self.name}-client-tls"

    @property
    def server_secret(self) -> str:
        """The servers' certificate; not `<name>-server`, which the operator would take for one of its own."""
        return f"{self.name}-server-tls"

    @property
    def replication_secret(self) -> str:
        """The certificate of the standbys."""
        return f"{self.name}-replication-tls"

    def host(self, *, writable: bool) -> str:
        """The service's name: `-rw` is the primary, `-r` any instance (`-ro` would be nobody with one instance)."""
        return f"{self.name}-{'rw' if writable else 'r'}.{self.namespace}.svc.{CLUSTER_DOMAIN}"


def host_rules(wanted: Postgres) -> list[str]:
    """Lines of pg_hba.conf after the operator's own (local, replication); the last two make its own last line unreachable."""
    method = {
        "certificate": [f"hostssl {wanted.database} {wanted.database} all cert"],
        "certificate_and_password": [
            f"hostssl {wanted.database} {DATABASE_ACCESS_ROLE} all cert",
            f"hostssl {wanted.database} all all scram-sha-256 clientcert=verify-ca",
        ],
    }
    return [
        *method[wanted.login],
        "hostnossl all all all reject",
        "host all all all reject",
    ]


def access_statements(wanted: Postgres) -> list[str]:
    """What the superuser runs in a new database, so that Vault can make a credential for each edge of the graph.

    The groups hold the rights: whoever reads may read what the writers make, from the first table on. PUBLIC, and so a
    credential of neither group, has nothing. The operator runs this when it makes the database and never again.
    """
    reads, writes = (database_group(wanted.name, privileges) for privileges in ("read", "read_write"))
    return [
        f"CREATE ROLE {reads} NOLOGIN",
        f"CREATE ROLE {writes} NOLOGIN",
        f"CREATE ROLE {DATABASE_ACCESS_ROLE} LOGIN CREATEROLE CONNECTION LIMIT 10",
        f"GRANT {reads}, {writes} TO {DATABASE_ACCESS_ROLE} WITH ADMIN OPTION",
        f"REVOKE ALL ON DATABASE {wanted.database} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {wanted.database} TO {DATABASE_ACCESS_ROLE}, {reads}, {writes}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {reads}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {writes}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {writes} GRANT SELECT ON TABLES TO {reads}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {writes} GRANT SELECT ON SEQUENCES TO {reads}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {writes} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ]


def postgres_cluster(wanted: Postgres) -> tuple[Manifest, ...]:
    """Everything one database cluster needs but its namespace's authority.

    The image is named through a catalogue with its major version: from a digest alone the operator cannot tell the version.
    """
    labels = {**wanted.labels, SERVICE_LABEL: wanted.name}
    short = [f"{wanted.name}-{role}" for role in ("rw", "r", "ro")]
    names = [
        name
        for service in short
        for name in (
            service,
            f"{service}.{wanted.namespace}",
            f"{service}.{wanted.namespace}.svc",
            f"{service}.{wanted.namespace}.svc.{CLUSTER_DOMAIN}",
        )
    ]
    return (
        manifest(
            API,
            "ImageCatalog",
            wanted.name,
            namespace=wanted.namespace,
            labels=labels,
            spec={"images": [{"major": int(wanted.major), "image": wanted.image}]},
        ),
        leaf(
            wanted.namespace,
            wanted.server_secret,
            common_name=short[0],
            usages=("server auth",),
            dns_names=names,
            labels=labels,
            secret_labels=RELOADED,
            issuer=wanted.issuer,
        ),
        leaf(
            wanted.namespace,
            wanted.replication_secret,
            common_name=REPLICATION_USER,
            usages=("client auth",),
            labels=labels,
            secret_labels=RELOADED,
            issuer=wanted.issuer,
        ),
        # what comes next connects to it: Vault as soon as it is told of it, SPIRE's server at its start
        manifest(
            API,
            "Cluster",
            wanted.name,
            namespace=wanted.namespace,
            labels=labels,
            annotations=WHEN_READY,
            spec=cluster_spec(wanted),
        ),
    )


def postgres_client(wanted: Postgres, *, der: bool = False) -> Manifest:
    """The owner's client certificate in `client_secret`; `der` adds the key as `key.der`, the only form Java reads."""
    return leaf(
        wanted.namespace,
        wanted.client_secret,
        common_name=wanted.database,
        usages=("client auth",),
        labels={**wanted.labels, SERVICE_LABEL: wanted.name},
        der=der,
        issuer=wanted.issuer,
    )


def cluster_spec(wanted: Postgres) -> dict[str, Any]:
    """The Cluster's spec."""
    labels = {**wanted.labels, SERVICE_LABEL: wanted.name}
    return {
        "instances": wanted.instances,
        "imageCatalogRef": {
            "apiGroup": API.partition("/")[0],
            "kind": "ImageCatalog",
            "name": wanted.name,
            "major": int(wanted.major),
        },
        "inheritedMetadata": {"labels": {**labels, **OUTSIDE_THE_MESH}, "annotations": dict(OUTSIDE_THE_MESH)},
        "enableSuperuserAccess": False,
        "enablePDB": True,
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover" if wanted.instances > 1 else "restart",
        "bootstrap": {"initdb": _first(wanted)},
        "certificates": {
            "serverCASecret": wanted.server_secret,
            "serverTLSSecret": wanted.server_secret,
            "clientCASecret": wanted.replication_secret,
            "replicationTLSSecret": wanted.replication_secret,
        },
        "postgresql": _postgresql(wanted),
        "storage": {"size": wanted.storage, "storageClass": STORAGE_CLASS, "resizeInUseVolumes": True},
        "resources": {
            "requests": {"cpu": wanted.cpu, "memory": wanted.memory},
            "limits": {"cpu": f"{CPU_BURST * millicores(wanted.cpu)}m", "memory": wanted.memory},
        },
        "ephemeralVolumesSizeLimit": {"shm": "256Mi", "temporaryData": "1Gi"},
        "seccompProfile": {"type": "RuntimeDefault"},
        "affinity": {"enablePodAntiAffinity": True, "podAntiAffinityType": "required", "topologyKey": HOST},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": ZONE,
                "whenUnsatisfiable": "DoNotSchedule",
                "nodeTaintsPolicy": "Honor",
                "labelSelector": {"matchLabels": {"cnpg.io/cluster": wanted.name, "cnpg.io/podRole": "instance"}},
            }
        ],
        **({"plugins": [wanted.archive.plugin(wanted.name)]} if wanted.archive is not None else {}),
        "monitoring": {"tls": {"enabled": True}},
        "logLevel": "info",
    }


def _first(wanted: Postgres) -> dict[str, Any]:
    made: dict[str, Any] = {"database": wanted.database, "owner": wanted.database, "dataChecksums": True, "encoding": "UTF8"}
    if wanted.login == "certificate_and_password":
        made["postInitApplicationSQL"] = access_statements(wanted)
    return made


def _postgresql(wanted: Postgres) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "pg_hba": host_rules(wanted),
        "parameters": {
            "ssl_min_protocol_version": "TLSv1.3",
            "ssl_max_protocol_version": "TLSv1.3",
            "password_encryption": "scram-sha-256",
            "shared_buffers": f"{mebibytes(wanted.memory) // 4}MB",
            "log_connections": "on",
            "log_disconnections": "on",
            "log_statement": "ddl",
            **({"archive_timeout": f"{wanted.archive.timeout_seconds}s"} if wanted.archive is not None else {}),
        },
    }
    if wanted.instances >= SYNCHRONOUS_FROM:
        # A confirmed payment is on two instances: losing the primary loses none.
        settings["synchronous"] = {"method": "any", "number": 1, "dataDurability": "required"}
    return settings


def postgres_monitor(wanted: Postgres) -> Manifest:
    """Scraping of every instance over TLS; the Cluster's own `enablePodMonitor` is deprecated."""
    return manifest(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        wanted.name,
        namespace=wanted.namespace,
        labels={**wanted.labels, SERVICE_LABEL: wanted.name},
        spec={
            "selector": {"matchLabels": {"cnpg.io/cluster": wanted.name, "cnpg.io/podRole": "instance"}},
            "podMetricsEndpoints": [
                {
                    "port": "metrics",
                    "scheme": "https",
                    "tlsConfig": {
                        "ca": {"secret": {"name": wanted.server_secret, "key": "ca.crt"}},
                        "serverName": f"{wanted.name}-rw",
                    },
                }
            ],
        },
    )
