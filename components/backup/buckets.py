"""What a region's cluster writes and must not lose with it: a locked bucket of backups, and the stores of logs and traces.

Guarantees: backups cannot be removed before their time, by whatever holds the writer's role (S3-05); logs and traces are
encrypted with the region's logs key and expire. Relies on: the region's backup and logs keys.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.audit.hardened import harden, versioning
from components.audit.worm import WormBucket, WormBucketArgs
from components.base import Component
from components.context import RegionContext
from components.settings.account import AuditSettings


@dataclass(frozen=True, kw_only=True)
class RegionBucketsArgs:
    """Whose data, and under which keys."""

    context: RegionContext
    audit: AuditSettings
    backup_key_arn: pulumi.Input[str]
    logs_key_arn: pulumi.Input[str]
    custodians: tuple[str, ...]
    protect: bool


class RegionBuckets(Component, token="zerotrust:backup:RegionBuckets"):
    """The buckets, by what they hold."""

    backups: WormBucket
    telemetry: dict[str, aws.s3.BucketPolicy]
    """By purpose, `logs` and `traces`: `bucket` of each is the name, known once the policy stands."""

    def __init__(self, name: str, args: RegionBucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.backups = WormBucket(
            f"{name}-backups",
            WormBucketArgs(
                context=args.context,
                settings=args.audit,
                purpose="backup",
                key_arn=args.backup_key_arn,
                custodians=args.custodians,
                protect=args.protect,
            ),
            opts=self.child(),
        )
        self.telemetry = {purpose: self._store(f"{name}-{purpose}", purpose, args) for purpose in ("logs", "traces")}
        self.register_outputs({})

    def _store(self, name: str, purpose: str, args: RegionBucketsArgs) -> aws.s3.BucketPolicy:
        physical = args.context.bucket(purpose)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=physical,
            force_destroy=False,
            tags=args.context.tagged(physical, purpose=purpose),
            opts=self.child(protect=args.protect),
        )
        versioning(self, name, bucket)
        return harden(self, name, bucket, key_arn=args.logs_key_arn, custodians=args.custodians, deliveries=())
