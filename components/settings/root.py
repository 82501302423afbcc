"""The whole tree, and the rules that hold between its branches."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings import rules_access, rules_platform
from components.settings.access import AccessSettings
from components.settings.account import AccountSettings, AuditSettings, KeySettings, TagSettings
from components.settings.backup import BackupSettings
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
from components.settings.runtime import RuntimeSettings
from components.settings.siem import SiemSettings
from components.settings.tenants import RESERVED_NAMESPACES, TenantSettings
from components.settings.vault import VaultSettings
from components.types import Name, RegionCode


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
        yield from rules_platform.addresses(self)
        if self.home_region not in self.regions:
            yield Problem(("home_region",), self.home_region, f"name one of the regions: {', '.join(sorted(self.regions))}")
        yield from rules_platform.tenants(self)
        yield from rules_access.calls(self)
        yield from rules_access.stores(self)
        yield from rules_access.egress(self)
        yield from rules_access.routes(self)
        yield from rules_platform.principals(self)
        yield from rules_platform.open_paths(self)
        yield from rules_platform.copies(self)
        yield from rules_platform.faults(self)
        yield from self._guardrails()
        yield from self._delivery()
        yield from self._traces()
        yield from self._writers()
        if self.assurance == "high":
            yield from rules_platform.high_assurance(self)
            yield from self._woken()

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
        runners = self.delivery.runners
        if runners is not None and runners.credential.expires < today():
            yield Problem(
                ("delivery", "runners", "credential", "expires"),
                runners.credential.expires,
                "replace the key and have the exception approved again, or take the runners out",
            )
        wanted = self.delivery.gitops.enabled or self.delivery.scanning.enabled or runners is not None
        if wanted and self.images.delivery is None:
            yield Problem(("images", "delivery"), None, "pin the images of delivery by digest; tags of a scanner have been moved")

    def _traces(self) -> Iterator[Problem]:
        if self.observability.traces.store == "jaeger" and self.images.jaeger is None:
            yield Problem(("images", "jaeger"), None, "pin Jaeger's image by digest, or set observability.traces.store to tempo")

    def _writers(self) -> Iterator[Problem]:
        for owner in sorted(set(self.vault.writers) - {*self.tenants, "platform"}):
            yield Problem(("vault", "writers", owner), owner, "name a tenant, or platform for the platform's own secrets")

    def _woken(self) -> Iterator[Problem]:
        if not self.observability.alerts.pagerduty:
            yield Problem(
                ("observability", "alerts", "pagerduty"), False, "turn it on; with assurance high a page wakes somebody"
            )
