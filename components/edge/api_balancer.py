"""The internal load balancer before the mesh, and the VPC link by which API Gateway reaches it.

Guarantees: TLS 1.3 policy, only the VPC link's security group reaches the listener, and the load balancer reaches only the
Istio ingress gateway's two ports in the private subnets. Relies on: the mesh layer's TargetGroupBinding, which registers the
ingress gateway's pods in `target_group_arn` (nothing here knows a pod). A load balancer does not verify its targets'
certificates: that hop is encrypted, and authentic by the security groups and the binding alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.names import LOAD_BALANCER_NAME_LIMIT
from components.network.addresses import subnet_cidr
from components.network.security import admit, reach

HTTPS = 443
GATEWAY_PORT = 8443
"""The ingress gateway's HTTPS port in the pod: unprivileged, so the gateway runs without NET_BIND_SERVICE."""
READINESS_PORT, READINESS_PATH = 15021, "/healthz/ready"
"""Istio's own readiness of a gateway pod: plain HTTP, no data. HTTPS on 8443 would need the environment's Host, which a load
balancer's check cannot send."""
IDLE_SECONDS = 60
DRAIN_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class LoadBalancerLogs:
    """Where load balancers write; each bucket must admit the region's log delivery and use SSE-S3 (ELB knows no KMS)."""

    access_bucket: Input[str]
    connection_bucket: Input[str]


@dataclass(frozen=True, kw_only=True)
class InternalLoadBalancerArgs:
    """Where it stands and how it speaks TLS."""

    context: RegionContext
    vpc_id: Input[str]
    vpc_cidr: str
    private_subnet_ids: Mapping[str, Input[str]]
    """The private subnet of each zone letter."""
    node_security_group_id: Input[str]
    """Pods wear it: it is opened for this load balancer on the gateway's two ports."""
    certificate_arn: Input[str]
    """Covers the environment's domain: API Gateway verifies it."""
    logs: LoadBalancerLogs
    protect: bool
    tls_policy: str = "ELBSecurityPolicy-TLS13-1-3-2021-06"


class InternalLoadBalancer(Component, token="zerotrust:edge:InternalLoadBalancer"):
    """VPC link → internal load balancer → target group of the ingress gateway."""

    arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    vpc_link_id: pulumi.Output[str]

    def __init__(self, name: str, args: InternalLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, zones = args.context, sorted(args.private_subnet_ids)
        subnets = [args.private_subnet_ids[zone] for zone in zones]
        link_group = self._group(name, "link", "API Gateway's VPC link: HTTPS to the internal load balancer only", args)
        group = self._group(name, "alb", "Internal load balancer: HTTPS from the VPC link, to the ingress gateway", args)
        self._rules(name, args, link_group, group)
        balancer = aws.lb.LoadBalancer(
            f"{name}-alb",
            name=context.physical("mesh", limit=LOAD_BALANCER_NAME_LIMIT),
            internal=True,
            load_balancer_type="application",
            ip_address_type="ipv4",
            subnets=subnets,
            security_groups=[group.id],
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            preserve_host_header=True,
            enable_waf_fail_open=False,
            enable_deletion_protection=True,
            idle_timeout=IDLE_SECONDS,
            access_logs={"enabled": True, "bucket": args.logs.access_bucket, "prefix": "mesh"},
            connection_logs={"enabled": True, "bucket": args.logs.connection_bucket, "prefix": "mesh"},
            tags=context.tagged(f"{name}-alb"),
            opts=self.child(protect=args.protect),
        )
        targets = aws.lb.TargetGroup(
            f"{name}-gateway",
            name=context.physical("ingress", limit=LOAD_BALANCER_NAME_LIMIT),
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
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 2,
            },
            tags=context.tagged(f"{name}-gateway"),
            opts=self.child(),
        )
        aws.lb.Listener(
            f"{name}-https",
            load_balancer_arn=balancer.arn,
            port=HTTPS,
            protocol="HTTPS",
            ssl_policy=args.tls_policy,
            certificate_arn=args.certificate_arn,
            # Hands API Gateway's client certificate to the mesh, which may pin it; the VPC link's group is who may connect.
            mutual_authentication={"mode": "passthrough"},
            routing_http_response_server_enabled=False,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            tags=context.tagged(f"{name}-https"),
            opts=self.child(),
        )
        link = aws.apigatewayv2.VpcLink(
            f"{name}-link",
            name=context.physical("mesh"),
            subnet_ids=subnets,
            security_group_ids=[link_group.id],
            tags=context.tagged(f"{name}-link"),
            opts=self.child(),
        )
        self.arn = balancer.arn
        self.security_group_id = group.id
        self.target_group_arn = targets.arn
        self.vpc_link_id = link.id
        self.register_outputs(
            {
                "arn": self.arn,
                "security_group_id": self.security_group_id,
                "target_group_arn": self.target_group_arn,
                "vpc_link_id": self.vpc_link_id,
            }
        )

    def _group(self, name: str, role: str, description: str, args: InternalLoadBalancerArgs) -> aws.ec2.SecurityGroup:
        return aws.ec2.SecurityGroup(
            f"{name}-{role}-sg",
            description=description,
            vpc_id=args.vpc_id,
            tags=args.context.tagged(f"{name}-{role}-sg"),
            opts=self.child(),
        )

    def _rules(
        self, name: str, args: InternalLoadBalancerArgs, link: aws.ec2.SecurityGroup, balancer: aws.ec2.SecurityGroup
    ) -> None:
        context = args.context
        reach(
            f"{name}-link-to-alb",
            group=link.id,
            target_group=balancer.id,
            port=HTTPS,
            description="HTTPS to the internal load balancer",
            context=context,
            opts=self.child(),
        )
        admit(
            f"{name}-alb-from-link",
            group=balancer.id,
            source_group=link.id,
            port=HTTPS,
            description="HTTPS from the VPC link",
            context=context,
            opts=self.child(),
        )
        for role, port in (("gateway", GATEWAY_PORT), ("readiness", READINESS_PORT)):
            admit(
                f"{name}-nodes-{role}",
                group=args.node_security_group_id,
                source_group=balancer.id,
                port=port,
                description=f"Ingress gateway {role} from the internal load balancer",
                context=context,
                opts=self.child(),
            )
            for zone in sorted(args.private_subnet_ids):
                reach(
                    f"{name}-alb-to-{role}-{zone}",
                    group=balancer.id,
                    target_cidr=subnet_cidr(args.vpc_cidr, "private", zone),
                    port=port,
                    description=f"Ingress gateway {role} in zone {zone}",
                    context=context,
                    opts=self.child(),
                )
