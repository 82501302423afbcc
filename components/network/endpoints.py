"""Private ways to AWS's own services, each with a policy (NET-06): what nodes and pods need never crosses a NAT gateway.

Guarantees: an endpoint serves principals of this account alone, so stolen credentials of another account cannot carry data out
through it; the S3 gateway reaches this account's buckets and AWS's image layers, nothing else. The execute-api endpoint is the
edge's own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

INTERFACES = (
    "autoscaling",
    "ec2",
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "kms",
    "logs",
    "secretsmanager",
    "sts",
)
"""Services that nodes, controllers and pods call."""


@dataclass(frozen=True, kw_only=True)
class EndpointsArgs:
    """Where the endpoints stand."""

    context: RegionContext
    vpc_id: pulumi.Input[str]
    vpc_cidr: str
    subnet_ids: Mapping[str, pulumi.Input[str]]
    """Intra subnets by zone letter."""
    route_table_ids: Mapping[str, pulumi.Input[str]]
    """Tables that lead to S3, by key."""


def interface_policy(context: RegionContext) -> dict[str, Any]:
    """Anything that IAM allows, for this account's principals only.

    The wildcards are narrowed by the condition: which action on which resource is the caller's own policy to say, once.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalAccount": context.account}},
            }
        ],
    }


def token_policy(context: RegionContext) -> dict[str, Any]:
    """STS: this account's principals, and web identities, which have no account before they hold a session.

    A web identity can only become a role of this account (`aws:ResourceAccount`).
    """
    own = interface_policy(context)
    federated = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceAccount": context.account}},
    }
    return {**own, "Statement": [*own["Statement"], federated]}


def storage_policy(context: RegionContext) -> dict[str, Any]:
    """S3: this account's buckets for this account's principals, and reading of image layers and operating system updates."""
    region = context.region
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"aws:PrincipalAccount": context.account, "aws:ResourceAccount": context.account},
                },
            },
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": [
                    # Layers of every ECR image (Amazon ECR, VPC endpoints) and the AL2023 package repositories.
                    f"arn:aws:s3:::prod-{region}-starport-layer-bucket/*",
                    f"arn:aws:s3:::al2023-repos-{region}-de612dc2/*",
                ],
            },
        ],
    }


class Endpoints(Component, token="zerotrust:network:Endpoints"):
    """The gateway to S3 and an interface for each service."""

    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Private endpoints of AWS services: HTTPS from the VPC, nothing out",
            vpc_id=args.vpc_id,
            egress=[],
            tags=context.tagged(f"{name}-group"),
            opts=self.child(),
        )
        self.security_group_id = group.id
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-from-vpc",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=args.vpc_cidr,
            tags=context.tagged(f"{name}-from-vpc"),
            opts=self.child(),
        )
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.vpc_id,
            service_name=f"com.amazonaws.{context.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table for key, table in sorted(args.route_table_ids.items()) if key != "public"],
            policy=json.dumps(storage_policy(context)),
            tags=context.tagged(f"{name}-s3"),
            opts=self.child(),
        )
        for service in INTERFACES:
            document = token_policy(context) if service == "sts" else interface_policy(context)
            key = service.replace(".", "-")
            aws.ec2.VpcEndpoint(
                f"{name}-{key}",
                vpc_id=args.vpc_id,
                service_name=f"com.amazonaws.{context.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet for _, subnet in sorted(args.subnet_ids.items())],
                security_group_ids=[group.id],
                policy=json.dumps(document),
                tags=context.tagged(f"{name}-{key}"),
                opts=self.child(),
            )
        self.register_outputs({"security_group_id": self.security_group_id})
