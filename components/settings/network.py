"""Addresses and connections: the network of each region and what leaves it."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import ZONE_LETTERS, DnsName, LogRetentionDays, ServiceCidr, VpcCidr


class RegionSettings(Model):
    """One region. Its key in `regions` is the AWS region code; adding one moves nothing in the others."""

    vpc_cidr: VpcCidr
    """The VPC's network, /16 to /19, disjoint from every other network of the environment."""
    service_cidr: ServiceCidr
    """Addresses of Kubernetes services, outside every VPC of the environment."""
    zones: tuple[str, ...] = Field(default=("a", "b", "c"), min_length=3, max_length=6)
    """Availability zone letters; each letter has its own fixed place in the address plan."""

    def problems(self) -> Iterator[Problem]:
        if unknown := sorted(set(self.zones) - set(ZONE_LETTERS)):
            yield Problem(("zones",), unknown, f"use zone letters from {', '.join(ZONE_LETTERS)}")
        if len(set(self.zones)) != len(self.zones):
            yield Problem(("zones",), list(self.zones), "name each zone once")


class DnsFirewallSettings(Model):
    """Which names may leave the VPCs' resolvers at all; everything else is blocked and logged."""

    allowed_domains: tuple[DnsName, ...] = ()
    """Domains workloads may resolve besides AWS's own and the environment's; sub-domains are included."""


class NetworkSettings(Model):
    """What is the same in every region's network."""

    nat: Literal["per_zone", "single"] = "per_zone"
    """A NAT gateway per zone, or one for the region (cheaper, and a zone failure cuts egress)."""
    interconnect: Literal["peering", "transit_gateway"] = "peering"
    """How the regions' VPCs reach each other: full-mesh peering, or a transit gateway per region."""
    flow_log_retention_days: LogRetentionDays = 365
    """Days that VPC flow logs are kept."""
    dns_firewall: DnsFirewallSettings = DnsFirewallSettings()
    """The Route 53 Resolver DNS firewall."""
