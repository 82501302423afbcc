"""Images of what the platform runs itself, beside the charts' own: pinned by digest, from a registry the account owns."""

from typing import Literal

from pydantic import Field

from components.settings.base import Model
from components.types import Image


class ImagesSettings(Model):
    """One image per program."""

    opa: Image
    """OPA with the Envoy external authorization plugin, beside every service."""
    rate_limit: Image
    """envoyproxy/ratelimit."""
    valkey: Image
    """Valkey (Redis protocol): tenants' caches and the rate limiter's counters."""
    postgres: dict[Literal["17", "18"], Image] = Field(min_length=1)
    """CloudNativePG's PostgreSQL image by major version."""
    vault: Image
    """Vault: the server, and the agent beside a service that fetches what the server issues to it."""
    spiffe_helper: Image
    """spiffe-helper: writes a workload's JWT-SVID where the agent beside it reads it."""
    aws_cli: Image
    """AWS's command line, version 2: it carries Vault's snapshots to their bucket."""
    falco: Image
    """Falco with its stock rules and the container plugin, on every node."""
    falcosidekick: Image
    """Falcosidekick: takes Falco's events and tells the outputs."""
