"""The public load balancer of a region: the only thing of the platform that the internet can reach.

Guarantees: clients get TLS 1.3 only; plain HTTP is redirected and nothing else; malformed and ambiguous requests are refused;
a request without a valid token goes no further, but for the open routes with their reasons; a host or path that is not ours gets
404. Relies on: `Certificate`, `WebAcl` on its ARN, log buckets that admit ELB's log delivery, and the private APIs behind the
execute-api endpoint's fixed addresses.

The private APIs are found by name: the Host header goes through unchanged (`<domain>` or `<region>.<domain>`), and the APIs have
private custom domain names for both. ELB does not verify its targets' certificates: that hop is encrypted, and authentic by the
fixed addresses inside the VPC and the endpoint's security group.

Route 53's checkers cannot speak TLS 1.3. They have a listener on port 8443 that their published addresses alone reach, and that
answers one path: the health path, forwarded as `<region>.<domain>`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws
from pulumi import Input, Resource

from components.base import Component
from components.context import RegionContext
from components.edge import load_balancer_rules as rules
from components.edge.load_balancer_rules import OpenRoute, TokenCheck
from components.names import LOAD_BALANCER_NAME_LIMIT

IDLE_SECONDS = 60
DRAIN_SECONDS = 30
UNKNOWN_API = "403"
"""What the execute-api endpoint answers a health check: it names no API (its Host is an address), and the endpoint that says so
is up. Whether the mesh is up, Route 53 asks through the APIs themselves."""
STRICT_TRANSPORT = "max-age=63072000; includeSubDomains"


@dataclass(frozen=True, kw_only=True)
class EdgeNetwork:
    """Where the load balancer stands and where it leads."""

    vpc_id: Input[str]
    public_subnet_ids: Mapping[str, Input[str]]
    """The public subnet of each zone letter."""
    endpoint_addresses: Mapping[str, str]
    """The execute-api endpoint's address in each zone (`components.network.addresses.endpoint_address`)."""


@dataclass(frozen=True, kw_only=True)
class EdgeLogs:
    """Buckets that admit ELB's log delivery; SSE-S3, for ELB knows no KMS."""

    access_bucket: Input[str]
    connection_bucket: Input[str]


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """One region's public load balancer."""

    context: RegionContext
    network: EdgeNetwork
    logs: EdgeLogs
    domain: str
    certificate_arn: Input[str]
    tls_policy: str
    tokens: TokenCheck
    health_path: str
    protect: bool
    open_routes: Mapping[str, OpenRoute] = field(default_factory=dict)
    """What needs no token, by name: the issuer's own pages, where tokens come from."""
    ready: Sequence[Resource] = ()
    """What must stand first: the internet gateway, the log buckets' policies."""


class LoadBalancer(Component, token="zerotrust:edge:LoadBalancer"):
    """Internet → token check → the execute-api endpoint."""

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]
    """The load balancer's own hosted zone, for alias records."""
    security_group_id: pulumi.Output[str]
    """The only source that the endpoint's security group need admit."""
    https_listener_arn: pulumi.Output[str]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        group = self._security_group(name, args)
        zones = sorted(args.network.public_subnet_ids)
        balancer = aws.lb.LoadBalancer(
            f"{name}-alb",
            name=args.context.physical("edge", limit=LOAD_BALANCER_NAME_LIMIT),
            load_balancer_type="application",
            internal=False,
            ip_address_type="ipv4",
            security_groups=[group.id],
            subnets=[args.network.public_subnet_ids[zone] for zone in zones],
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_deletion_protection=True,
            enable_waf_fail_open=False,
            enable_tls_version_and_cipher_suite_headers=True,
            enable_zonal_shift=True,
            enable_http2=True,
            preserve_host_header=True,
            xff_header_processing_mode="append",
            idle_timeout=IDLE_SECONDS,
            access_logs={"enabled": True, "bucket": args.logs.access_bucket, "prefix": "edge"},
            connection_logs={"enabled": True, "bucket": args.logs.connection_bucket, "prefix": "edge"},
            tags=args.context.tagged(f"{name}-alb"),
            opts=self.child(protect=args.protect, depends_on=list(args.ready)),
        )
        targets = self._target_group(name, args)
        aws.lb.Listener(
            f"{name}-http",
            load_balancer_arn=balancer.arn,
            port=rules.HTTP,
            protocol="HTTP",
            default_actions=[rules.to_https()],
            tags=args.context.tagged(f"{name}-http"),
            opts=self.child(),
        )
        listener = self._https_listener(f"{name}-https", args, balancer, rules.HTTPS, args.tls_policy)
        self._client_rules(name, args, listener, targets)
        health_policy = rules.HEALTH_TLS_POLICIES[args.tls_policy]
        health = self._https_listener(f"{name}-health", args, balancer, rules.HEALTH_PORT, health_policy)
        aws.lb.ListenerRule(
            f"{name}-health-path",
            listener_arn=health.arn,
            priority=rules.FORGED_PRIORITY,
            conditions=[rules.at_paths(args.health_path)],
            transforms=[rules.host_rewrite(f"{args.context.region}.{args.domain}")],
            actions=[rules.forward(targets.arn)],
            tags=args.context.tagged(f"{name}-health-path", reason="A health checker has no token and learns up or down"),
            opts=self.child(),
        )
        self.arn, self.dns_name, self.zone_id = balancer.arn, balancer.dns_name, balancer.zone_id
        self.security_group_id = group.id
        self.https_listener_arn = listener.arn
        self.register_outputs(
            {
                "arn": self.arn,
                "dnsName": self.dns_name,
                "zoneId": self.zone_id,
                "securityGroupId": self.security_group_id,
                "httpsListenerArn": self.https_listener_arn,
            }
        )

    def _security_group(self, name: str, args: LoadBalancerArgs) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{name}-alb",
            description="Public load balancer: HTTPS in, the execute-api endpoint and the issuer out",
            vpc_id=args.network.vpc_id,
            tags=args.context.tagged(f"{name}-alb"),
            opts=self.child(),
        )
        for key, flow in sorted(rules.ingress_flows().items()):
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-ingress-{key}",
                security_group_id=group.id,
                ip_protocol="tcp",
                from_port=flow.port,
                to_port=flow.port,
                cidr_ipv4=flow.cidr,
                description=flow.description,
                tags=args.context.tagged(f"{name}-ingress-{key}"),
                opts=self.child(),
            )
        for key, flow in sorted(rules.egress_flows(args.network.endpoint_addresses).items()):
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-egress-{key}",
                security_group_id=group.id,
                ip_protocol="tcp",
                from_port=flow.port,
                to_port=flow.port,
                cidr_ipv4=flow.cidr,
                description=flow.description,
                tags=args.context.tagged(f"{name}-egress-{key}"),
                opts=self.child(),
            )
        return group

    def _target_group(self, name: str, args: LoadBalancerArgs) -> aws.lb.TargetGroup:
        group = aws.lb.TargetGroup(
            f"{name}-api",
            # A prefix, so that a replacement can stand beside what the listeners still use.
            name_prefix="edge-",
            vpc_id=args.network.vpc_id,
            target_type="ip",
            ip_address_type="ipv4",
            protocol="HTTPS",
            protocol_version="HTTP1",
            port=rules.HTTPS,
            deregistration_delay=DRAIN_SECONDS,
            health_check={
                "enabled": True,
                "protocol": "HTTPS",
                "port": "traffic-port",
                "path": "/",
                "matcher": UNKNOWN_API,
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 2,
            },
            tags=args.context.tagged(f"{name}-api"),
            opts=self.child(),
        )
        for zone, address in sorted(args.network.endpoint_addresses.items()):
            aws.lb.TargetGroupAttachment(
                f"{name}-api-{zone}", target_group_arn=group.arn, target_id=address, port=rules.HTTPS, opts=self.child()
            )
        return group

    def _https_listener(
        self, name: str, args: LoadBalancerArgs, balancer: aws.lb.LoadBalancer, port: int, policy: str
    ) -> aws.lb.Listener:
        return aws.lb.Listener(
            name,
            load_balancer_arn=balancer.arn,
            port=port,
            protocol="HTTPS",
            ssl_policy=policy,
            certificate_arn=args.certificate_arn,
            default_actions=[rules.not_found()],
            routing_http_response_server_enabled=False,
            routing_http_response_strict_transport_security_header_value=STRICT_TRANSPORT,
            routing_http_response_x_content_type_options_header_value="nosniff",
            tags=args.context.tagged(name),
            opts=self.child(),
        )

    def _client_rules(self, name: str, args: LoadBalancerArgs, listener: aws.lb.Listener, targets: aws.lb.TargetGroup) -> None:
        aws.lb.ListenerRule(
            f"{name}-forged",
            listener_arn=listener.arn,
            priority=rules.FORGED_PRIORITY,
            conditions=[rules.with_header(rules.API_ID_HEADER)],
            actions=[rules.forbidden()],
            tags=args.context.tagged(f"{name}-forged"),
            opts=self.child(),
        )
        priorities = rules.open_priorities(args.open_routes)
        for key, route in sorted(args.open_routes.items()):
            aws.lb.ListenerRule(
                f"{name}-open-{key}",
                listener_arn=listener.arn,
                priority=priorities[key],
                conditions=[rules.at_hosts(*route.hosts), rules.at_paths(*route.paths)],
                actions=[rules.forward(targets.arn)],
                tags=args.context.tagged(f"{name}-open-{key}", reason=route.reason),
                opts=self.child(),
            )
        aws.lb.ListenerRule(
            f"{name}-token",
            listener_arn=listener.arn,
            priority=rules.TOKEN_PRIORITY,
            conditions=[rules.at_hosts(args.domain, f"{args.context.region}.{args.domain}")],
            actions=rules.verified_forward(args.tokens, targets.arn),
            tags=args.context.tagged(f"{name}-token"),
            opts=self.child(),
        )
