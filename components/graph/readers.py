"""What of the platform itself reads from Vault, from the settings alone: one row for each service account that needs a secret.

Network rules, identities, Vault's policies and the agents beside the pods are all made from these rows, so a receiver that is
turned off leaves nobody behind who may read its key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from components.graph.names import ALERTMANAGER, COLLECTOR, OBSERVABILITY_NAMESPACE, SECURITY_NAMESPACE, SIDEKICK
from components.settings import Settings

ALERT_SECRETS: Final = "alertmanager/receivers"
EVENT_SECRETS: Final = "falcosidekick/outputs"
SINK_SECRETS: Final = "siem"
"""Above one secret for each sink of kind `http`."""
SINK_KEY: Final = "token"


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One service account of the platform; its pods carry its name in SERVICE_LABEL."""

    namespace: str
    account: str
    secrets: Mapping[str, tuple[str, ...]]
    """Paths below the platform's engine → the keys that each must hold."""

    @property
    def name(self) -> str:
        """Of its policy and role. A tenant's have one dot, these two."""
        return f"platform.{self.namespace}.{self.account}"


def platform_readers(settings: Settings) -> tuple[Reader, ...]:
    """Who reads, and what; nobody before Vault is configured, when no receiver with a secret is on."""
    alerts, events = settings.observability.alerts.secrets, settings.runtime.secrets
    tokens = {f"{SINK_SECRETS}/{sink}": (SINK_KEY,) for sink in settings.siem.tokens}
    wanted: tuple[tuple[str, str, Mapping[str, tuple[str, ...]]], ...] = (
        (OBSERVABILITY_NAMESPACE, ALERTMANAGER, {ALERT_SECRETS: alerts} if alerts else {}),
        (OBSERVABILITY_NAMESPACE, COLLECTOR, tokens),
        (SECURITY_NAMESPACE, SIDEKICK, {EVENT_SECRETS: events} if events else {}),
    )
    return tuple(
        Reader(namespace=namespace, account=account, secrets=secrets) for namespace, account, secrets in wanted if secrets
    )


def reader_of(settings: Settings, account: str) -> Reader | None:
    """The row of one account, None if it reads nothing."""
    return next((reader for reader in platform_readers(settings) if reader.account == account), None)
