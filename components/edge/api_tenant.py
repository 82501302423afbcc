"""One tenant's API: the routes that lead to it, its authorizer and its share of the gateway.

Guarantees: nothing but the tenant's own routes is served; every request is counted against the tenant's plan (rate, burst,
daily quota), whoever calls. The API key only identifies the plan: the authorizer names it, a client's own `x-api-key` is
ignored (`apiKeySource: AUTHORIZER`), so it is no credential. Quotas are AWS's best effort, not a hard stop; the mesh's
limits stand behind them.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.edge.api_authorizer import ApiLogs, Authorizer, AuthorizerArgs
from components.edge.api_document import ApiFrame, Backend, openapi_document
from components.edge.api_private import PrivateApi, PrivateApiArgs, Throttle
from components.edge.api_routes import Operation, TokenRules, concurrency, route_table, usage_identifier
from components.settings.tenants import UsageSettings


@dataclass(frozen=True, kw_only=True)
class ApiPlace:
    """What all APIs of a region stand on."""

    log_account: pulumi.Resource
    """The region's ApiAccount."""
    vpc_endpoint_id: Input[str]
    client_certificate_id: Input[str]
    backend: Backend


@dataclass(frozen=True, kw_only=True)
class TenantApiArgs:
    """One tenant in one region."""

    context: RegionContext
    tenant: str
    operations: tuple[Operation, ...]
    """`api_routes.operations`; never empty."""
    usage: UsageSettings
    tokens: TokenRules
    place: ApiPlace
    logs: ApiLogs
    protect: bool


class TenantApi(Component, token="zerotrust:edge:TenantApi"):
    """The API below `/<tenant>`."""

    api_id: pulumi.Output[str]
    stage_name: pulumi.Output[str]
    usage_plan_id: pulumi.Output[str]

    def __init__(self, name: str, args: TenantApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, tenant = args.context, args.tenant
        key_value = usage_identifier(context.organization, context.environment, context.region, tenant)
        authorizer = Authorizer(
            f"{name}-authorizer",
            AuthorizerArgs(
                context=context,
                tenant=tenant,
                table=route_table(tenant, key_value, args.tokens, args.operations),
                concurrency=concurrency(args.usage),
                logs=args.logs,
            ),
            opts=self.child(),
        )
        frame = ApiFrame(
            base_path=tenant,
            title=context.physical("api", tenant),
            vpc_endpoint_id=args.place.vpc_endpoint_id,
            backend=args.place.backend,
        )
        api = PrivateApi(
            f"{name}-rest",
            PrivateApiArgs(
                context=context,
                base_path=tenant,
                document=openapi_document(frame, args.operations, authorizer.invoke_uri),
                vpc_endpoint_id=args.place.vpc_endpoint_id,
                log_account=args.place.log_account,
                client_certificate_id=args.place.client_certificate_id,
                throttle=Throttle(requests_per_second=args.usage.requests_per_second, burst=args.usage.burst),
                logs=args.logs,
                protect=args.protect,
            ),
            opts=self.child(),
        )
        aws.lambda_.Permission(
            f"{name}-permission",
            action="lambda:InvokeFunction",
            function=authorizer.function_name,
            principal="apigateway.amazonaws.com",
            source_account=context.account,
            source_arn=pulumi.Output.concat(api.execution_arn, "/authorizers/*"),
            opts=self.child(),
        )
        plan = aws.apigateway.UsagePlan(
            f"{name}-plan",
            name=context.physical("usage", tenant),
            description=f"What {tenant} may be asked in this region",
            api_stages=[{"api_id": api.api_id, "stage": api.stage_name}],
            throttle_settings={"rate_limit": args.usage.requests_per_second, "burst_limit": args.usage.burst},
            quota_settings={"limit": args.usage.requests_per_day, "period": "DAY"},
            tags=context.tagged(f"{name}-plan", tenant=tenant),
            opts=self.child(),
        )
        key = aws.apigateway.ApiKey(
            f"{name}-key",
            name=context.physical("usage", tenant),
            description="Identifies the usage plan; named by the authorizer, worthless to a client",
            value=key_value,
            tags=context.tagged(f"{name}-key", tenant=tenant),
            opts=self.child(),
        )
        aws.apigateway.UsagePlanKey(
            f"{name}-plan-key", key_id=key.id, key_type="API_KEY", usage_plan_id=plan.id, opts=self.child()
        )
        self.api_id = api.api_id
        self.stage_name = api.stage_name
        self.usage_plan_id = plan.id
        self.register_outputs({"api_id": self.api_id, "stage_name": self.stage_name, "usage_plan_id": self.usage_plan_id})
