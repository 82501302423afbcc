"""What of the platform itself reads from Vault: a table, one row for each service account.

A row gives one account some secrets of the platform's own engine, by their full names. Its namespace and account are what SPIRE
attests; the part must be registered there and bring its own agent.
"""

from dataclasses import dataclass
from typing import Final

from components.graph.names import GITOPS_NAMESPACE, OBSERVABILITY_NAMESPACE, SECURITY_NAMESPACE
from components.vault.engines import Engine, kv_mount
from components.vault.policies import AccessPolicy, Rule, with_own_token

PLATFORM_MOUNT: Final = kv_mount("platform")
"""`platform` is a reserved namespace, so it is no tenant's engine."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One service account of the platform."""

    namespace: str
    account: str
    secrets: tuple[str, ...]
    """Paths below the platform's engine."""

    @property
    def name(self) -> str:
        """Of its policy and role. A tenant's have one dot, these two."""
        return f"platform.{self.namespace}.{self.account}"


PLATFORM_READERS: Final = (
    Reader(namespace=GITOPS_NAMESPACE, account="argocd-repo-server", secrets=("argocd/repositories",)),
    Reader(namespace=OBSERVABILITY_NAMESPACE, account="alertmanager", secrets=("alertmanager/receivers",)),
    Reader(namespace=SECURITY_NAMESPACE, account="falcosidekick", secrets=("falcosidekick/outputs",)),
)


def platform_engine() -> Engine:
    """Where the platform's own secrets lie."""
    return Engine(path=PLATFORM_MOUNT, kind="kv", description="Secrets of the platform itself")


def reader_policy(reader: Reader) -> AccessPolicy:
    """A reader's policy."""
    rules = tuple(Rule(path=f"{PLATFORM_MOUNT}/data/{secret}", capability="read") for secret in sorted(reader.secrets))
    return with_own_token(reader.name, rules)
