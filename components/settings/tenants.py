"""Tenants: their services, data stores, clients and limits. Who may call what stands in `access`, not here."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Coordinate, Cpu, Image, IssuerUrl, Memory, Name, Port, RegionCode, RoleArn, Scope, Storage

PROXY_CPU_MILLICORES = 100
PROXY_MEMORY_MEBIBYTES = 256
"""What the sidecar of each pod requests, and may use of memory; the pod's annotations say so to the injector."""
OPA_CPU_MILLICORES = 50
OPA_MEMORY_MEBIBYTES = 128
"""What the OPA beside each service requests."""
VAULT_CPU_MILLICORES = 30
VAULT_MEMORY_MEBIBYTES = 96
"""What the two containers that fetch credentials (spiffe-helper, vault-agent) request together at most."""
ARCHIVE_CPU_MILLICORES = 50
ARCHIVE_MEMORY_MEBIBYTES = 512
"""What the plug-in beside each database instance requests, and may use of memory, to archive the log and take base backups."""
CACHE_CPU_MILLICORES = 100
"""What each cache instance requests."""
SURGE_PODS = 1
"""Pods beyond the declared ones while a workload rolls, or a database instance joins."""
PROXY_USER_ID = 1337
"""Istio's own: what runs under it leaves the pod past the sidecar."""

RESERVED_NAMESPACES = frozenset(
    {
        *("default", "kube-system", "kube-public", "kube-node-lease"),
        *("spire", "spire-server", "spire-system", "istio-system", "istio-ingress", "istio-egress", "istio-eastwest"),
        *("cert-manager", "cnpg-system", "external-dns", "keycloak", "rate-limit", "platform"),
        *("gatekeeper-system", "kyverno", "falco", "vault", "observability", "node-telemetry", "velero", "chaos-mesh"),
        *("argocd", "security", "trivy-system", "arc-systems", "arc-runners"),
        *("cilium-secrets", "amazon-guardduty"),
        # Not namespaces: what the platform calls its own rules beside `mesh-<tenant>` in the mesh's namespace.
        *("ingress-gateway", "egress-gateway", "eastwest-gateway", "limits", "issuer"),
        # Nor this one: the audit stream's name in the store of logs, as `platform` and `security` are.
        "audit",
    }
)
PROXY_PORTS = frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090})
"""The sidecar's own (Istio, "Ports used by Istio"). 15020, 15021 and 15090 reach a pod past it: no mTLS, no rule, no OPA."""
OPA_PORTS = frozenset({8282, 9191})
"""Of the OPA beside the service: its health and its decisions."""
VAULT_AGENT_PORT = 8100
"""Of the agent that fetches credentials beside the service, on loopback."""
POD_CONTAINERS = frozenset(
    {"opa", "spiffe-helper", "vault-agent", "istio-proxy", "istio-init", "istio-validation", "enable-core-dump"}
)
"""What stands beside the application's container, which is called as the service is. The injector takes a container that is
called `istio-proxy` for its own with changes, and with it the application's image for the proxy's."""


_UNITS = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}


def millicores(cpu: str) -> int:
    """`250m` → 250."""
    return int(cpu.removesuffix("m"))


def mebibytes(quantity: str) -> int:
    """`2Gi` → 2048, for memory and storage."""
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]


class AwsRoleSettings(Model):
    """A role in AWS that a service may act as, by credentials that Vault asks STS for."""

    arn: RoleArn
    """The role; it must trust Vault's own role in each region."""
    minutes: int = Field(default=15, ge=15, le=60)
    """How long the credentials live; STS gives none for less than 15."""


class ServiceSettings(Model):
    """One workload: a Deployment with its own service account, and so its own SPIFFE id `ns/<tenant>/sa/<service>`."""

    image: Image
    """The container image, by digest."""
    port: Port = 8080
    """The HTTP port that the service listens on."""
    replicas: int = Field(default=3, ge=1, le=100)
    """Pods per region at least; spread over the zones. A single one is refused with assurance high."""
    cpu: Cpu = "250m"
    """CPU requested for each pod."""
    memory: Memory = "256Mi"
    """Memory requested and allowed for each pod."""
    processes: tuple[str, ...] = Field(min_length=1)
    """Names of the executables that may run in the container; any other raises a runtime alert."""
    regions: tuple[RegionCode, ...] = ()
    """Regions it runs in; none means every region."""
    kind: Literal["http", "worker"] = "http"
    """A `worker` serves nothing but its probes; nobody may call it."""
    user_id: int = Field(default=10100, ge=1, le=2**31 - 1)
    """The numeric user the container runs as; its root filesystem is read-only and `/tmp` is writable."""
    secrets: tuple[Name, ...] = Field(default=(), max_length=32)
    """API keys and the like that Vault keeps for it, by name: each is a file in the pod, and nobody else's to read."""
    tenant_key: bool = False
    """Whether it may encrypt and decrypt with the tenant's key, which never leaves Vault."""
    aws_role: AwsRoleSettings | None = None
    """What it may do in AWS, if anything."""

    def problems(self) -> Iterator[Problem]:
        if self.user_id == PROXY_USER_ID:
            yield Problem(("user_id",), self.user_id, "use another id; Istio's own is not redirected into the sidecar")
        if self.port in PROXY_PORTS | OPA_PORTS | {VAULT_AGENT_PORT}:
            yield Problem(("port",), self.port, "use another port; the sidecar or what stands beside it has this one")
        for name in sorted({name for name in self.secrets if self.secrets.count(name) > 1}):
            yield Problem(("secrets",), name, "name each secret once")


class DatabaseSettings(Model):
    """A PostgreSQL cluster of the tenant."""

    version: Literal["17", "18"] = "18"
    """The PostgreSQL major version."""
    storage: Storage
    """Size of each instance's volume."""
    instances: int = Field(default=3, ge=1, le=9)
    """Instances per region."""
    cpu: Cpu = "500m"
    """CPU requested for each instance."""
    memory: Memory = "1Gi"
    """Memory requested and allowed for each instance; a quarter of it is shared buffers."""
    credential_ttl_minutes: int = Field(default=15, ge=1, le=60)
    """Minutes a credential lives that Vault issues."""


class CacheSettings(Model):
    """A Valkey (Redis protocol) cache with TLS."""

    memory: Memory
    """Memory of each instance."""
    instances: int = Field(default=3, ge=1, le=9)
    """Instances per region."""


class PublicKeySettings(Model):
    """A P-256 public key as a JSON Web Key spells it (RFC 7518, 6.2.1); it signs with ES256."""

    x: Coordinate
    """X coordinate, base64url."""
    y: Coordinate
    """Y coordinate, base64url."""


class ClientSettings(Model):
    """An OIDC client of the tenant: an application people use, or a partner's machine."""

    grant: Literal["authorization_code", "client_credentials"]
    """Authorization code with PKCE for people, client credentials (private_key_jwt) for machines."""
    scopes: tuple[Scope, ...] = Field(min_length=1)
    """The scopes it may be given."""
    redirect_uris: tuple[IssuerUrl, ...] = ()
    """With `authorization_code`: where people return to, in full; no wildcard."""
    public_keys: dict[Name, PublicKeySettings] = Field(default_factory=dict)
    """With `client_credentials`: the machine's public keys by key id. They stand here, where a review sees them change, and not
    at a URL that the issuer would have to reach."""

    def problems(self) -> Iterator[Problem]:
        if self.grant == "authorization_code" and not self.redirect_uris:
            yield Problem(("redirect_uris",), [], "name the pages people return to after they log in, in full")
        if self.grant == "client_credentials" and not self.public_keys:
            yield Problem(("public_keys",), {}, "give the machine's public key by its key id; it is given no secret")


class UsageSettings(Model):
    """The tenant's share of the API gateway."""

    requests_per_second: int = Field(ge=1, le=10000)
    """Sustained rate."""
    burst: int = Field(ge=1, le=5000)
    """Requests above the rate that are taken at once."""
    requests_per_day: int = Field(ge=1)
    """Daily quota."""

    def problems(self) -> Iterator[Problem]:
        if self.requests_per_day < self.requests_per_second:
            yield Problem(
                ("requests_per_day",),
                self.requests_per_day,
                "use at least requests_per_second: a day has more than one second",
            )


class QuotaSettings(Model):
    """What the tenant's namespace may use in each region."""

    cpu: Cpu = "16000m"
    """Sum of CPU requests."""
    memory: Memory = "32Gi"
    """Sum of memory requests and limits."""
    pods: int = Field(default=60, ge=1, le=2000)
    """Number of pods."""
    storage: Storage = "500Gi"
    """Sum of persistent volumes."""


class TenantSettings(Model):
    """One tenant: one namespace in every region. Its key in `tenants` is the namespace's name."""

    display_name: str = Field(min_length=1, max_length=60)
    """For people."""
    kind: Literal["bank", "shared"] = "bank"
    """`shared` is the namespace of services that tenants use together."""
    product: Name | None = None
    """Namespaces of one product may use each other's databases and caches; those of different products, or of none, never."""
    services: dict[Name, ServiceSettings] = Field(default_factory=dict)
    """Workloads by name."""
    databases: dict[Name, DatabaseSettings] = Field(default_factory=dict)
    """PostgreSQL clusters by name."""
    caches: dict[Name, CacheSettings] = Field(default_factory=dict)
    """Caches by name."""
    clients: dict[Name, ClientSettings] = Field(default_factory=dict)
    """OIDC clients by name."""
    usage: UsageSettings | None = None
    """Limits at the API gateway; needed as soon as a route leads to the tenant."""
    quota: QuotaSettings = QuotaSettings()
    """Limits of the namespace."""

    def problems(self) -> Iterator[Problem]:
        taken: dict[str, str] = {}
        claimed = {f"{name}-{role}": name for name in sorted(self.databases) for role in ("rw", "ro", "r")}
        for kind in ("services", "databases", "caches"):
            for name in getattr(self, kind):
                if name in taken:
                    yield Problem(
                        (kind, name),
                        name,
                        f"{taken[name]} has this name already; give each workload of a tenant a name of its own",
                    )
                taken.setdefault(name, kind)
                if name in POD_CONTAINERS:
                    yield Problem((kind, name), name, "choose another name; a container beside the application has this one")
                if name == "default":
                    yield Problem((kind, name), name, "choose another name; the namespace's unused service account has this one")
                if name in claimed:
                    yield Problem((kind, name), name, f"choose another name; database {claimed[name]} is reached under this one")
        yield from self._quota()

    def _quota(self) -> Iterator[Problem]:
        """What is declared must fit, sidecars and one rolling pod of each workload included, or the last pods never start."""
        # Counted for every service: what brings the last two, an edge to a database, stands elsewhere and may come any day.
        beside_cpu = PROXY_CPU_MILLICORES + OPA_CPU_MILLICORES + VAULT_CPU_MILLICORES
        beside_memory = PROXY_MEMORY_MEBIBYTES + OPA_MEMORY_MEBIBYTES + VAULT_MEMORY_MEBIBYTES
        pods = [
            *(
                (service.replicas + SURGE_PODS, millicores(service.cpu) + beside_cpu, mebibytes(service.memory) + beside_memory)
                for service in self.services.values()
            ),
            *(
                (
                    database.instances + SURGE_PODS,
                    millicores(database.cpu) + ARCHIVE_CPU_MILLICORES,
                    mebibytes(database.memory) + ARCHIVE_MEMORY_MEBIBYTES,
                )
                for database in self.databases.values()
            ),
            *((cache.instances, CACHE_CPU_MILLICORES, mebibytes(cache.memory)) for cache in self.caches.values()),
        ]
        storage = sum(database.instances * mebibytes(database.storage) for database in self.databases.values())
        quota = self.quota
        needs = (
            ("cpu", millicores(quota.cpu), sum(count * cpu for count, cpu, _ in pods), "m"),
            ("memory", mebibytes(quota.memory), sum(count * memory for count, _, memory in pods), "Mi"),
            ("pods", quota.pods, sum(count for count, _, _ in pods), ""),
            ("storage", mebibytes(quota.storage) // 1024, -(-storage // 1024), "Gi"),
        )
        for key, granted, needed, unit in needs:
            if granted < needed:
                yield Problem(
                    ("quota", key),
                    getattr(quota, key),
                    f"raise it to at least {needed}{unit}; that is what the declared replicas and instances need, "
                    "with their sidecars and one more pod each while they roll",
                )
