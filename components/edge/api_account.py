"""The role API Gateway writes logs with: one per account and region, whatever the number of APIs (aws.apigateway.Account).

Guarantees: execution and access logs can be written to API Gateway's own groups and to no others. Relies on: being the only
one in its region; a second account resource would overwrite the setting.
"""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

SESSION_SECONDS = 3600


def trust_document(service: str) -> dict[str, Any]:
    """Trust policy of a role that one AWS service assumes."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def log_writer_document(context: RegionContext) -> dict[str, Any]:
    """What API Gateway may do with CloudWatch Logs; the names are its own prefix and the one of the access logs."""
    groups = [
        context.arn("logs", "log-group:API-Gateway-Execution-Logs_*"),
        context.arn("logs", "log-group:/aws/apigateway/*"),
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:FilterLogEvents",
                    "logs:GetLogEvents",
                    "logs:PutLogEvents",
                ],
                "Resource": groups,
            },
            # DescribeLogGroups knows no resource (service authorization reference of CloudWatch Logs).
            {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},
        ],
    }


@dataclass(frozen=True, kw_only=True)
class ApiAccountArgs:
    """One region of the account."""

    context: RegionContext


class ApiAccount(Component, token="zerotrust:edge:ApiAccount"):
    """API Gateway's log role in one region; stages with logs must depend on it."""

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ApiAccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        role = aws.iam.Role(
            f"{name}-role",
            description="API Gateway writes its execution and access logs",
            assume_role_policy=pulumi.Output.json_dumps(trust_document("apigateway.amazonaws.com")),
            permissions_boundary=context.permissions_boundary,
            max_session_duration=SESSION_SECONDS,
            tags=context.tagged(f"{name}-role"),
            opts=self.child(),
        )
        grant = aws.iam.RolePolicy(
            f"{name}-logs",
            role=role.id,
            policy=pulumi.Output.json_dumps(log_writer_document(context)),
            opts=self.child(),
        )
        # API Gateway tries the role when it is set, so its policy must be there.
        aws.apigateway.Account(f"{name}-account", cloudwatch_role_arn=role.arn, opts=self.child(depends_on=[grant]))
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})
