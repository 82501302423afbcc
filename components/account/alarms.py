"""Alarms on what an attacker does first in an account, read from the trail (AUD-07, CIS AWS Foundations section 4).

Guarantees: each event of the table is published within minutes, to a topic under a customer key.
Relies on: the trail's log group, in this region; `logs_grants` lets alarms publish. Who listens subscribes to the topic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

PERIOD_SECONDS = 300


def by_name(source: str, *events: str) -> str:
    """A CloudWatch Logs filter for events of one service."""
    names = " || ".join(f"($.eventName = {event})" for event in events)
    return f"{{ ($.eventSource = {source}.amazonaws.com) && ({names}) }}"


_IAM = (
    "AttachGroupPolicy",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "CreateAccessKey",
    "CreateLoginProfile",
    "CreatePolicy",
    "CreatePolicyVersion",
    "CreateRole",
    "CreateUser",
    "DeleteGroupPolicy",
    "DeletePolicy",
    "DeletePolicyVersion",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DeleteUserPolicy",
    "DetachGroupPolicy",
    "DetachRolePolicy",
    "DetachUserPolicy",
    "PutGroupPolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "PutUserPolicy",
    "SetDefaultPolicyVersion",
    "UpdateAssumeRolePolicy",
)
_GROUPS = (
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "CreateSecurityGroup",
    "DeleteSecurityGroup",
    "ModifySecurityGroupRules",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
)
_ACLS = (
    "CreateNetworkAcl",
    "CreateNetworkAclEntry",
    "DeleteNetworkAcl",
    "DeleteNetworkAclEntry",
    "ReplaceNetworkAclAssociation",
    "ReplaceNetworkAclEntry",
)
_ROUTES = (
    "CreateRoute",
    "CreateRouteTable",
    "DeleteRoute",
    "DeleteRouteTable",
    "DisassociateRouteTable",
    "ReplaceRoute",
    "ReplaceRouteTableAssociation",
)
_TRAIL = ("CreateTrail", "DeleteTrail", "PutEventSelectors", "StartLogging", "StopLogging", "UpdateTrail")
_KEYS = ("DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion")

ALARMS: Mapping[str, tuple[str, str]] = {
    "iam-change": ("a permission, a role or a credential was changed (CIS 4.4)", by_name("iam", *_IAM)),
    "key-at-risk": ("a KMS key was switched off, opened or is to be deleted (CIS 4.7)", by_name("kms", *_KEYS)),
    "network-acl-change": ("a network ACL was changed (CIS 4.11)", by_name("ec2", *_ACLS)),
    "root-use": (
        "the root user acted (CIS 4.3)",
        '{ ($.userIdentity.type = "Root") && ($.userIdentity.invokedBy NOT EXISTS) && ($.eventType != "AwsServiceEvent") }',
    ),
    "route-change": ("a route was changed (CIS 4.13)", by_name("ec2", *_ROUTES)),
    "security-group-change": ("a security group was changed (CIS 4.10)", by_name("ec2", *_GROUPS)),
    "trail-change": ("the trail itself was changed (CIS 4.5)", by_name("cloudtrail", *_TRAIL)),
}
"""What it means and the filter, by alarm. The pipeline's own changes ring too: that is the change record to match."""


def topic_policy(context: RegionContext, topic_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Alarms of this account publish; nobody speaks to the topic without TLS."""
    alarms = {
        "StringEquals": {"aws:SourceAccount": context.account},
        "ArnLike": {"aws:SourceArn": context.arn("cloudwatch", "alarm:*")},
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AlarmsPublish",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": alarms,
            },
            {
                "Sid": "RefusePlaintext",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """Where the trail's events are read."""

    context: RegionContext
    """The trail's home region."""
    log_group: pulumi.Input[str]
    """Name of the trail's log group."""
    key_arn: pulumi.Input[str]
    """The logs key."""


class Alarms(Component, token="zerotrust:account:Alarms"):
    """One filter and one alarm per row of the table."""

    topic_arn: pulumi.Output[str]
    """Subscribe the security team's tooling here."""

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        label = context.physical("security-alarms", limit=256)
        topic = aws.sns.Topic(
            f"{name}-topic", name=label, kms_master_key_id=args.key_arn, tags=context.tagged(label), opts=self.child()
        )
        policy = aws.sns.TopicPolicy(
            f"{name}-topic-policy",
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(topic_policy(context, topic.arn)),
            opts=self.child(),
        )
        namespace = f"{context.organization}/{context.environment}/trail"
        for key, (meaning, pattern) in sorted(ALARMS.items()):
            metric = aws.cloudwatch.LogMetricFilter(
                f"{name}-filter-{key}",
                name=context.physical(key, limit=512),
                log_group_name=args.log_group,
                pattern=pattern,
                metric_transformation=aws.cloudwatch.LogMetricFilterMetricTransformationArgs(
                    name=key, namespace=namespace, value="1", default_value="0"
                ),
                opts=self.child(),
            )
            aws.cloudwatch.MetricAlarm(
                f"{name}-alarm-{key}",
                name=context.physical(key, limit=255),
                alarm_description=meaning,
                namespace=namespace,
                metric_name=metric.metric_transformation.name,
                statistic="Sum",
                comparison_operator="GreaterThanOrEqualToThreshold",
                threshold=1,
                period=PERIOD_SECONDS,
                evaluation_periods=1,
                treat_missing_data="notBreaching",
                alarm_actions=[topic.arn],
                tags=context.tagged(context.physical(key)),
                opts=self.child(depends_on=[policy]),
            )
        self.topic_arn = topic.arn
        self.register_outputs({"topic_arn": self.topic_arn})
