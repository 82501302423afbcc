"""The address plan of a VPC: a pure function of the network and the zone letters that never moves what exists.

A VPC of prefix p is cut into eight blocks of p+3. Blocks 0 to 5 are the private subnets of zones a to f (nodes and pods:
Cilium gives pods VPC addresses). Block 6 holds the public subnets, block 7 the intra subnets (no route out), each cut into
eight of p+6 with the place of the zone's letter. A zone's addresses depend on its letter alone.
"""

import ipaddress
from dataclasses import dataclass
from typing import Literal

from components.types import ZONE_LETTERS

Tier = Literal["public", "private", "intra"]
TIERS: tuple[Tier, ...] = ("public", "private", "intra")
PUBLIC_BLOCK, INTRA_BLOCK = 6, 7


@dataclass(frozen=True, kw_only=True)
class SubnetPlan:
    """One subnet of the plan."""

    tier: Tier
    zone: str
    """The zone's letter."""
    cidr: str


def subnet_cidr(vpc_cidr: str, tier: Tier, zone: str) -> str:
    """The network of one subnet. Raises ValueError for a zone letter outside a to f."""
    place = ZONE_LETTERS.index(zone)
    blocks = list(ipaddress.IPv4Network(vpc_cidr).subnets(prefixlen_diff=3))
    if tier == "private":
        return str(blocks[place])
    block = blocks[PUBLIC_BLOCK if tier == "public" else INTRA_BLOCK]
    return str(list(block.subnets(prefixlen_diff=3))[place])


def plan(vpc_cidr: str, zones: tuple[str, ...]) -> dict[str, SubnetPlan]:
    """Every subnet of a VPC, keyed `<tier>-<zone>`."""
    return {
        f"{tier}-{zone}": SubnetPlan(tier=tier, zone=zone, cidr=subnet_cidr(vpc_cidr, tier, zone))
        for tier in TIERS
        for zone in sorted(zones)
    }


def endpoint_address(vpc_cidr: str, zone: str) -> str:
    """The fixed address of the execute-api endpoint in a zone's intra subnet.

    Chosen by the plan, so that the load balancer's targets are known without reading interfaces back. AWS reserves the
    first four addresses and the last one of a subnet; the tenth is free.
    """
    return str(ipaddress.IPv4Network(subnet_cidr(vpc_cidr, "intra", zone)).network_address + 10)


def eastwest_address(vpc_cidr: str, zone: str) -> str:
    """The fixed address of the region's east-west load balancer in a zone's intra subnet: the eleventh of the subnet.

    Other regions' workload entries and policies name it before the load balancer exists; it stands beside the
    execute-api endpoint's address and never equals it. Raises ValueError for a zone letter outside a to f.
    """
    return str(ipaddress.IPv4Network(subnet_cidr(vpc_cidr, "intra", zone)).network_address + 11)
