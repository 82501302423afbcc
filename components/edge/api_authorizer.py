"""The Lambda authorizer of one tenant's API: its function, its role and its log.

Guarantees: one function per tenant with that tenant's table alone and reserved concurrency of its own, so neither a fault nor
a flood of one tenant reaches another. It holds no secret and no environment variable (the table is in the package), so there
is nothing a key would have to encrypt; it needs no VPC: it calls nobody. Signature: see `files/authorizer/handler.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.edge.api_account import SESSION_SECONDS, trust_document
from components.edge.api_routes import canonical

SOURCE = Path(__file__).with_name("files") / "authorizer" / "handler.py"
LAMBDA_NAME_LIMIT = 64
TIMEOUT_SECONDS = 3
"""API Gateway gives up on an authorizer after 10 seconds; a decision that takes 3 will not come."""
MEMORY_MIB = 256
"""CPU comes with memory; below this, cold starts pass the 250 ms that reserved concurrency reckons with."""


@dataclass(frozen=True, kw_only=True)
class ApiLogs:
    """How API logs are kept."""

    key_arn: Input[str]
    """The customer managed key; its policy must admit CloudWatch Logs of the region."""
    retention_days: int


def package(table: Mapping[str, Any]) -> pulumi.AssetArchive:
    """The deployment package: the handler and the table it decides by."""
    return pulumi.AssetArchive(
        {
            "handler.py": pulumi.StringAsset(SOURCE.read_text(encoding="utf-8")),
            "routes.json": pulumi.StringAsset(canonical(table)),
        }
    )


def function_document(log_group_arn: Input[str]) -> dict[str, Any]:
    """What the function may do: write its own log and its traces."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": pulumi.Output.concat(log_group_arn, ":*"),
            },
            # Neither action knows a resource (service authorization reference of X-Ray).
            {"Effect": "Allow", "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "Resource": "*"},
        ],
    }


@dataclass(frozen=True, kw_only=True)
class AuthorizerArgs:
    """One tenant's authorizer."""

    context: RegionContext
    tenant: str
    table: Mapping[str, Any]
    """`api_routes.route_table`."""
    concurrency: int
    """Reserved executions."""
    logs: ApiLogs


class Authorizer(Component, token="zerotrust:edge:Authorizer"):
    """Decides by claims for one tenant; `invoke_uri` goes into the OpenAPI document."""

    function_name: pulumi.Output[str]
    invoke_uri: pulumi.Output[str]

    def __init__(self, name: str, args: AuthorizerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        physical = context.physical("authorizer", args.tenant, limit=LAMBDA_NAME_LIMIT)
        group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/aws/lambda/{physical}",
            kms_key_id=args.logs.key_arn,
            retention_in_days=args.logs.retention_days,
            tags=context.tagged(f"{name}-log", tenant=args.tenant),
            opts=self.child(),
        )
        role = aws.iam.Role(
            f"{name}-role",
            description=f"API authorizer of {args.tenant}: its own log and traces",
            assume_role_policy=pulumi.Output.json_dumps(trust_document("lambda.amazonaws.com")),
            permissions_boundary=context.permissions_boundary,
            max_session_duration=SESSION_SECONDS,
            tags=context.tagged(f"{name}-role", tenant=args.tenant),
            opts=self.child(),
        )
        grant = aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.id,
            policy=pulumi.Output.json_dumps(function_document(group.arn)),
            opts=self.child(),
        )
        function = aws.lambda_.Function(
            f"{name}-function",
            name=physical,
            description=f"Decides by the token's claims who may call {args.tenant}",
            role=role.arn,
            runtime="python3.13",
            architectures=["arm64"],
            handler="handler.handler",
            code=package(args.table),
            timeout=TIMEOUT_SECONDS,
            memory_size=MEMORY_MIB,
            reserved_concurrent_executions=args.concurrency,
            tracing_config={"mode": "Active"},
            logging_config={"log_format": "JSON", "log_group": group.name, "application_log_level": "WARN"},
            tags=context.tagged(f"{name}-function", tenant=args.tenant),
            opts=self.child(depends_on=[grant]),
        )
        self.function_name = function.name
        self.invoke_uri = function.invoke_arn
        self.register_outputs({"function_name": self.function_name, "invoke_uri": self.invoke_uri})
