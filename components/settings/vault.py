"""Settings of Vault."""

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Cpu, Memory, Name, Storage, matching

_GROUP = matching(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", "use a group as the issuer writes it, without a pattern")
Group = Annotated[str, *_GROUP]

PUBLIC_KEY_TAG: Final = 6
"""OpenPGP's packet tag of a public key (RFC 9580, section 5); a secret key has 5."""


class WriterSettings(Model):
    """Who puts an owner's secrets into Vault; nobody of them reads one back."""

    group: Group
    """Group as the environment's issuer writes it in the claim `groups`; its tokens name the audience `vault-writers`."""


class VaultSettings(Model):
    """Vault."""

    configured: bool = False
    """Whether the ceremony was held in every region: from then on the program declares what Vault holds."""
    custodians: dict[Name, str] = Field(default_factory=dict)
    """Who holds a recovery share: name → OpenPGP public key, binary and in base64 (`gpg --export <id> | base64 -w0`)."""
    custodian_threshold: int = Field(default=2, ge=2, le=10)
    """Custodians who must come together to make a new root token."""
    ca_file: str = Field(default="/etc/zerotrust/vault-ca.pem", pattern=r"^/[\w./-]+$")
    """Where the runner has the certificates of every region's authority for Vault, PEM, one after the other."""
    replicas: Literal[1, 3, 5] = 3
    """Servers of a region; a majority of them must stand. A single one is refused with assurance high."""
    cpu: Cpu = "500m"
    """CPU a server asks for."""
    memory: Memory = "1Gi"
    """Memory of a server."""
    storage: Storage = "20Gi"
    """Volume of a server's data."""
    audit_storage: Storage = "20Gi"
    """Volume of a server's audit file, which is turned over before it is full."""
    ui: bool = False
    """Whether Vault's own pages are served; they are reached by port-forward alone."""
    snapshot_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 1
    """Hours between two snapshots: what a restore loses at most."""
    login: Literal["jwt", "spiffe"] = "jwt"
    """How workloads prove who they are: `jwt` by SPIRE's published keys, `spiffe` by its bundle (Vault Enterprise 1.21)."""
    token_ttl_minutes: int = Field(default=15, ge=5, le=60)
    """Minutes a workload's token lives unless it is renewed."""
    token_max_ttl_minutes: int = Field(default=60, ge=5, le=240)
    """Minutes after which a workload must prove again who it is, and every credential it was given dies."""
    writers: dict[Name, WriterSettings] = Field(default_factory=dict)
    """Who writes which secrets: by tenant, and `platform` for the platform's own. Others' are the custodians' to fill."""
    pki: bool = False
    """Whether each tenant has a certificate authority in Vault, for names of its own services."""
    pki_ttl_hours: int = Field(default=1, ge=1, le=24)
    """Hours a certificate of such an authority lives."""

    def problems(self) -> Iterator[Problem]:
        yield from self._custody()
        if self.token_max_ttl_minutes < self.token_ttl_minutes:
            yield Problem(
                ("token_max_ttl_minutes",), self.token_max_ttl_minutes, "use at least token_ttl_minutes; no token outlives it"
            )

    def _custody(self) -> Iterator[Problem]:
        if (self.configured or self.custodians) and len(self.custodians) <= self.custodian_threshold:
            yield Problem(
                ("custodians",),
                sorted(self.custodians),
                f"name at least {self.custodian_threshold + 1}; with fewer the loss of one share is the loss of all",
            )
        for name, key in sorted(self.custodians.items()):
            if _packet_tag(key) != PUBLIC_KEY_TAG:
                yield Problem(
                    ("custodians", name),
                    f"{key[:12]}…",
                    "write an OpenPGP public key, binary and in base64: gpg --export <id> | base64 -w0",
                )


def _packet_tag(key: str) -> int | None:
    """The tag of an OpenPGP message's first packet, None for anything else (RFC 9580, section 4.2)."""
    try:
        first = base64.b64decode(key, validate=True)[:1]
    except binascii.Error:
        return None
    if not first or not first[0] & 0x80:
        return None
    return first[0] & 0x3F if first[0] & 0x40 else (first[0] & 0x3C) >> 2
