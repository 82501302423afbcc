"""A second copy in another region, for the day the first is lost: of the backups and of the evidence.

Guarantees: the copy lies in a bucket of its own, locked as the original is, under the other region's key, which the lost region
does not need to answer for; deletions are not carried over; every version written from now on is. Relies on: both buckets'
versions. Each region copies into the next one in the order of their codes, so every region holds the copies of exactly one.
What S3 does not copy: objects from before the rule (S3 Batch Replication does that once), and what is a copy itself: logs that
reach the evidence bucket by replication from their landing place have their second copy in the same region only, unless a job of
S3 Batch Replication carries replicas over (docs/adr/0013-backups.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
import pulumi_aws as aws

from components.audit.landing import replication_trust
from components.audit.worm import WormBucket, WormBucketArgs
from components.base import Component
from components.context import RegionContext
from components.settings.account import AuditSettings

Purpose = Literal["audit", "backup"]
PROMISED_MINUTES: Final = 15
"""What S3 promises with replication time control; it takes no other number."""


def copied_into(codes: Iterable[str], *, home: str, copies: str | None) -> dict[str, str]:
    """Each region and the one that holds its copies: home's lie in `copies`, every other's at home. Empty without `copies`.

    A region that is added therefore moves nobody's copies.
    """
    return {} if copies is None else {code: copies if code == home else home for code in sorted(codes)}


def copy_policy(
    source: pulumi.Input[str],
    target: pulumi.Input[str],
    *,
    source_key: pulumi.Input[str],
    target_key: pulumi.Input[str],
    source_region: str,
    target_region: str,
) -> dict[str, Any]:
    """Read versions and their locks here, write replicas there, each key only through S3 of its region.

    Source: Amazon S3 user guide, "Setting up permissions for live replication", "Replicating objects with Object Lock".
    """
    reading = [
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionTagging",
        "s3:GetObjectRetention",
        "s3:GetObjectLegalHold",
    ]

    def key(sid: str, arn: pulumi.Input[str], actions: list[str], region: str) -> dict[str, Any]:
        through = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
        return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": arn, "Condition": through}

    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": source},
            {"Effect": "Allow", "Action": reading, "Resource": pulumi.Output.concat(source, "/*")},
            {
                "Effect": "Allow",
                "Action": ["s3:ReplicateObject", "s3:ReplicateTags"],
                "Resource": pulumi.Output.concat(target, "/*"),
            },
            key("Open", source_key, ["kms:Decrypt"], source_region),
            key("Close", target_key, ["kms:Encrypt", "kms:GenerateDataKey"], target_region),
        ],
    }


@dataclass(frozen=True, kw_only=True)
class Original:
    """A locked bucket that is copied."""

    bucket: WormBucket
    key_arn: pulumi.Input[str]
    """Its own key."""
    copy_key_arn: pulumi.Input[str]
    """The other region's key of the same purpose."""
    lock_days: int
    """Of the copy: as long as the original's."""


@dataclass(frozen=True, kw_only=True)
class RegionCopyArgs:
    """From where to where."""

    here: RegionContext
    there: RegionContext
    there_provider: aws.Provider
    """The caller's providers are those of `here`."""
    originals: Mapping[Purpose, Original]
    audit: AuditSettings
    within_15_minutes: bool
    custodians: tuple[str, ...]
    protect: bool


class RegionCopy(Component, token="zerotrust:backup:RegionCopy"):
    """The copies of one region's locked buckets in another region, and what fills them."""

    copies: dict[str, WormBucket]
    """By purpose."""

    def __init__(self, name: str, args: RegionCopyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.copies = {}
        for purpose, original in sorted(args.originals.items()):
            copy = self.copies[purpose] = WormBucket(
                f"{name}-{purpose}",
                WormBucketArgs(
                    context=args.there,
                    settings=args.audit,
                    purpose=purpose,
                    label="copy",
                    key_arn=original.copy_key_arn,
                    custodians=args.custodians,
                    days=original.lock_days,
                    protect=args.protect,
                ),
                opts=self.child(providers=[args.there_provider]),
            )
            self._copy(f"{name}-{purpose}", args, original, copy)
        self.register_outputs({})

    def _copy(self, name: str, args: RegionCopyArgs, original: Original, copy: WormBucket) -> None:
        here, source = args.here, original.bucket
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=pulumi.Output.json_dumps(replication_trust(here.account, source.arn)),
            max_session_duration=3600,
            permissions_boundary=here.permissions_boundary,
            tags=here.tagged(f"{name}-replication"),
            opts=self.child(),
        )
        document = copy_policy(
            source.arn,
            copy.arn,
            source_key=original.key_arn,
            target_key=original.copy_key_arn,
            source_region=here.region,
            target_region=args.there.region,
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-permissions", role=role.name, policy=pulumi.Output.json_dumps(document), opts=self.child()
        )
        aws.s3.BucketReplicationConfig(
            f"{name}-replication",
            bucket=source.name,
            role=role.arn,
            rules=[
                aws.s3.BucketReplicationConfigRuleArgs(
                    id="other-region",
                    status="Enabled",
                    priority=1,
                    filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
                    # A deletion here must not hide the copy there.
                    delete_marker_replication=aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(status="Disabled"),
                    source_selection_criteria=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaArgs(
                        sse_kms_encrypted_objects=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaSseKmsEncryptedObjectsArgs(
                            status="Enabled"
                        )
                    ),
                    destination=_destination(copy, original.copy_key_arn, within_15_minutes=args.within_15_minutes),
                )
            ],
            opts=self.child(depends_on=[source.versions, copy.versions, allowed]),
        )


def _destination(
    copy: WormBucket, key_arn: pulumi.Input[str], *, within_15_minutes: bool
) -> aws.s3.BucketReplicationConfigRuleDestinationArgs:
    timed = aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeArgs(
        status="Enabled",
        time=aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeTimeArgs(minutes=PROMISED_MINUTES),
    )
    measured = aws.s3.BucketReplicationConfigRuleDestinationMetricsArgs(
        status="Enabled",
        event_threshold=aws.s3.BucketReplicationConfigRuleDestinationMetricsEventThresholdArgs(minutes=PROMISED_MINUTES),
    )
    return aws.s3.BucketReplicationConfigRuleDestinationArgs(
        bucket=copy.arn,
        storage_class="STANDARD",
        encryption_configuration=aws.s3.BucketReplicationConfigRuleDestinationEncryptionConfigurationArgs(
            replica_kms_key_id=key_arn
        ),
        replication_time=timed if within_15_minutes else None,
        metrics=measured if within_15_minutes else None,
    )
