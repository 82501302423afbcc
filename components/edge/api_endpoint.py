"""The execute-api interface endpoint of a region: the only door to its private APIs.

Guarantees: fixed addresses from the address plan, so the public load balancer's targets are known at preview; only that load
balancer's security group reaches it; through it only this account's APIs of this region can be invoked. Relies on: one intra
subnet per zone of the plan.

Private DNS is off. On, it would point every execute-api name that any workload of the VPC resolves at this endpoint, which
admits the load balancer alone, and break calls to other APIs; and nothing here needs it: the load balancer's targets are
addresses, and the APIs are chosen by the private domain in the Host header.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.network.addresses import endpoint_address

HTTPS = 443


def endpoint_document(context: RegionContext) -> dict[str, Any]:
    """Endpoint policy: invoke this account's APIs and private domains of this region (controls NET-06, SC-7).

    The principal is anyone because the load balancer's requests carry no AWS identity.
    """
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "execute-api:Invoke",
        "Resource": context.arn("execute-api", "*"),
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(frozen=True, kw_only=True)
class ApiEndpointArgs:
    """Where the endpoint stands and who may reach it."""

    context: RegionContext
    vpc_id: Input[str]
    vpc_cidr: str
    intra_subnet_ids: Mapping[str, Input[str]]
    """The intra subnet of each zone letter."""
    alb_security_group_id: Input[str]
    """Of the public load balancer."""


class ApiEndpoint(Component, token="zerotrust:edge:ApiEndpoint"):
    """The endpoint; `addresses` are plain values by zone letter, known before anything is created."""

    endpoint_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    addresses: dict[str, str]

    def __init__(self, name: str, args: ApiEndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        self.addresses = {zone: endpoint_address(args.vpc_cidr, zone) for zone in sorted(args.intra_subnet_ids)}
        group = aws.ec2.SecurityGroup(
            f"{name}-sg",
            description="execute-api endpoint: HTTPS from the public load balancer only",
            vpc_id=args.vpc_id,
            tags=context.tagged(f"{name}-sg"),
            opts=self.child(),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-from-alb",
            security_group_id=group.id,
            referenced_security_group_id=args.alb_security_group_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="HTTPS from the public load balancer",
            tags=context.tagged(f"{name}-from-alb"),
            opts=self.child(),
        )
        endpoint = aws.ec2.VpcEndpoint(
            f"{name}-endpoint",
            vpc_id=args.vpc_id,
            service_name=f"com.amazonaws.{context.region}.execute-api",
            vpc_endpoint_type="Interface",
            ip_address_type="ipv4",
            private_dns_enabled=False,
            subnet_ids=[args.intra_subnet_ids[zone] for zone in sorted(args.intra_subnet_ids)],
            subnet_configurations=[
                {"subnet_id": args.intra_subnet_ids[zone], "ipv4": self.addresses[zone]} for zone in sorted(args.intra_subnet_ids)
            ],
            security_group_ids=[group.id],
            policy=pulumi.Output.json_dumps(endpoint_document(context)),
            tags=context.tagged(f"{name}-endpoint"),
            opts=self.child(),
        )
        self.endpoint_id = endpoint.id
        self.security_group_id = group.id
        self.register_outputs(
            {"endpoint_id": self.endpoint_id, "security_group_id": self.security_group_id, "addresses": self.addresses}
        )
