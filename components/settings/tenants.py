"""Tenants: their services, data stores, clients and limits. Who may call what stands in `access`, not here."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Cpu, Image, Memory, Name, Port, RegionCode, Scope, Storage

RESERVED_NAMESPACES = frozenset(
    {
        *("default", "kube-system", "kube-public", "kube-node-lease"),
        *("spire", "spire-server", "spire-system", "istio-system", "istio-ingress", "istio-egress", "istio-eastwest"),
        *("cert-manager", "cnpg-system", "external-dns", "keycloak", "rate-limit", "platform"),
        *("gatekeeper-system", "kyverno", "falco", "vault", "observability", "velero", "chaos-mesh", "argocd"),
    }
)


class ServiceSettings(Model):
    """One workload: a Deployment with its own service account, and so its own SPIFFE id `ns/<tenant>/sa/<service>`."""

    image: Image
    """The container image, by digest."""
    port: Port = 8080
    """The HTTP port that the service listens on."""
    replicas: int = Field(default=3, ge=2, le=100)
    """Pods per region at least; spread over the zones."""
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


class DatabaseSettings(Model):
    """A PostgreSQL cluster of the tenant."""

    version: Literal["17", "18"] = "18"
    """The PostgreSQL major version."""
    storage: Storage
    """Size of each instance's volume."""
    instances: int = Field(default=3, ge=1, le=9)
    """Instances per region."""
    credential_ttl_minutes: int = Field(default=15, ge=1, le=60)
    """Minutes a credential lives that Vault issues."""


class CacheSettings(Model):
    """A Valkey (Redis protocol) cache with TLS."""

    memory: Memory
    """Memory of each instance."""
    instances: int = Field(default=3, ge=1, le=9)
    """Instances per region."""


class ClientSettings(Model):
    """An OIDC client of the tenant: an application people use, or a partner's machine."""

    grant: Literal["authorization_code", "client_credentials"]
    """Authorization code with PKCE for people, client credentials (private_key_jwt) for machines."""
    scopes: tuple[Scope, ...] = Field(min_length=1)
    """The scopes it may be given."""


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
        for kind in ("services", "databases", "caches"):
            for name in getattr(self, kind):
                if name in taken:
                    yield Problem(
                        (kind, name),
                        name,
                        f"{taken[name]} has this name already; give each workload of a tenant a name of its own",
                    )
                taken.setdefault(name, kind)
