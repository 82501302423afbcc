"""The VPC of one region: subnets by tier and zone, ways out, flow logs, and a resolver that is logged and filtered.

Guarantees: no subnet gives public addresses; the intra tier has no route out; the default security group and route table
admit nothing; every flow and every DNS query is logged (NET-01, NET-02, NET-03, NET-07). Relies on: a logs key whose
policy admits CloudWatch Logs of the region.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext
from components.network.addresses import SubnetPlan, endpoint_address, plan
from components.network.dns import Dns, DnsArgs
from components.network.flow_logs import FlowLogs, FlowLogsArgs
from components.settings.network import NetworkSettings, RegionSettings

ANYWHERE = "0.0.0.0/0"

LOAD_BALANCER_TAGS: Mapping[str, Mapping[str, str]] = {
    "public": {"kubernetes.io/role/elb": "1"},
    "private": {"kubernetes.io/role/internal-elb": "1"},
    "intra": {},
}
"""What the AWS Load Balancer Controller finds subnets by."""


@dataclass(frozen=True, kw_only=True)
class VpcArgs:
    """One region's network."""

    context: RegionContext
    region: RegionSettings
    settings: NetworkSettings
    logs_key_arn: pulumi.Input[str]
    own_domains: tuple[str, ...]
    """Domains that resolve whatever the settings allow: the environment's own."""
    protect: bool


class Vpc(Component, token="zerotrust:network:Vpc"):
    """The network; subnets are keyed `<tier>-<zone>`, route tables `public`, `intra` and `private-<zone>`."""

    vpc_id: pulumi.Output[str]
    cidr: str
    subnet_ids: dict[str, pulumi.Output[str]]
    route_table_ids: dict[str, pulumi.Output[str]]
    internet: tuple[pulumi.Resource, ...]
    """What an internet-facing load balancer waits for."""

    def __init__(self, name: str, args: VpcArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        self.cidr = args.region.vpc_cidr
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=self.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=context.tagged(name),
            opts=self.child(protect=args.protect),
        )
        self.vpc_id = vpc.id
        self._close_defaults(name, context, vpc)
        subnets = {
            key: self._subnet(f"{name}-{key}", context, vpc, subnet) for key, subnet in plan(self.cidr, args.region.zones).items()
        }
        self.subnet_ids = {key: subnet.id for key, subnet in subnets.items()}
        for zone in sorted(args.region.zones):
            key = f"intra-{zone}"
            reserved = self._reserve(f"{name}-{key}-reserved", subnets[key], endpoint_address(self.cidr, zone))
            self.subnet_ids[key] = pulumi.Output.all(subnets[key].id, reserved.id).apply(lambda ids: str(ids[0]))
        gateway = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc.id, tags=context.tagged(f"{name}-internet"), opts=self.child()
        )
        self.internet = (gateway,)
        self.route_table_ids = self._routes(name, args, vpc, subnets, gateway)
        FlowLogs(
            f"{name}-flow-logs",
            FlowLogsArgs(
                context=context,
                vpc_id=vpc.id,
                key_arn=args.logs_key_arn,
                retention_days=args.settings.flow_log_retention_days,
            ),
            opts=self.child(),
        )
        Dns(
            f"{name}-dns",
            DnsArgs(
                context=context,
                vpc_id=vpc.id,
                vpc_cidr=self.cidr,
                key_arn=args.logs_key_arn,
                retention_days=args.settings.flow_log_retention_days,
                own_domains=args.own_domains,
                allowed_domains=args.settings.dns_firewall.allowed_domains,
            ),
            opts=self.child(),
        )
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_ids": self.subnet_ids, "route_table_ids": self.route_table_ids})

    def _close_defaults(self, name: str, context: RegionContext, vpc: aws.ec2.Vpc) -> None:
        """Adopt what AWS makes with every VPC, and leave it empty: what forgets to choose gets nothing."""
        tags = context.tagged(f"{name}-default-unused")
        aws.ec2.DefaultSecurityGroup(f"{name}-default-group", vpc_id=vpc.id, ingress=[], egress=[], tags=tags, opts=self.child())
        aws.ec2.DefaultRouteTable(
            f"{name}-default-routes", default_route_table_id=vpc.default_route_table_id, routes=[], tags=tags, opts=self.child()
        )

    def _subnet(self, name: str, context: RegionContext, vpc: aws.ec2.Vpc, subnet: SubnetPlan) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            name,
            vpc_id=vpc.id,
            cidr_block=subnet.cidr,
            availability_zone=f"{context.region}{subnet.zone}",
            map_public_ip_on_launch=False,
            tags={**context.tagged(name, tier=subnet.tier), **LOAD_BALANCER_TAGS[subnet.tier]},
            opts=self.child(),
        )

    def _reserve(self, name: str, subnet: aws.ec2.Subnet, address: str) -> aws.ec2.SubnetCidrReservation:
        """Keep an address from being handed out: the execute-api endpoint's is chosen before the endpoint exists."""
        return aws.ec2.SubnetCidrReservation(
            name,
            subnet_id=subnet.id,
            cidr_block=f"{address}/32",
            reservation_type="explicit",
            description="execute-api endpoint",
            opts=self.child(),
        )

    def _routes(
        self,
        name: str,
        args: VpcArgs,
        vpc: aws.ec2.Vpc,
        subnets: Mapping[str, aws.ec2.Subnet],
        gateway: aws.ec2.InternetGateway,
    ) -> dict[str, pulumi.Output[str]]:
        context, zones = args.context, sorted(args.region.zones)
        keys = {"public": "public", "intra": "intra", **{f"private-{zone}": f"private-{zone}" for zone in zones}}
        tables = {
            key: aws.ec2.RouteTable(
                f"{name}-{key}-routes", vpc_id=vpc.id, tags=context.tagged(f"{name}-{key}"), opts=self.child()
            )
            for key in keys
        }
        for key, subnet in subnets.items():
            tier = key.split("-")[0]
            table = tables[key if tier == "private" else tier]
            aws.ec2.RouteTableAssociation(
                f"{name}-{key}-association", subnet_id=subnet.id, route_table_id=table.id, opts=self.child()
            )
        aws.ec2.Route(
            f"{name}-public-out",
            route_table_id=tables["public"].id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self.child(),
        )
        gateways = {zone: self._nat(name, context, zone, subnets[f"public-{zone}"], gateway) for zone in self._nat_zones(args)}
        for zone in zones:
            aws.ec2.Route(
                f"{name}-private-{zone}-out",
                route_table_id=tables[f"private-{zone}"].id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateways.get(zone, gateways[min(gateways)]).id,
                opts=self.child(),
            )
        return {key: table.id for key, table in tables.items()}

    @staticmethod
    def _nat_zones(args: VpcArgs) -> list[str]:
        """One zone's gateway serves all with `single`; the lowest letter, so that going to `per_zone` moves none."""
        zones = sorted(args.region.zones)
        return zones if args.settings.nat == "per_zone" else zones[:1]

    def _nat(
        self, name: str, context: RegionContext, zone: str, subnet: aws.ec2.Subnet, gateway: aws.ec2.InternetGateway
    ) -> aws.ec2.NatGateway:
        tags = context.tagged(f"{name}-nat-{zone}")
        # AWS refuses an elastic address in a VPC without an internet gateway.
        address = aws.ec2.Eip(f"{name}-nat-{zone}-address", domain="vpc", tags=tags, opts=self.child(depends_on=[gateway]))
        return aws.ec2.NatGateway(
            f"{name}-nat-{zone}", subnet_id=subnet.id, allocation_id=address.allocation_id, tags=tags, opts=self.child()
        )
