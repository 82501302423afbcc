"""The documents and selectors of the account's trail. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components.context import RegionContext

Selector = aws.cloudtrail.TrailAdvancedEventSelectorArgs
Field = aws.cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgs
CLOUDTRAIL = "cloudtrail.amazonaws.com"


def trail_name(context: RegionContext) -> str:
    """The trail's physical name: the bucket policy and the role name it before it exists."""
    return context.physical("trail", limit=128)


def trail_arn(context: RegionContext) -> str:
    """The trail's ARN in its home region."""
    return context.arn("cloudtrail", f"trail/{trail_name(context)}")


def trail_log_group(home: RegionContext) -> str:
    """Name of the trail's log group, in its home region."""
    return f"/{home.organization}/{home.environment}/trail"


def role_trust(context: RegionContext) -> dict[str, Any]:
    """CloudTrail may take the role for this trail only."""
    condition = {"StringEquals": {"aws:SourceAccount": context.account, "aws:SourceArn": trail_arn(context)}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": CLOUDTRAIL},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def role_policy(context: RegionContext, log_group_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Streams that CloudTrail names after the account and region, in one log group (AWS CloudTrail, role policy)."""
    streams = pulumi.Output.concat(log_group_arn, f":log-stream:{context.account}_CloudTrail_{context.region}*")
    statement = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": streams}
    return {"Version": "2012-10-17", "Statement": [statement]}


def event_selectors(trail_bucket: pulumi.Input[str], unrecorded: Sequence[pulumi.Input[str]]) -> list[Selector]:
    """All management events; access to objects of every bucket; and of the trail's own bucket all but its writing.

    Args:
        trail_bucket: ARN of the bucket the trail writes to. Recording its own deliveries would feed the trail with itself.
        unrecorded: ARNs of further buckets that only services write to (landing places), left out for their cost.
    """
    left_out = [pulumi.Output.concat(arn, "/") for arn in (trail_bucket, *unrecorded)]
    data = [Field(field="eventCategory", equals=["Data"]), Field(field="resources.type", equals=["AWS::S3::Object"])]
    own = Field(field="resources.ARN", starts_withs=[pulumi.Output.concat(trail_bucket, "/")])
    return [
        Selector(name="management", field_selectors=[Field(field="eventCategory", equals=["Management"])]),
        Selector(name="objects", field_selectors=[*data, Field(field="resources.ARN", not_starts_withs=left_out)]),
        Selector(name="evidence", field_selectors=[*data, own, Field(field="eventName", not_equals=["PutObject"])]),
    ]


INSIGHTS: Mapping[str, str] = {
    "ApiCallRateInsight": "a burst of calls: somebody is enumerating or destroying",
    "ApiErrorRateInsight": "a burst of refusals: somebody tries what they may not",
}
