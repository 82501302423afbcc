"""A private custom domain of API Gateway: the name by which requests through the endpoint find their API.

Guarantees: resolves for one VPC endpoint only (access association and policy). Relies on: a certificate in the region that
covers the name; a load balancer that forwards the client's Host header unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.edge.api_document import invoke_policy


@dataclass(frozen=True, kw_only=True)
class MappedApi:
    """An API under a base path of the domain."""

    api_id: Input[str]
    stage_name: Input[str]


@dataclass(frozen=True, kw_only=True)
class PrivateDomainArgs:
    """One name in one region."""

    context: RegionContext
    domain: str
    certificate_arn: Input[str]
    vpc_endpoint_id: Input[str]
    apis: Mapping[str, MappedApi]
    """By base path: the first segment of the public path."""


class PrivateDomain(Component, token="zerotrust:edge:PrivateDomain"):
    """`https://<domain>/<base path>` through the endpoint."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: PrivateDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        domain = aws.apigateway.DomainName(
            f"{name}-name",
            domain_name=args.domain,
            certificate_arn=args.certificate_arn,
            endpoint_configuration={"types": "PRIVATE"},
            security_policy="TLS_1_2",
            policy=pulumi.Output.json_dumps(invoke_policy(args.vpc_endpoint_id)),
            tags=args.context.tagged(f"{name}-name"),
            opts=self.child(),
        )
        aws.apigateway.DomainNameAccessAssociation(
            f"{name}-access",
            domain_name_arn=domain.arn,
            access_association_source_type="VPCE",
            access_association_source=args.vpc_endpoint_id,
            tags=args.context.tagged(f"{name}-access"),
            opts=self.child(),
        )
        for base_path in sorted(args.apis):
            aws.apigateway.BasePathMapping(
                f"{name}-{base_path}",
                domain_name=domain.domain_name,
                domain_name_id=domain.domain_name_id,
                base_path=base_path,
                rest_api=args.apis[base_path].api_id,
                stage_name=args.apis[base_path].stage_name,
                opts=self.child(),
            )
        self.arn = domain.arn
        self.register_outputs({"arn": self.arn})
