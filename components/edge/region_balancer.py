"""The way in for the other regions and the deployer: an internal network load balancer at fixed addresses, TLS passed through.

Three listeners: the mesh's east-west gateway (mTLS between workloads, told apart by SNI), SPIRE's bundle endpoint, and Vault,
which the deployer's runner configures. Guarantees: the first two are reachable from the other regions' networks alone and are
not there without one; Vault is from the environment's own networks, so that one runner reaches every region; the addresses
follow from the address plan, so a region's callers know them before it exists. Relies on: peering or a transit gateway, and on
TargetGroupBindings that register the pods. It terminates no TLS and so needs no certificate: who speaks is decided by SPIFFE
ids at both ends, at Vault by its logins.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.graph.names import BUNDLE_PORT, EASTWEST_PORT, GATEWAY_STATUS_PORT, VAULT_PORT
from components.names import LOAD_BALANCER_NAME_LIMIT
from components.network.addresses import eastwest_address, subnet_cidr
from components.network.security import admit, reach

DRAIN_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class RegionBalancerArgs:
    """Where it stands and who may call."""

    context: RegionContext
    vpc_id: Input[str]
    vpc_cidr: str
    intra_subnet_ids: Mapping[str, Input[str]]
    """By zone letter."""
    peers: Mapping[str, str]
    """The other regions' networks (CIDR) by region code."""
    node_security_group_id: Input[str]
    log_bucket: Input[str]
    protect: bool


@dataclass(frozen=True, kw_only=True)
class _Service:
    port: int
    health: aws.lb.TargetGroupHealthCheckArgsDict
    for_pods: bool = True
    """Whether pods of the other regions call it, and nobody of its own region does; else whoever runs the deployment does."""


SERVICES: Mapping[str, _Service] = {
    "eastwest": _Service(
        port=EASTWEST_PORT,
        health={"protocol": "HTTP", "port": str(GATEWAY_STATUS_PORT), "path": "/healthz/ready", "matcher": "200", "interval": 10},
    ),
    "bundle": _Service(port=BUNDLE_PORT, health={"protocol": "TCP", "port": "traffic-port", "interval": 10}),
    "vault": _Service(port=VAULT_PORT, health={"protocol": "TCP", "port": "traffic-port", "interval": 10}, for_pods=False),
}
"""Listeners by name; ports of listener and pod are the same."""


def services(peers: Mapping[str, str]) -> Mapping[str, _Service]:
    """The listeners that are there: without another region nobody calls the pods."""
    return {key: service for key, service in sorted(SERVICES.items()) if peers or not service.for_pods}


class RegionBalancer(Component, token="zerotrust:edge:RegionBalancer"):
    """The regional load balancer and its target groups."""

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    target_group_arns: dict[str, pulumi.Output[str]]
    """By listener: `vault`, and with other regions `eastwest` and `bundle`."""
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: RegionBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        group = aws.ec2.SecurityGroup(
            f"{name}-sg",
            description="Other regions: mesh traffic and trust bundles",
            vpc_id=args.vpc_id,
            tags=context.tagged(f"{name}-sg"),
            opts=self.child(),
        )
        self._rules(name, args, group.id)
        balancer = aws.lb.LoadBalancer(
            f"{name}-nlb",
            name=context.physical("regions", limit=LOAD_BALANCER_NAME_LIMIT),
            internal=True,
            load_balancer_type="network",
            ip_address_type="ipv4",
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=True,
            security_groups=[group.id],
            subnet_mappings=[
                {"subnet_id": args.intra_subnet_ids[zone], "private_ipv4_address": eastwest_address(args.vpc_cidr, zone)}
                for zone in sorted(args.intra_subnet_ids)
            ],
            access_logs={"enabled": True, "bucket": args.log_bucket, "prefix": "regions"},
            tags=context.tagged(f"{name}-nlb"),
            opts=self.child(protect=args.protect),
        )
        self.target_group_arns = {}
        listeners: list[pulumi.Resource] = []
        for key, service in services(args.peers).items():
            targets = aws.lb.TargetGroup(
                f"{name}-{key}",
                name=context.physical(key, limit=LOAD_BALANCER_NAME_LIMIT),
                vpc_id=args.vpc_id,
                target_type="ip",
                ip_address_type="ipv4",
                protocol="TCP",
                port=service.port,
                # The pod sees the load balancer: what it may be asked is decided by SPIFFE ids, not by addresses.
                preserve_client_ip="false",
                deregistration_delay=DRAIN_SECONDS,
                health_check=service.health,
                tags=context.tagged(f"{name}-{key}"),
                opts=self.child(),
            )
            listeners.append(
                aws.lb.Listener(
                    f"{name}-{key}-listener",
                    load_balancer_arn=balancer.arn,
                    port=service.port,
                    protocol="TCP",
                    default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
                    tags=context.tagged(f"{name}-{key}-listener"),
                    opts=self.child(),
                )
            )
            self.target_group_arns[key] = targets.arn
        self.arn, self.dns_name = balancer.arn, balancer.dns_name
        self.ready = tuple(listeners)
        self.register_outputs({"arn": self.arn, "dns_name": self.dns_name})

    def _rules(self, name: str, args: RegionBalancerArgs, group: pulumi.Output[str]) -> None:
        context, nodes = args.context, args.node_security_group_id
        wanted = services(args.peers)
        ports = {key: service.port for key, service in wanted.items()}
        for key, port in sorted(ports.items()):
            own = {} if wanted[key].for_pods else {context.region: args.vpc_cidr}
            for region, cidr in sorted({**args.peers, **own}.items()):
                admit(
                    f"{name}-{key}-from-{region}",
                    group=group,
                    source_cidr=cidr,
                    port=port,
                    description=f"{key} from {region}",
                    context=context,
                    opts=self.child(),
                )
                if wanted[key].for_pods:
                    reach(
                        f"{name}-nodes-{key}-to-{region}",
                        group=nodes,
                        target_cidr=cidr,
                        port=port,
                        description=f"{key} of {region}; Cilium picks who may",
                        context=context,
                        opts=self.child(),
                    )
        status = {"status": GATEWAY_STATUS_PORT} if args.peers else {}
        for key, port in sorted({**ports, **status}.items()):
            for zone in sorted(args.intra_subnet_ids):
                reach(
                    f"{name}-{key}-to-{zone}",
                    group=group,
                    target_cidr=subnet_cidr(args.vpc_cidr, "private", zone),
                    port=port,
                    description=f"{key} to pods in zone {zone}",
                    context=context,
                    opts=self.child(),
                )
            admit(
                f"{name}-{key}-to-nodes",
                group=nodes,
                source_group=group,
                port=port,
                description=f"{key} from the regional load balancer",
                context=context,
                opts=self.child(),
            )
