"""The token issuer's way in, where the platform runs it: public load balancer → ingress gateway, in the home region.

Login pages and token endpoints are what tokens come from, so they need none; of the issuer's paths only these two trees are
forwarded, never its administration. Relies on: the public load balancer's HTTPS listener, whose web ACL stands before this rule
too, a certificate that covers the host, and a TargetGroupBinding that registers the gateway's pods.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.edge import load_balancer_rules as rules
from components.edge.api_balancer import DRAIN_SECONDS, GATEWAY_PORT, READINESS_PATH, READINESS_PORT
from components.names import LOAD_BALANCER_NAME_LIMIT
from components.network.addresses import subnet_cidr
from components.network.security import admit, reach

RULE_PRIORITY = 45_000
"""Between the open routes and the token check."""


def open_paths(realm: str) -> tuple[str, ...]:
    """What of the issuer the public may reach: its realm and the pages' own files."""
    return (f"/realms/{realm}/*", "/resources/*")


@dataclass(frozen=True, kw_only=True)
class PublicFront:
    """The public load balancer as this needs it."""

    listener_arn: Input[str]
    security_group_id: Input[str]
    dns_name: Input[str]
    zone_id: Input[str]


@dataclass(frozen=True, kw_only=True)
class IssuerFrontArgs:
    """Host, realm and where they lead."""

    context: RegionContext
    host: str
    realm: str
    hosted_zone: str
    front: PublicFront
    vpc_id: Input[str]
    vpc_cidr: str
    private_subnet_ids: Mapping[str, Input[str]]
    node_security_group_id: Input[str]


class IssuerFront(Component, token="zerotrust:edge:IssuerFront"):
    """Host, rule, target group."""

    target_group_arn: pulumi.Output[str]

    def __init__(self, name: str, args: IssuerFrontArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        targets = aws.lb.TargetGroup(
            f"{name}-gateway",
            name=context.physical("issuer", limit=LOAD_BALANCER_NAME_LIMIT),
            vpc_id=args.vpc_id,
            target_type="ip",
            ip_address_type="ipv4",
            protocol="HTTPS",
            port=GATEWAY_PORT,
            deregistration_delay=DRAIN_SECONDS,
            health_check={
                "protocol": "HTTP",
                "port": str(READINESS_PORT),
                "path": READINESS_PATH,
                "matcher": "200",
                "interval": 10,
            },
            tags=context.tagged(f"{name}-gateway"),
            opts=self.child(),
        )
        aws.lb.ListenerRule(
            f"{name}-rule",
            listener_arn=args.front.listener_arn,
            priority=RULE_PRIORITY,
            conditions=[rules.at_hosts(args.host), rules.at_paths(*open_paths(args.realm))],
            actions=[rules.forward(targets.arn)],
            tags=context.tagged(f"{name}-rule", reason="Tokens come from here"),
            opts=self.child(),
        )
        for role, port in (("gateway", GATEWAY_PORT), ("readiness", READINESS_PORT)):
            admit(
                f"{name}-nodes-{role}",
                group=args.node_security_group_id,
                source_group=args.front.security_group_id,
                port=port,
                description=f"Ingress gateway {role} from the public load balancer, for the issuer's host",
                context=context,
                opts=self.child(),
            )
            for zone in sorted(args.private_subnet_ids):
                reach(
                    f"{name}-{role}-{zone}",
                    group=args.front.security_group_id,
                    target_cidr=subnet_cidr(args.vpc_cidr, "private", zone),
                    port=port,
                    description=f"Ingress gateway {role} in zone {zone}, for the issuer's host",
                    context=context,
                    opts=self.child(),
                )
        aws.route53.Record(
            f"{name}-record",
            zone_id=args.hosted_zone,
            name=args.host,
            type="A",
            aliases=[{"name": args.front.dns_name, "zone_id": args.front.zone_id, "evaluate_target_health": True}],
            opts=self.child(),
        )
        self.target_group_arn = targets.arn
        self.register_outputs({"target_group_arn": self.target_group_arn})
