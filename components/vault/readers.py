"""What of the platform itself reads from Vault: the rows of `components.graph.readers` as an engine and policies.

A row gives one account some secrets of the platform's own engine, by their full names. Its namespace and account are what SPIRE
attests; `platform_delivery` brings the part its agent.
"""

from typing import Final

from components.graph.readers import Reader
from components.vault.engines import Engine, kv_mount
from components.vault.policies import AccessPolicy, Rule, with_own_token

PLATFORM: Final = "platform"
"""A reserved namespace, so no tenant's name."""
PLATFORM_MOUNT: Final = kv_mount(PLATFORM)


def platform_engine() -> Engine:
    """Where the platform's own secrets lie."""
    return Engine(path=PLATFORM_MOUNT, kind="kv", description="Secrets of the platform itself")


def secret_path(secret: str) -> str:
    """Where a platform's secret is read and written."""
    return f"{PLATFORM_MOUNT}/data/{secret}"


def reader_policy(reader: Reader) -> AccessPolicy:
    """A reader's policy."""
    rules = tuple(Rule(path=secret_path(secret), capability="read") for secret in sorted(reader.secrets))
    return with_own_token(reader.name, rules)
