"""Statements of evidence buckets: what is refused to everybody, and what each log deliverer may write. Pure.

Which deliverer may write where is AWS's decision, not taste:

| deliverer | into default retention | encryption | source |
| --- | --- | --- | --- |
| CloudTrail | expected, to be proven | customer key | AWS CloudTrail, encrypting log files; S3 Object Lock |
| AWS Config | refused by AWS | customer key | AWS Config, delivery channel |
| S3 server access logs | refused by AWS | SSE-S3 only | Amazon S3, Object Lock considerations |
| ALB access logs | not documented | SSE-S3 only | Elastic Load Balancing, access logs |
| AWS WAF logs | not documented | customer key | AWS WAF, logging to S3 |

An upload into default retention must carry a checksum; whether a deliverer sends one is its own affair. So only CloudTrail
writes to the WORM bucket; the rest lands in a `LandingBucket`, from which S3 replicates into the WORM bucket.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.context import RegionContext

Statement = dict[str, Any]
Delivery = Callable[[pulumi.Input[str]], list[Statement]]
"""Given the bucket's ARN, the statements that let one deliverer write."""

LEAST_TLS = "1.2"
HIDING = "s3:DeleteObject"
"""Without a version id it puts a marker before an object: what was there stays, and its lock with it."""
REMOVAL = (
    "s3:DeleteObjectVersion",
    "s3:PutObjectRetention",
    "s3:PutObjectLegalHold",
    "s3:BypassGovernanceRetention",
)


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """Who tidies up after itself: roles that may hide current objects below one prefix, and remove no version."""

    sid: str
    """Letters and digits."""
    prefix: str
    """With its slash; empty for the whole bucket."""
    roles: tuple[str, ...]
    """ARNs or patterns of ARNs; a role need not exist yet, the condition compares text."""


def _objects(bucket: pulumi.Input[str], prefix: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(bucket, "/", prefix, "*")


def _logs_prefix(context: RegionContext) -> str:
    return f"AWSLogs/{context.account}/"


def _deny(sid: str, actions: Sequence[str], bucket: pulumi.Input[str], condition: dict[str, Any]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": [bucket, _objects(bucket, "")],
        "Condition": condition,
    }


def _hiding(bucket: pulumi.Input[str], custodians: Sequence[str], keepers: Sequence[Keeper]) -> list[Statement]:
    """Nobody hides an object but the custodians, and below a keeper's prefix that keeper.

    One statement for each keeper, and one for everything outside of their prefixes.
    """

    def refuse(sid: str, roles: Sequence[str], **where: Any) -> Statement:
        condition = {"ArnNotLike": {"aws:PrincipalArn": sorted(roles)}}
        return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": [HIDING], **where, "Condition": condition}

    own = [refuse(each.sid, [*custodians, *each.roles], Resource=[_objects(bucket, each.prefix)]) for each in keepers]
    if any(not each.prefix for each in keepers):
        return own
    if not keepers:
        return [refuse("RefuseHiding", custodians, Resource=[_objects(bucket, "")])]
    return [refuse("RefuseHiding", custodians, NotResource=[_objects(bucket, each.prefix) for each in keepers]), *own]


def refusals(
    bucket: pulumi.Input[str],
    custodians: Sequence[str],
    key_arn: pulumi.Input[str] | None,
    keepers: Sequence[Keeper] = (),
) -> list[Statement]:
    """What nobody may do: speak without TLS (S3-04), speak old TLS, remove or hide evidence, encrypt with a foreign key.

    Lifecycle expiry is S3's own act and not subject to the policy, so old evidence still goes when its time is over.

    Args:
        bucket: the bucket's ARN.
        custodians: role ARNs that may still remove evidence that no lock holds.
        key_arn: the only KMS key that an upload may name; None for SSE-S3, where none may.
        keepers: who may hide what below which prefix.
    """
    # Condition operators of one statement are joined by AND: absent headers pass and get the bucket's default.
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    foreign: dict[str, Any] = {"Null": {header: "false"}}
    if key_arn is not None:
        foreign["StringNotEquals"] = {header: key_arn}
    return [
        _deny("RefusePlaintext", ("s3:*",), bucket, {"Bool": {"aws:SecureTransport": "false"}}),
        _deny("RefuseOldTls", ("s3:*",), bucket, {"NumericLessThan": {"s3:TlsVersion": LEAST_TLS}}),
        _deny("RefuseRemoval", REMOVAL, bucket, {"ArnNotEquals": {"aws:PrincipalArn": sorted(custodians)}}),
        *_hiding(bucket, custodians, keepers),
        _deny("RefuseForeignKey", ("s3:PutObject",), bucket, foreign),
    ]


def _write(sid: str, service: str, resource: pulumi.Input[str], condition: dict[str, Any]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "s3:PutObject",
        "Resource": resource,
        "Condition": condition,
    }


def _look(sid: str, service: str, bucket: pulumi.Input[str], actions: Sequence[str], condition: dict[str, Any]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
        "Resource": bucket,
        "Condition": condition,
    }


def cloudtrail_delivery(context: RegionContext, trail_arn: str) -> Delivery:
    """The trail named, and no other trail of any account (AWS CloudTrail, bucket policy)."""
    source = {"StringEquals": {"aws:SourceArn": trail_arn}}
    owned = {"StringEquals": {"aws:SourceArn": trail_arn, "s3:x-amz-acl": "bucket-owner-full-control"}}
    service = "cloudtrail.amazonaws.com"
    return lambda bucket: [
        _look("TrailChecks", service, bucket, ("s3:GetBucketAcl",), source),
        _write("TrailWrites", service, _objects(bucket, _logs_prefix(context)), owned),
    ]


def config_delivery(context: RegionContext) -> Delivery:
    """AWS Config of this account, by its service-linked role (AWS Config, bucket permissions)."""
    source = {"StringEquals": {"aws:SourceAccount": context.account}}
    owned = {"StringEquals": {"aws:SourceAccount": context.account, "s3:x-amz-acl": "bucket-owner-full-control"}}
    service = "config.amazonaws.com"
    return lambda bucket: [
        _look("ConfigChecks", service, bucket, ("s3:GetBucketAcl", "s3:ListBucket"), source),
        _write("ConfigWrites", service, _objects(bucket, f"{_logs_prefix(context)}Config/"), owned),
    ]


def alb_log_delivery(context: RegionContext, prefix: str = "") -> Delivery:
    """Load balancers of this account and region; `prefix` as set on the load balancer, without slashes around it."""
    source = {
        "StringEquals": {"aws:SourceAccount": context.account},
        "ArnLike": {"aws:SourceArn": context.arn("elasticloadbalancing", "loadbalancer/*")},
    }
    path = f"{prefix}/{_logs_prefix(context)}" if prefix else _logs_prefix(context)
    service = "logdelivery.elasticloadbalancing.amazonaws.com"
    return lambda bucket: [_write("LoadBalancerWrites", service, _objects(bucket, path), source)]


def waf_log_delivery(context: RegionContext) -> Delivery:
    """AWS WAF through the log delivery service; the bucket's name must begin with aws-waf-logs- (AWS WAF, logging to S3)."""
    arn = {"ArnLike": {"aws:SourceArn": context.arn("logs", "*")}}
    source = {"StringEquals": {"aws:SourceAccount": context.account}, **arn}
    owned = {"StringEquals": {"aws:SourceAccount": context.account, "s3:x-amz-acl": "bucket-owner-full-control"}, **arn}
    service = "delivery.logs.amazonaws.com"
    return lambda bucket: [
        _look("WafChecks", service, bucket, ("s3:GetBucketAcl", "s3:ListBucket"), source),
        _write("WafWrites", service, _objects(bucket, _logs_prefix(context)), owned),
    ]


def access_log_delivery(context: RegionContext, prefix: str) -> Delivery:
    """Server access logs of this account's buckets below `prefix`, which ends in a slash."""
    source = {"StringEquals": {"aws:SourceAccount": context.account}, "ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}
    return lambda bucket: [_write("BucketsWrite", "logging.s3.amazonaws.com", _objects(bucket, prefix), source)]


def bucket_policy(
    bucket: pulumi.Input[str],
    custodians: Sequence[str],
    key_arn: pulumi.Input[str] | None,
    deliveries: Sequence[Delivery],
    keepers: Sequence[Keeper] = (),
) -> dict[str, Any]:
    """The whole bucket policy: refusals first, then what each deliverer may."""
    allowed = [statement for delivery in deliveries for statement in delivery(bucket)]
    return {"Version": "2012-10-17", "Statement": [*refusals(bucket, custodians, key_arn, keepers), *allowed]}
