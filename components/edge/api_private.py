"""One private REST API from its OpenAPI document: API, deployment, stage, logs and limits.

Guarantees: reachable through one VPC endpoint only (endpoint type, resource policy) and by its private domain only (default
name disabled); every change of the document is deployed, the new deployment before the old one goes; logged, traced, throttled;
no payload in a log, no cache. Relies on: `ApiAccount` of the region, given as `log_account`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.edge.api_authorizer import ApiLogs
from components.edge.api_document import invoke_policy

ACCESS_LOG_FIELDS: Mapping[str, str] = {
    "api": "$context.apiId",
    "api_key_id": "$context.identity.apiKeyId",
    "authorizer_error": "$context.authorizer.error",
    "authorizer_latency": "$context.authorizer.latency",
    "authorizer_status": "$context.authorizer.status",
    "client": "$context.authorizer.client",
    "denial": "$context.authorizer.reason",
    "domain": "$context.domainName",
    "error": "$context.error.responseType",
    "integration_error": "$context.integration.error",
    "integration_latency": "$context.integration.latency",
    "integration_status": "$context.integration.status",
    "method": "$context.httpMethod",
    "request_id": "$context.requestId",
    "resource": "$context.resourcePath",
    "response_bytes": "$context.responseLength",
    "source": "$context.identity.sourceIp",
    "status": "$context.status",
    "subject": "$context.authorizer.subject",
    "time": "$context.requestTime",
    "trace": "$context.xrayTraceId",
    "vpc_endpoint": "$context.identity.vpceId",
    "waf_error": "$context.waf.error",
}
"""Who asked for what and what became of it; never a body, a query or a header. `resource` is the template, not the path,
so no account number lands in the log."""


def access_log_format(base_path: str) -> str:
    """One JSON object per request, on one line as API Gateway demands; `tenant` is the API's own, not the caller's word."""
    return json.dumps({**ACCESS_LOG_FIELDS, "tenant": base_path}, sort_keys=True, separators=(",", ":"))


def document_hash(body: str) -> str:
    """What a deployment is a deployment of."""
    return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """A stage's limits over all callers."""

    requests_per_second: int
    burst: int


@dataclass(frozen=True, kw_only=True)
class PrivateApiArgs:
    """One API."""

    context: RegionContext
    base_path: str
    """First segment of the public path, the stage's name (see `api_document`) and the log's; the tenant, or the health path's."""
    document: Mapping[str, Any]
    """OpenAPI, with values that are known later inside."""
    vpc_endpoint_id: Input[str]
    log_account: pulumi.Resource
    """The region's ApiAccount; gates the stage itself, since depends_on of a component does not reach its children."""
    client_certificate_id: Input[str]
    """What the stage shows the internal load balancer."""
    throttle: Throttle
    logs: ApiLogs
    protect: bool


class PrivateApi(Component, token="zerotrust:edge:PrivateApi"):
    """A deployed API; `api_id` and `stage_name` are what mappings and usage plans refer to."""

    api_id: pulumi.Output[str]
    execution_arn: pulumi.Output[str]
    stage_name: pulumi.Output[str]

    def __init__(self, name: str, args: PrivateApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        body = pulumi.Output.json_dumps(args.document, sort_keys=True)
        api = aws.apigateway.RestApi(
            f"{name}-api",
            name=context.physical("api", args.base_path),
            description=f"Private API below /{args.base_path}",
            body=body,
            put_rest_api_mode="overwrite",
            # A part of the document that API Gateway ignores could be the authorizer.
            fail_on_warnings=True,
            api_key_source="AUTHORIZER",
            disable_execute_api_endpoint=True,
            endpoint_configuration={"types": "PRIVATE", "vpc_endpoint_ids": [args.vpc_endpoint_id]},
            policy=pulumi.Output.json_dumps(invoke_policy(args.vpc_endpoint_id)),
            tags=context.tagged(f"{name}-api", tenant=args.base_path),
            opts=self.child(protect=args.protect),
        )
        deployment = aws.apigateway.Deployment(
            f"{name}-deployment",
            rest_api=api.id,
            triggers={"document": body.apply(document_hash)},
            opts=self.child(),
        )
        access_log = aws.cloudwatch.LogGroup(
            f"{name}-access-log",
            name=f"/aws/apigateway/{context.physical(args.base_path)}",
            kms_key_id=args.logs.key_arn,
            retention_in_days=args.logs.retention_days,
            tags=context.tagged(f"{name}-access-log", tenant=args.base_path),
            opts=self.child(),
        )
        # API Gateway would create this group itself, unencrypted and kept for ever; the name is AWS's own.
        execution_log = aws.cloudwatch.LogGroup(
            f"{name}-execution-log",
            name=pulumi.Output.concat("API-Gateway-Execution-Logs_", api.id, "/", args.base_path),
            kms_key_id=args.logs.key_arn,
            retention_in_days=args.logs.retention_days,
            tags=context.tagged(f"{name}-execution-log", tenant=args.base_path),
            opts=self.child(),
        )
        stage = aws.apigateway.Stage(
            f"{name}-stage",
            rest_api=api.id,
            deployment=deployment.id,
            stage_name=args.base_path,
            access_log_settings={"destination_arn": access_log.arn, "format": access_log_format(args.base_path)},
            cache_cluster_enabled=False,
            client_certificate_id=args.client_certificate_id,
            xray_tracing_enabled=True,
            tags=context.tagged(f"{name}-stage", tenant=args.base_path),
            opts=self.child(depends_on=[execution_log, args.log_account]),
        )
        aws.apigateway.MethodSettings(
            f"{name}-settings",
            rest_api=api.id,
            stage_name=stage.stage_name,
            method_path="*/*",
            settings={
                "throttling_rate_limit": args.throttle.requests_per_second,
                "throttling_burst_limit": args.throttle.burst,
                "logging_level": "ERROR",
                "data_trace_enabled": False,
                "metrics_enabled": True,
                "caching_enabled": False,
            },
            opts=self.child(),
        )
        self.api_id = api.id
        self.execution_arn = api.execution_arn
        self.stage_name = stage.stage_name
        self.register_outputs({"api_id": self.api_id, "execution_arn": self.execution_arn, "stage_name": self.stage_name})
