"""The whole tree, and the rules that hold between its branches."""

import ipaddress
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from components.settings.access import AccessSettings, RouteSettings, overlap
from components.settings.account import AccountSettings, AuditSettings, KeySettings, TagSettings
from components.settings.backup import LEAST_LOCK_DAYS, BackupSettings
from components.settings.base import Model, Problem
from components.settings.chaos import ChaosSettings
from components.settings.cluster import ClusterSettings
from components.settings.delivery import DeliverySettings
from components.settings.edge import EdgeSettings
from components.settings.guardrails import GuardrailSettings, today
from components.settings.identity import IdentitySettings
from components.settings.images import ImagesSettings
from components.settings.network import NetworkSettings, RegionSettings
from components.settings.observability import AlertSettings, ObservabilitySettings
from components.settings.runtime import EXECUTABLE, RuntimeSettings
from components.settings.siem import SiemSettings
from components.settings.tenants import RESERVED_NAMESPACES, TenantSettings
from components.settings.vault import VaultSettings
from components.types import Name, RegionCode

EXAMPLE_DOMAINS = (
    "example",
    "example.com",
    "example.net",
    "example.org",
    "test",
    "invalid",
    "localhost",
    "cluster.local",
    "mycompany.internal",
)
REGIONS_FOR_HIGH_ASSURANCE = 2
INSIDE_DOMAINS = ("cluster.local", "mesh.internal")
"""Names of services: under one of these no host is outside. `components.graph.names` makes them."""


class Settings(Model):
    """One environment: everything an operator decides about it. Frozen; read once; the same keys in every stack."""

    organization: Name
    """Short name of the organisation; the first part of physical names."""
    environment: Name
    """Name of the environment; the second part of physical names."""
    assurance: Literal["standard", "high"]
    """`high` refuses to load what production must not have."""
    account: AccountSettings
    """The AWS account."""
    tags: TagSettings
    """Tags on everything."""
    keys: KeySettings = KeySettings()
    """KMS keys."""
    audit: AuditSettings = AuditSettings()
    """Evidence and its retention."""
    regions: dict[RegionCode, RegionSettings] = Field(min_length=1)
    """Regions by AWS region code; all symmetric."""
    home_region: RegionCode
    """Where the account-wide resources live (the trail, global records); it cannot be moved in place."""
    network: NetworkSettings = NetworkSettings()
    """Networks."""
    cluster: ClusterSettings
    """Clusters."""
    edge: EdgeSettings
    """The way in."""
    identity: IdentitySettings
    """Workload and user identity."""
    images: ImagesSettings
    """Images of the platform's own programs."""
    guardrails: GuardrailSettings = GuardrailSettings()
    """Admission: exemptions, further images, and the limits of pods."""
    runtime: RuntimeSettings = RuntimeSettings()
    """Detection at run time."""
    vault: VaultSettings = VaultSettings()
    """Secrets."""
    observability: ObservabilitySettings = ObservabilitySettings()
    """Metrics, logs and traces."""
    siem: SiemSettings = SiemSettings()
    """The audit stream: where it is forwarded."""
    backup: BackupSettings = BackupSettings()
    """Backups and their copies."""
    chaos: ChaosSettings = ChaosSettings()
    """Game days."""
    delivery: DeliverySettings = DeliverySettings()
    """GitOps, runners and scans."""
    tenants: dict[Name, TenantSettings] = Field(default_factory=dict)
    """Tenants by namespace."""
    access: AccessSettings = AccessSettings()
    """Who may call what."""

    def deliverable(self) -> "Settings":
        """The settings as they can stand now: before Vault is configured nobody could bring a receiver its key, so none is on."""
        if self.vault.configured:
            return self
        watched, sinks = self.observability, self.siem.sinks
        return self.model_copy(
            update={
                "observability": watched.model_copy(update={"alerts": AlertSettings()}),
                "runtime": self.runtime.model_copy(update={"slack": None, "pagerduty": None}),
                "siem": self.siem.model_copy(
                    update={"sinks": {name: sink for name, sink in sinks.items() if name not in self.siem.tokens}}
                ),
            }
        )

    def problems(self) -> Iterator[Problem]:
        yield from self._addresses()
        if self.home_region not in self.regions:
            yield Problem(("home_region",), self.home_region, f"name one of the regions: {', '.join(sorted(self.regions))}")
        yield from self._tenants()
        yield from self._calls()
        yield from self._stores()
        yield from self._egress()
        yield from self._routes()
        yield from self._principals()
        yield from self._open_paths()
        yield from self._copies_and_faults()
        yield from self._guardrails()
        yield from self._delivery()
        yield from self._writers()
        if self.assurance == "high":
            yield from self._high_assurance()
            yield from self._woken()

    def _addresses(self) -> Iterator[Problem]:
        networks = [
            (("regions", code, key), getattr(region, key))
            for code, region in sorted(self.regions.items())
            for key in ("vpc_cidr", "service_cidr")
        ]
        for (first, one), (second, other) in itertools.combinations(networks, 2):
            if ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other)):
                yield Problem(second, other, f"choose a network that does not overlap {'.'.join(first)} ({one})")

    def _tenants(self) -> Iterator[Problem]:
        for tenant, settings in sorted(self.tenants.items()):
            if tenant in RESERVED_NAMESPACES:
                yield Problem(("tenants", tenant), tenant, "choose another name; the platform owns this namespace")
            for database, wanted in sorted(settings.databases.items()):
                if wanted.version not in self.images.postgres:
                    yield Problem(
                        ("tenants", tenant, "databases", database, "version"),
                        wanted.version,
                        f"pin this version's image under images.postgres; pinned: {', '.join(sorted(self.images.postgres))}",
                    )
            for service, workload in sorted(settings.services.items()):
                yield from self._unknown_regions(("tenants", tenant, "services", service, "regions"), workload.regions)
                for process in workload.processes:
                    if not EXECUTABLE.fullmatch(process):
                        yield Problem(
                            ("tenants", tenant, "services", service, "processes"),
                            process,
                            "write the executable's file name alone, without its folder; detection compares names",
                        )

    def _unknown_regions(self, path: tuple[str, ...], codes: Iterable[str]) -> Iterator[Problem]:
        for code in codes:
            if code not in self.regions:
                yield Problem(path, code, f"name one of the regions: {', '.join(sorted(self.regions))}")

    def _missing(self, path: tuple[str, ...], ref: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
        tenant, name = ref.split("/")
        words = " or ".join(kind.rstrip("s") for kind in kinds)
        if tenant not in self.tenants:
            declared = ", ".join(sorted(self.tenants)) or "none yet"
            yield Problem(path, ref, f"there is no tenant {tenant}; declare it under tenants, or name one of {declared}")
            return
        known = sorted(itertools.chain.from_iterable(getattr(self.tenants[tenant], kind) for kind in kinds))
        if name not in known:
            yield Problem(
                path,
                ref,
                f"{tenant} has no {words} {name}; declare it, or name one of {', '.join(known) or 'none yet'}",
            )

    def _calls(self) -> Iterator[Problem]:
        pairs: dict[tuple[str, str], str] = {}
        for key, call in sorted(self.access.calls.items()):
            path = ("access", "calls", key)
            yield from self._missing((*path, "caller"), call.caller, ("services",))
            yield from self._missing((*path, "callee"), call.callee, ("services",))
            yield from self._unknown_regions((*path, "conditions", "source_regions"), call.conditions.source_regions)
            tenant, name = call.callee.split("/")
            service = self.tenants[tenant].services.get(name) if tenant in self.tenants else None
            if service and service.kind == "worker":
                yield Problem(
                    (*path, "callee"),
                    call.callee,
                    "this service is a worker and serves nobody; call another, or set its kind to http",
                )
            if (call.caller, call.callee) in pairs:
                yield Problem(
                    path,
                    f"{call.caller} → {call.callee}",
                    f"{pairs[call.caller, call.callee]} declares this pair; put its operations there",
                )
            pairs.setdefault((call.caller, call.callee), key)

    def _stores(self) -> Iterator[Problem]:
        used: dict[tuple[str, str], str] = {}
        for key, edge in sorted(self.access.data.items()):
            path = ("access", "data", key)
            first = used.setdefault((edge.service, edge.store.split("/")[-1]), key)
            if first != key:
                yield Problem(
                    (*path, "store"), edge.store, f"{first} gives this service a store of that name; keep one, or rename a store"
                )
            yield from self._missing((*path, "service"), edge.service, ("services",))
            yield from self._missing((*path, "store"), edge.store, ("databases", "caches"))
            if not self._one_product(edge.service.split("/")[0], edge.store.split("/")[0]):
                yield Problem(
                    (*path, "store"),
                    edge.store,
                    "name a store of the service's own tenant or product; others' data is reached through their services",
                )

    def _one_product(self, tenant: str, other: str) -> bool:
        products = {self.tenants[name].product for name in (tenant, other) if name in self.tenants}
        return tenant == other or (len(products) == 1 and None not in products)

    def _egress(self) -> Iterator[Problem]:
        for key, edge in sorted(self.access.egress.items()):
            yield from self._missing(("access", "egress", key, "service"), edge.service, ("services",))
            inside = (*INSIDE_DOMAINS, self.identity.trust_domain_base)
            if any(edge.host == domain or edge.host.endswith(f".{domain}") for domain in inside):
                yield Problem(
                    ("access", "egress", key, "host"),
                    edge.host,
                    "name a host outside the platform; a service is called by an edge under access.calls, and its callee decides",
                )

    def _open_paths(self) -> Iterator[Problem]:
        """What is answered without a token must be nobody's route."""
        tenant = self.edge.failover.health_path.split("/")[1]
        if tenant in self.tenants:
            yield Problem(
                ("edge", "failover", "health_path"),
                self.edge.failover.health_path,
                f"choose a path outside of tenant {tenant}'s; it is answered without a token",
            )
        if self.identity.issuer_kind == "keycloak" and urlsplit(self.identity.issuer).hostname == self.edge.domain:
            yield Problem(
                ("identity", "issuer"),
                self.identity.issuer,
                "give the issuer a host of its own; its paths need no token, and on edge.domain they would be the tenants' too",
            )

    def _routes(self) -> Iterator[Problem]:
        taken: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for key, route in sorted(self.access.routes.items()):
            path = ("access", "routes", key)
            yield from self._missing((*path, "service"), route.service, ("services",))
            tenant = route.service.split("/")[0]
            if tenant in self.tenants and self.tenants[tenant].usage is None:
                yield Problem(
                    ("tenants", tenant, "usage"),
                    None,
                    f"declare the usage limits; {'.'.join(path)} leads to this tenant",
                )
            for ref in route.clients:
                yield from self._missing((*path, "clients"), ref, ("clients",))
                owner, name = ref.split("/")
                client = self.tenants[owner].clients.get(name) if owner in self.tenants else None
                for scope in sorted(set(route.scopes) - set(client.scopes)) if client else ():
                    yield Problem(
                        (*path, "scopes"),
                        scope,
                        f"{ref} is never given this scope; add it to the client or drop it here",
                    )
            yield from self._taken(key, route, taken)

    def _taken(self, key: str, route: RouteSettings, taken: dict[tuple[str, str], list[tuple[str, str]]]) -> Iterator[Problem]:
        """Requests of a tenant that another route has: in which order they are merged must decide nothing."""
        tenant = route.service.split("/")[0]
        own = [(method, public) for operation in route.operations for method in operation.methods for public in operation.paths]
        for method, public in own:
            earlier = taken.get((tenant, method), [])
            other = next((name for name, known in earlier if overlap(known, public)), None)
            if other is not None:
                yield Problem(
                    ("access", "routes", key), f"{method} {public}", f"{other} routes such a request already; give each one route"
                )
        for method, public in own:
            taken.setdefault((tenant, method), []).append((key, public))

    def _principals(self) -> Iterator[Problem]:
        trusted = {self.account.deployer_role, self.account.security_contact_role}
        for name, entry in sorted(self.cluster.access.items()):
            if entry.policy == "admin" and not entry.namespaces and entry.principal not in trusted:
                yield Problem(
                    ("cluster", "access", name, "policy"),
                    entry.policy,
                    "list namespaces or choose view; only the deployer and the break-glass role administer the whole cluster",
                )
            owned = sorted(set(entry.namespaces) - set(self.tenants))
            if entry.policy != "view" and owned and entry.principal not in trusted:
                yield Problem(
                    ("cluster", "access", name, "namespaces"),
                    owned,
                    "name namespaces of tenants; who may make a pod in the platform's own takes its identity, and so the cluster",
                )
        if not any(
            entry.principal == self.account.deployer_role and entry.policy == "admin" for entry in self.cluster.access.values()
        ):
            yield Problem(
                ("cluster", "access"),
                sorted(self.cluster.access),
                "give account.deployer_role an admin entry; without one nobody could install the platform",
            )

    def _guardrails(self) -> Iterator[Problem]:
        for name, exemption in sorted(self.guardrails.exemptions.items()):
            if tenants := sorted(set(exemption.namespaces) - RESERVED_NAMESPACES):
                yield Problem(
                    ("guardrails", "exemptions", name, "namespaces"),
                    tenants,
                    "name namespaces of the platform; a tenant's are never exempt",
                )
        for tenant in sorted(set(self.guardrails.extra_images) - set(self.tenants)):
            yield Problem(("guardrails", "extra_images", tenant), tenant, "there is no such tenant; declare it under tenants")
        if self.assurance == "high":
            for name in self.guardrails.over(today()):
                yield Problem(
                    ("guardrails", "exemptions", name, "expires"),
                    self.guardrails.exemptions[name].expires,
                    "this exemption is over; remove it, or have it approved again; assurance high loads none that is over",
                )

    def _delivery(self) -> Iterator[Problem]:
        for tenant in sorted(set(self.delivery.gitops.tenants) - set(self.tenants)):
            yield Problem(("delivery", "gitops", "tenants", tenant), tenant, "there is no such tenant; declare it under tenants")
        if (self.delivery.gitops.enabled or self.delivery.scanning.enabled) and self.images.delivery is None:
            yield Problem(("images", "delivery"), None, "pin the images of delivery by digest; tags of a scanner have been moved")

    def _copies_and_faults(self) -> Iterator[Problem]:
        high = self.assurance == "high"
        for tenant in sorted(set(self.backup.namespaces.tenants) - set(self.tenants)):
            yield Problem(
                ("backup", "namespaces", "tenants", tenant), tenant, "there is no such tenant; declare it under tenants"
            )
        if high and not self.backup.copy_to_other_region:
            yield Problem(("backup", "copy_to_other_region"), False, "turn it on; assurance high survives the loss of a region")
        if high and self.backup.lock_days < LEAST_LOCK_DAYS:
            yield Problem(("backup", "lock_days"), self.backup.lock_days, f"lock backups for at least {LEAST_LOCK_DAYS} days")
        if high and self.images.backup is None:
            yield Problem(("images", "backup"), None, "pin the images of backups by digest; the charts' own are named by tag")
        if self.chaos.enabled and self.images.chaos is None:
            yield Problem(("images", "chaos"), None, "pin the images of Chaos Mesh by digest; its daemon is privileged")
        for namespace, wanted in sorted(self.chaos.namespaces.items()):
            path = ("chaos", "namespaces", namespace)
            if namespace not in self.tenants and namespace not in RESERVED_NAMESPACES:
                yield Problem(path, namespace, "name a tenant, or a namespace of the platform")
            elif high and namespace in self.tenants and wanted.last_day is None:
                yield Problem(
                    (*path, "last_day"), None, "name the window's days; no tenant of assurance high is open to faults for good"
                )
            elif high and wanted.last_day is not None and wanted.last_day < today().isoformat():
                yield Problem((*path, "last_day"), wanted.last_day, "the window is over; take the namespace out")

    def _high_assurance(self) -> Iterator[Problem]:
        base = self.identity.trust_domain_base
        if len(self.regions) < REGIONS_FOR_HIGH_ASSURANCE:
            yield Problem(("regions",), sorted(self.regions), "add a second region; assurance high survives the loss of one")
        if any(base == domain or base.endswith(f".{domain}") for domain in EXAMPLE_DOMAINS):
            yield Problem(
                ("identity", "trust_domain_base"),
                base,
    def _writers(self) -> Iterator[Problem]:
        for owner in sorted(set(self.vault.writers) - {*self.tenants, "platform"}):
            yield Problem(("vault", "writers", owner), owner, "name a tenant, or platform for the platform's own secrets")

    def _woken(self) -> Iterator[Problem]:
        if not self.observability.alerts.pagerduty:
            yield Problem(
                ("observability", "alerts", "pagerduty"), False, "turn it on; with assurance high a page wakes somebody"
            )

                "choose a trust domain of your own; assurance high refuses example names",
            )
        if self.network.nat != "per_zone":
            yield Problem(("network", "nat"), self.network.nat, "use per_zone; assurance high survives the loss of a zone")
        if self.audit.worm_mode != "COMPLIANCE":
            yield Problem(
                ("audit", "worm_mode"),
                self.audit.worm_mode,
                "use COMPLIANCE; with GOVERNANCE a permission can delete evidence",
            )
        for key in ("log_retention_days", "worm_retention_days"):
            if getattr(self.audit, key) < 365:  # noqa: PLR2004 - the catalogue's AUD-04 and S3-05 ask for a year
                yield Problem(("audit", key), getattr(self.audit, key), "keep evidence for at least 365 days with assurance high")
        if self.edge.waf.count_only:
            yield Problem(
                ("edge", "waf", "count_only"),
                list(self.edge.waf.count_only),
                "empty it; with assurance high every rule blocks",
            )
        for guard, on in sorted(self.account.guards.model_dump().items()):
            if not on:
                yield Problem(("account", "guards", guard), on, "turn it on; assurance high needs every account guard")
