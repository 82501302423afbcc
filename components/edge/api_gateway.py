"""The API gateway of one region: endpoint, APIs, private domains and the way into the mesh, composed.

public load balancer → execute-api endpoint → private domain → tenant's REST API → VPC link → internal load balancer → mesh.
Guarantees: one API per tenant that a route leads to and one for the health path, nothing else. Decisions and limits stand in
docs/adr/0003-edge-path.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.edge.api_account import ApiAccount, ApiAccountArgs
from components.edge.api_authorizer import ApiLogs
from components.edge.api_balancer import InternalLoadBalancer, InternalLoadBalancerArgs, LoadBalancerLogs
from components.edge.api_document import ApiFrame, Backend, health_document
from components.edge.api_domain import MappedApi, PrivateDomain, PrivateDomainArgs
from components.edge.api_endpoint import ApiEndpoint, ApiEndpointArgs
from components.edge.api_private import PrivateApi, PrivateApiArgs, Throttle
from components.edge.api_routes import TokenRules, operations, routes_by_tenant, split_health_path
from components.edge.api_tenant import ApiPlace, TenantApi, TenantApiArgs
from components.settings.access import RouteSettings
from components.settings.tenants import UsageSettings

HEALTH_THROTTLE = Throttle(requests_per_second=20, burst=40)
"""Route 53 asks from some 16 places every 10 seconds, the load balancer from each zone; ten times that is noise."""


@dataclass(frozen=True, kw_only=True)
class ApiNetwork:
    """The region's network as the gateway needs it."""

    vpc_id: Input[str]
    vpc_cidr: str
    private_subnet_ids: Mapping[str, Input[str]]
    """By zone letter."""
    intra_subnet_ids: Mapping[str, Input[str]]
    """By zone letter."""
    alb_security_group_id: Input[str]
    """Of the public load balancer."""
    node_security_group_id: Input[str]
    """Of nodes and pods."""


@dataclass(frozen=True, kw_only=True)
class ApiNames:
    """How the environment is called from outside."""

    domain: str
    """`edge.domain`; the region also answers at `<region>.<domain>`."""
    health_path: str
    """`edge.failover.health_path`."""
    certificate_arn: Input[str]
    """An issued certificate in the region that covers both names."""
    internal_tls_policy: str = "ELBSecurityPolicy-TLS13-1-3-2021-06"
    """Of the internal load balancer's listener."""


@dataclass(frozen=True, kw_only=True)
class ApiArgs:
    """The API gateway of one region."""

    context: RegionContext
    network: ApiNetwork
    names: ApiNames
    routes: Mapping[str, RouteSettings]
    """`access.routes`."""
    usage: Mapping[str, UsageSettings]
    """`tenants.<tenant>.usage` of every tenant that a route leads to."""
    tokens: TokenRules
    logs: ApiLogs
    load_balancer_logs: LoadBalancerLogs
    protect: bool


class Api(Component, token="zerotrust:edge:Api"):
    """The whole gateway of a region."""

    endpoint_id: pulumi.Output[str]
    endpoint_security_group_id: pulumi.Output[str]
    target_addresses: dict[str, str]
    """Addresses for the public load balancer's target group, by zone letter; plain values."""
    api_ids: dict[str, pulumi.Output[str]]
    """By base path: each tenant's, and the health API's."""
    target_group_arn: pulumi.Output[str]
    """For the mesh's TargetGroupBinding."""
    internal_security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: ApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, network, names = args.context, args.network, args.names
        routes = routes_by_tenant(args.routes)
        health_base, health_resource = split_health_path(names.health_path, routes)
        account = ApiAccount(f"{name}-account", ApiAccountArgs(context=context), opts=self.child())
        endpoint = ApiEndpoint(
            f"{name}-endpoint",
            ApiEndpointArgs(
                context=context,
                vpc_id=network.vpc_id,
                vpc_cidr=network.vpc_cidr,
                intra_subnet_ids=network.intra_subnet_ids,
                alb_security_group_id=network.alb_security_group_id,
            ),
            opts=self.child(),
        )
        balancer = InternalLoadBalancer(
            f"{name}-mesh",
            InternalLoadBalancerArgs(
                context=context,
                vpc_id=network.vpc_id,
                vpc_cidr=network.vpc_cidr,
                private_subnet_ids=network.private_subnet_ids,
                node_security_group_id=network.node_security_group_id,
                certificate_arn=names.certificate_arn,
                logs=args.load_balancer_logs,
                protect=args.protect,
                tls_policy=names.internal_tls_policy,
            ),
            opts=self.child(),
        )
        # One for all stages: a region has 60, and it says "API Gateway of this region", not which tenant.
        certificate = aws.apigateway.ClientCertificate(
            f"{name}-client-certificate",
            description="Shown to the internal load balancer; AWS lets it expire after a year, replace it before",
            tags=context.tagged(f"{name}-client-certificate"),
            opts=self.child(),
        )
        place = ApiPlace(
            log_account=account,
            vpc_endpoint_id=endpoint.endpoint_id,
            client_certificate_id=certificate.id,
            backend=Backend(host=names.domain, vpc_link_id=balancer.vpc_link_id, load_balancer_arn=balancer.arn),
        )
        apis: dict[str, MappedApi] = {}
        for tenant, own in routes.items():
            tenant_api = TenantApi(
                f"{name}-{tenant}",
                TenantApiArgs(
                    context=context,
                    tenant=tenant,
                    operations=operations(tenant, own),
                    usage=args.usage[tenant],
                    tokens=args.tokens,
                    place=place,
                    logs=args.logs,
                    protect=args.protect,
                ),
                opts=self.child(),
            )
            apis[tenant] = MappedApi(api_id=tenant_api.api_id, stage_name=tenant_api.stage_name)
        self.api_ids = {tenant: pulumi.Output.from_input(api.api_id) for tenant, api in apis.items()}
        health = self._health(name, args, place, (health_base, health_resource))
        apis[health_base] = MappedApi(api_id=health.api_id, stage_name=health.stage_name)
        self.api_ids[health_base] = health.api_id
        for key, domain in (("domain", names.domain), ("regional-domain", f"{context.region}.{names.domain}")):
            PrivateDomain(
                f"{name}-{key}",
                PrivateDomainArgs(
                    context=context,
                    domain=domain,
                    certificate_arn=names.certificate_arn,
                    vpc_endpoint_id=endpoint.endpoint_id,
                    apis=apis,
                ),
                opts=self.child(),
            )
        self.endpoint_id = endpoint.endpoint_id
        self.endpoint_security_group_id = endpoint.security_group_id
        self.target_addresses = endpoint.addresses
        self.target_group_arn = balancer.target_group_arn
        self.internal_security_group_id = balancer.security_group_id
        self.register_outputs(
            {
                "endpoint_id": self.endpoint_id,
                "endpoint_security_group_id": self.endpoint_security_group_id,
                "target_addresses": self.target_addresses,
                "api_ids": self.api_ids,
                "target_group_arn": self.target_group_arn,
                "internal_security_group_id": self.internal_security_group_id,
            }
        )

    def _health(self, name: str, args: ApiArgs, place: ApiPlace, path: tuple[str, str]) -> PrivateApi:
        base_path, resource = path
        frame = ApiFrame(
            base_path=base_path,
            title=args.context.physical("api", base_path),
            vpc_endpoint_id=place.vpc_endpoint_id,
            backend=place.backend,
        )
        return PrivateApi(
            f"{name}-health",
            PrivateApiArgs(
                context=args.context,
                base_path=base_path,
                document=health_document(frame, resource),
                vpc_endpoint_id=place.vpc_endpoint_id,
                log_account=place.log_account,
                client_certificate_id=place.client_certificate_id,
                throttle=HEALTH_THROTTLE,
                logs=args.logs,
                protect=args.protect,
            ),
            opts=self.child(),
        )
