"""Settings of Vault."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem


class VaultSettings(Model):
    """Vault."""

    login: Literal["jwt", "spiffe"] = "jwt"
    """How workloads prove who they are: `jwt` by SPIRE's published keys, `spiffe` by its bundle (Vault Enterprise 1.21)."""
    token_ttl_minutes: int = Field(default=15, ge=5, le=60)
    """Minutes a workload's token lives unless it is renewed."""
    token_max_ttl_minutes: int = Field(default=60, ge=5, le=240)
    """Minutes after which a workload must prove again who it is, and every credential it was given dies."""
    pki: bool = False
    """Whether each tenant has a certificate authority in Vault, for names of its own services."""
    pki_ttl_hours: int = Field(default=1, ge=1, le=24)
    """Hours a certificate of such an authority lives."""

    def problems(self) -> Iterator[Problem]:
        if self.token_max_ttl_minutes < self.token_ttl_minutes:
            yield Problem(
                ("token_max_ttl_minutes",), self.token_max_ttl_minutes, "use at least token_ttl_minutes; no token outlives it"
            )
