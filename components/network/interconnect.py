"""What connects two regions' VPCs: a peering, or the regions' transit gateways, by setting.

Guarantees: one component per pair of regions, so that a third region adds pairs and touches none that exist; only private and
intra tables lead to the other region, never the public one. Relies on: networks that do not overlap, which the settings refuse.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext


@dataclass(frozen=True, kw_only=True)
class Side:
    """One region's end."""

    context: RegionContext
    provider: aws.Provider
    vpc_id: pulumi.Input[str]
    cidr: str
    route_table_ids: Mapping[str, pulumi.Input[str]]
    """By key; the public one is left out."""


@dataclass(frozen=True, kw_only=True)
class PeeringArgs:
    """Two ends; the requester is the one whose region comes first in the alphabet."""

    requester: Side
    accepter: Side


class Peering(Component, token="zerotrust:network:Peering"):
    """A peering with routes and private DNS both ways."""

    connection_id: pulumi.Output[str]

    def __init__(self, name: str, args: PeeringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        requester, accepter = args.requester, args.accepter
        connection = aws.ec2.VpcPeeringConnection(
            f"{name}-connection",
            vpc_id=requester.vpc_id,
            peer_vpc_id=accepter.vpc_id,
            peer_region=accepter.context.region,
            peer_owner_id=accepter.context.account,
            auto_accept=False,
            tags=requester.context.tagged(f"{name}-connection"),
            opts=self.child(provider=requester.provider),
        )
        accepted = aws.ec2.VpcPeeringConnectionAccepter(
            f"{name}-accepted",
            vpc_peering_connection_id=connection.id,
            auto_accept=True,
            tags=accepter.context.tagged(f"{name}-accepted"),
            opts=self.child(provider=accepter.provider),
        )
        self.connection_id = accepted.vpc_peering_connection_id
        aws.ec2.PeeringConnectionOptions(
            f"{name}-requester-options",
            vpc_peering_connection_id=self.connection_id,
            requester={"allow_remote_vpc_dns_resolution": True},
            opts=self.child(provider=requester.provider),
        )
        aws.ec2.PeeringConnectionOptions(
            f"{name}-accepter-options",
            vpc_peering_connection_id=self.connection_id,
            accepter={"allow_remote_vpc_dns_resolution": True},
            opts=self.child(provider=accepter.provider),
        )
        for here, there in ((requester, accepter), (accepter, requester)):
            for key, table in sorted(here.route_table_ids.items()):
                if key != "public":
                    aws.ec2.Route(
                        f"{name}-{here.context.region}-{key}",
                        route_table_id=table,
                        destination_cidr_block=there.cidr,
                        vpc_peering_connection_id=self.connection_id,
                        opts=self.child(provider=here.provider),
                    )
        self.register_outputs({"connection_id": self.connection_id})


@dataclass(frozen=True, kw_only=True)
class TransitGatewayArgs:
    """A region's transit gateway and the VPC on it."""

    context: RegionContext
    vpc_id: pulumi.Input[str]
    subnet_ids: Mapping[str, pulumi.Input[str]]
    """Intra subnets by zone letter."""


class TransitGateway(Component, token="zerotrust:network:TransitGateway"):
    """A gateway with one route table of its own: nothing is associated, propagated or accepted by default."""

    gateway_id: pulumi.Output[str]
    attachment_id: pulumi.Output[str]
    route_table_id: pulumi.Output[str]

    def __init__(self, name: str, args: TransitGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        gateway = aws.ec2transitgateway.TransitGateway(
            f"{name}-gateway",
            description=f"Other regions of {context.environment}",
            auto_accept_shared_attachments="disable",
            default_route_table_association="disable",
            default_route_table_propagation="disable",
            tags=context.tagged(f"{name}-gateway"),
            opts=self.child(),
        )
        attachment = aws.ec2transitgateway.VpcAttachment(
            f"{name}-vpc",
            transit_gateway_id=gateway.id,
            vpc_id=args.vpc_id,
            subnet_ids=[subnet for _, subnet in sorted(args.subnet_ids.items())],
            transit_gateway_default_route_table_association=False,
            transit_gateway_default_route_table_propagation=False,
            tags=context.tagged(f"{name}-vpc"),
            opts=self.child(),
        )
        table = aws.ec2transitgateway.RouteTable(
            f"{name}-routes", transit_gateway_id=gateway.id, tags=context.tagged(f"{name}-routes"), opts=self.child()
        )
        aws.ec2transitgateway.RouteTableAssociation(
            f"{name}-vpc-association",
            transit_gateway_attachment_id=attachment.id,
            transit_gateway_route_table_id=table.id,
            opts=self.child(),
        )
        aws.ec2transitgateway.RouteTablePropagation(
            f"{name}-vpc-propagation",
            transit_gateway_attachment_id=attachment.id,
            transit_gateway_route_table_id=table.id,
            opts=self.child(),
        )
        self.gateway_id, self.attachment_id, self.route_table_id = gateway.id, attachment.id, table.id
        self.register_outputs({"gateway_id": self.gateway_id})


@dataclass(frozen=True, kw_only=True)
class TransitSide:
    """One region's end of a transit peering."""

    side: Side
    gateway: TransitGateway


@dataclass(frozen=True, kw_only=True)
class TransitPeeringArgs:
    """Two regions' transit gateways."""

    requester: TransitSide
    accepter: TransitSide


class TransitPeering(Component, token="zerotrust:network:TransitPeering"):
    """A peering of two transit gateways, with static routes both ways: transit peerings propagate none."""

    attachment_id: pulumi.Output[str]

    def __init__(self, name: str, args: TransitPeeringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        requester, accepter = args.requester.side, args.accepter.side
        attachment = aws.ec2transitgateway.PeeringAttachment(
            f"{name}-attachment",
            transit_gateway_id=args.requester.gateway.gateway_id,
            peer_transit_gateway_id=args.accepter.gateway.gateway_id,
            peer_region=accepter.context.region,
            peer_account_id=accepter.context.account,
            tags=requester.context.tagged(f"{name}-attachment"),
            opts=self.child(provider=requester.provider),
        )
        accepted = aws.ec2transitgateway.PeeringAttachmentAccepter(
            f"{name}-accepted",
            transit_gateway_attachment_id=attachment.id,
            tags=accepter.context.tagged(f"{name}-accepted"),
            opts=self.child(provider=accepter.provider),
        )
        self.attachment_id = accepted.transit_gateway_attachment_id
        for here, there in ((args.requester, accepter), (args.accepter, requester)):
            self._lead(name, here, there)
        self.register_outputs({"attachment_id": self.attachment_id})

    def _lead(self, name: str, here: TransitSide, there: Side) -> None:
        region = here.side.context.region
        opts = self.child(provider=here.side.provider)
        aws.ec2transitgateway.RouteTableAssociation(
            f"{name}-{region}-association",
            transit_gateway_attachment_id=self.attachment_id,
            transit_gateway_route_table_id=here.gateway.route_table_id,
            opts=opts,
        )
        aws.ec2transitgateway.Route(
            f"{name}-{region}-over",
            destination_cidr_block=there.cidr,
            transit_gateway_attachment_id=self.attachment_id,
            transit_gateway_route_table_id=here.gateway.route_table_id,
            opts=opts,
        )
        for key, table in sorted(here.side.route_table_ids.items()):
            if key != "public":
                aws.ec2.Route(
                    f"{name}-{region}-{key}",
                    route_table_id=table,
                    destination_cidr_block=there.cidr,
                    transit_gateway_id=here.gateway.gateway_id,
                    # A route into a gateway that the VPC is not attached to is refused.
                    opts=self.child(provider=here.side.provider, depends_on=[here.gateway]),
                )
