"""The way in: DNS, load balancer, web ACL, API gateway and fail-over."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import DnsName, HostedZoneId, HttpPath, Name

COUNTRY = r"^[A-Z]{2}$"


class UriRateSettings(Model):
    """A rate-based rule on one path."""

    path: HttpPath
    """The path prefix it counts."""
    requests_per_5_minutes: int = Field(ge=10, le=2_000_000_000)
    """Requests of one address before it is blocked."""


class WafSettings(Model):
    """The web ACL on every load balancer. Managed groups Common, KnownBadInputs, SQLi, Linux and IP reputation are always on."""

    requests_per_5_minutes: int = Field(default=2000, ge=100, le=2_000_000_000)
    """Requests of one address, over all paths, before it is blocked."""
    uri_rates: dict[Name, UriRateSettings] = Field(default_factory=dict)
    """Tighter rates on single paths (log-in, transfer)."""
    blocked_countries: tuple[str, ...] = ()
    """ISO 3166 country codes that are refused."""
    blocked_cidrs: tuple[str, ...] = ()
    """Addresses that are refused."""
    body_limit_kib: int = Field(default=16, ge=8, le=64)
    """Largest request body in KiB; what AWS WAF cannot inspect is refused."""
    required_headers: tuple[str, ...] = ("host", "user-agent")
    """Headers without which a request is refused."""
    anonymous_ip: bool = True
    """Refuse known proxies and anonymisers."""
    bot_control: bool = False
    """AWS Bot Control (charged per request)."""
    account_takeover_path: HttpPath | None = None
    """The log-in path AWS Account Takeover Prevention watches (charged per log-in)."""
    count_only: tuple[Name, ...] = ()
    """Names of rules that only count, for rolling them out; refused with assurance high."""

    def problems(self) -> Iterator[Problem]:
        for code in self.blocked_countries:
            if len(code) != 2 or not code.isalpha() or not code.isupper():  # noqa: PLR2004 - ISO 3166 alpha-2
                yield Problem(("blocked_countries",), code, "use two-letter ISO 3166 codes in capitals")


class ShieldSettings(Model):
    """AWS Shield Advanced: 3,000 USD a month per organisation, one year's commitment. Standard is always on and free."""

    advanced: bool = False
    """Protect the load balancers, and take the commitment."""
    proactive_engagement_contacts: tuple[str, ...] = Field(default=(), max_length=10)
    """E-mail addresses the response team may call on; needed with `advanced`."""

    def problems(self) -> Iterator[Problem]:
        if self.advanced and not self.proactive_engagement_contacts:
            yield Problem(
                ("proactive_engagement_contacts",),
                [],
                "name at least one contact: Shield's response team calls it during an attack",
            )
        for contact in self.proactive_engagement_contacts:
            if contact.count("@") != 1 or contact.startswith("@") or contact.endswith("@"):
                yield Problem(("proactive_engagement_contacts",), contact, "write an e-mail address")


class FailoverSettings(Model):
    """How clients reach a healthy region."""

    routing: Literal["latency", "global_accelerator"] = "latency"
    """Route 53 latency records with health checks, or AWS Global Accelerator (static addresses, faster)."""
    health_path: HttpPath = "/healthz/mesh"
    """Answered by the mesh behind the ingress gateway, so that a dead mesh takes its region out."""
    health_interval_seconds: Literal[10, 30] = 10
    """Seconds between health checks."""
    failure_threshold: int = Field(default=3, ge=1, le=10)
    """Failed checks before a region is taken out."""
    record_ttl_seconds: int = Field(default=60, ge=10, le=60)
    """TTL of records; more would slow fail-over beyond the promised minutes."""


class EdgeSettings(Model):
    """The public entry of the environment."""

    domain: DnsName
    """The API's DNS name; each region also answers at `<region>.<domain>`."""
    hosted_zone: HostedZoneId
    """The public hosted zone that holds the domain."""
    tls_policy: Literal[
        "ELBSecurityPolicy-TLS13-1-3-2021-06",
        "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
        "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
    ] = "ELBSecurityPolicy-TLS13-1-3-2021-06"
    """A TLS 1.3-only policy."""
    waf: WafSettings = WafSettings()
    """AWS WAF."""
    shield: ShieldSettings = ShieldSettings()
    """AWS Shield."""
    failover: FailoverSettings = FailoverSettings()
    """Routing between regions."""
