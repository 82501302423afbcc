"""A bucket whose objects nobody can remove before their time (S3-01 to S3-05, S3-07).

Guarantees: default retention from the first object on, versions, a customer key, TLS 1.2 or newer, no public access.
Relies on: deliverers that send a checksum (see `components.audit.statements`); the rest reach it by replication.
In COMPLIANCE mode a destroy has to wait until the last retention is over.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.audit.hardened import NONCURRENT_DAYS, harden, lifecycle_rules, versioning
from components.audit.statements import Delivery, Keeper
from components.base import Component
from components.context import RegionContext
from components.settings.account import AuditSettings

GRACE_DAYS = 30
"""Days between the end of the lock and expiry, in which an auditor can still place a legal hold."""


@dataclass(frozen=True, kw_only=True)
class WormBucketArgs:
    """What is kept, for how long, and who may write it."""

    context: RegionContext
    settings: AuditSettings
    purpose: str
    """`audit` or `backup`: the tag S3-05 goes by, and part of the name."""
    key_arn: pulumi.Input[str]
    """The KMS key."""
    custodians: tuple[str, ...]
    """Role ARNs that may remove what no lock holds any more: the break-glass role."""
    deliveries: tuple[Delivery, ...] = ()
    keepers: tuple[Keeper, ...] = ()
    """Who may hide what is its own; every version stays locked all the same."""
    days: int | None = None
    """Days of the lock; None for the audit's."""
    label: str = ""
    """The part of the name after the purpose, where a region has several."""
    protect: bool = True


class WormBucket(Component, token="zerotrust:audit:WormBucket"):
    """Evidence. `name` and `arn` become known once the policy and the lock stand, so what writes waits for both."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    versions: aws.s3.BucketVersioning
    """What replication of the bucket waits for."""

    def __init__(self, name: str, args: WormBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        physical = args.context.bucket("-".join(part for part in (args.purpose, args.label) if part))
        days = args.settings.worm_retention_days if args.days is None else args.days
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=physical,
            force_destroy=False,
            object_lock_enabled=True,
            tags=args.context.tagged(physical, purpose=args.purpose),
            opts=self.child(protect=args.protect),
        )
        versions = self.versions = versioning(self, name, bucket)
        lock = aws.s3.BucketObjectLockConfiguration(
            f"{name}-lock",
            bucket=bucket.bucket,
            rule=aws.s3.BucketObjectLockConfigurationRuleArgs(
                default_retention=aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                    mode=args.settings.worm_mode, days=days
                )
            ),
            opts=self.child(depends_on=[versions], protect=args.protect),
        )
        policy = harden(
            self,
            name,
            bucket,
            key_arn=args.key_arn,
            custodians=args.custodians,
            deliveries=args.deliveries,
            keepers=args.keepers,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=lifecycle_rules(
                days + GRACE_DAYS,
                # A keeper's own marker frees the version as soon as the lock does.
                noncurrent_days=days if args.keepers else NONCURRENT_DAYS,
            ),
            opts=self.child(depends_on=[versions]),
        )
        self.name = pulumi.Output.all(policy.bucket, lock.bucket).apply(lambda names: str(names[0]))
        self.arn = self.name.apply(lambda known: f"arn:aws:s3:::{known}")
        self.register_outputs({"name": self.name, "arn": self.arn})
