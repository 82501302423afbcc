"""Flow logs of a VPC: every flow, accepted or refused, within a minute, in a log group with the customer's key (NET-01)."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

AGGREGATION_SECONDS = 60
"""The shortest AWS has; ten minutes, its default, is a long time to not see a scan."""


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """What is logged, and how long it is kept."""

    context: RegionContext
    vpc_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    retention_days: int


def trust_document(context: RegionContext) -> dict[str, Any]:
    """Trust of the delivery role: flow logs of this account and region only (Amazon VPC, flow logs, confused deputy)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": context.account},
                    "ArnLike": {"aws:SourceArn": context.arn("ec2", "vpc-flow-log/*")},
                },
            }
        ],
    }


def delivery_document(context: RegionContext, group: str) -> dict[str, Any]:
    """Write to one log group; describing groups is how the service finds it, and cannot be narrowed to one."""
    arn = context.arn("logs", f"log-group:{group}")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                "Resource": [arn, f"{arn}:*"],
            },
            {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": context.arn("logs", "log-group:*")},
        ],
    }


class FlowLogs(Component, token="zerotrust:network:FlowLogs"):
    """The log group, the role that writes to it, and the log."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        group_name = f"/{context.physical('flow-logs', context.region)}"
        group = aws.cloudwatch.LogGroup(
            f"{name}-group",
            name=group_name,
            kms_key_id=args.key_arn,
            retention_in_days=args.retention_days,
            tags=context.tagged(group_name),
            opts=self.child(),
        )
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=json.dumps(trust_document(context)),
            max_session_duration=3600,
            permissions_boundary=context.permissions_boundary,
            tags=context.tagged(f"{name}-role"),
            opts=self.child(),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-role-policy",
            role=role.name,
            policy=json.dumps(delivery_document(context, group_name)),
            opts=self.child(),
        )
        aws.ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            max_aggregation_interval=AGGREGATION_SECONDS,
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags=context.tagged(f"{name}-log"),
            opts=self.child(depends_on=[policy]),
        )
        self.register_outputs({})
