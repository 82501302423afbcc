"""A region's private names: one hosted zone named after its trust domain, seen by every region's network.

What peers must find by name (SPIRE's bundle endpoint) stands there; nothing of it is public. Records are kept by external-dns.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext


@dataclass(frozen=True, kw_only=True)
class PrivateZoneArgs:
    """The zone of one region."""

    context: RegionContext
    domain: str
    """The zone's name: the region's trust domain."""
    vpc_id: pulumi.Input[str]


class PrivateZone(Component, token="zerotrust:network:PrivateZone"):
    """The zone. Other regions' networks are associated by `associate`."""

    zone_id: pulumi.Output[str]

    def __init__(self, name: str, args: PrivateZoneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        zone = aws.route53.Zone(
            f"{name}-zone",
            name=args.domain,
            comment=f"Private names of {args.context.region}",
            vpcs=[{"vpc_id": args.vpc_id, "vpc_region": args.context.region}],
            force_destroy=False,
            tags=args.context.tagged(f"{name}-zone"),
            # The other regions' associations are resources of their own and would show here as networks too many.
            opts=self.child(ignore_changes=["vpcs"]),
        )
        self.zone_id = zone.zone_id
        self.register_outputs({"zone_id": self.zone_id})


def associate(name: str, zone: PrivateZone, *, vpc_id: pulumi.Input[str], region: str, opts: pulumi.ResourceOptions) -> None:
    """Lets another region's network resolve the zone's names; the account owns both."""
    aws.route53.ZoneAssociation(name, zone_id=zone.zone_id, vpc_id=vpc_id, vpc_region=region, opts=opts)
