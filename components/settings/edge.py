"""The way in: DNS, load balancer, web ACL, API gateway and fail-over."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import DnsName, HostedZoneId, HttpPath, Name

HEADER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
TELEPHONE = re.compile(r"\+[1-9]\d{6,14}")

WAF_RULES = (
    "blocked-addresses",
    "blocked-countries",
    "body-size",
    "required-headers",
    "rate-per-address",
    "managed-ip-reputation",
    "managed-anonymous-ip",
    "managed-known-bad-inputs",
    "managed-common",
    "managed-sqli",
    "managed-linux",
    "managed-account-takeover",
    "managed-bot-control",
)
"""The web ACL's rules by name, as metrics and `count_only` know them."""
URI_RATE_PREFIX = "uri-rate-"
"""A rate on a path is the rule `uri-rate-<its key in uri_rates>`."""


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
    body_limit_kib: int = Field(default=8, ge=1, le=8)
    """Largest request body in KiB; what AWS WAF cannot inspect is refused, and on a load balancer it inspects 8 KiB."""
    required_headers: tuple[str, ...] = ("host", "user-agent")
    """Headers without which a request is refused."""
    anonymous_ip: bool = True
    """Refuse known proxies and anonymisers."""
    bot_control: bool = False
    """AWS Bot Control (charged per request)."""
    account_takeover_path: HttpPath | None = None
    """The log-in path AWS Account Takeover Prevention watches (charged per log-in)."""
    count_only: tuple[str, ...] = ()
    """Names of rules that only count, for rolling them out; refused with assurance high."""

    def problems(self) -> Iterator[Problem]:
        for code in self.blocked_countries:
            if len(code) != 2 or not code.isalpha() or not code.isupper():  # noqa: PLR2004 - ISO 3166 alpha-2
                yield Problem(("blocked_countries",), code, "use two-letter ISO 3166 codes in capitals")
        for cidr in self.blocked_cidrs:
            if not _blockable(cidr):
                yield Problem(("blocked_cidrs",), cidr, "write an IPv4 network in CIDR form, /1 to /32, with no host bits set")
        for header in self.required_headers:
            if not HEADER_NAME.fullmatch(header):
                yield Problem(("required_headers",), header, "write header names in lower case, letters, digits and hyphens")
        known = (*WAF_RULES, *(f"{URI_RATE_PREFIX}{key}" for key in sorted(self.uri_rates)))
        for rule in self.count_only:
            if rule not in known:
                yield Problem(("count_only",), rule, f"name one of the rules: {', '.join(known)}")


def _blockable(cidr: str) -> bool:
    try:
        return "/" in cidr and ipaddress.IPv4Network(cidr).prefixlen > 0
    except ValueError:
        return False


class ShieldSettings(Model):
    """AWS Shield Advanced: 3,000 USD a month per organisation, one year's commitment. Standard is always on and free."""

    advanced: bool = False
    """Protect the load balancers, and take the commitment."""
    proactive_engagement_contacts: tuple[str, ...] = Field(default=(), max_length=10)
    """E-mail addresses the response team may call on; needed with `advanced`."""
    proactive_engagement_phone: str | None = None
    """Telephone number of the first contact, +<country><number>; AWS engages nobody on its own without one."""

    def problems(self) -> Iterator[Problem]:
        if self.advanced and not self.proactive_engagement_contacts:
            yield Problem(
                ("proactive_engagement_contacts",),
                [],
                "name at least one contact: Shield's response team calls it during an attack",
            )
        elif self.advanced and self.proactive_engagement_phone is None:
            yield Problem(("proactive_engagement_phone",), None, "write a number for the response team, for example +33123456789")
        if self.proactive_engagement_phone is not None and not TELEPHONE.fullmatch(self.proactive_engagement_phone):
            yield Problem(
                ("proactive_engagement_phone",),
                self.proactive_engagement_phone,
                "write + and 7 to 15 digits with the country code, in quotes",
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

    def problems(self) -> Iterator[Problem]:
        if "{" in self.health_path or "*" in self.health_path:
            yield Problem(
                ("health_path",), self.health_path, "write one exact path: whatever it means is answered without a token"
            )


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
