"""What a region's cluster writes and must not lose with it: a locked bucket of backups, and the stores of logs and traces.

Guarantees: a backup's versions cannot be removed before their time, by whatever holds the writer's role (S3-05); who writes
may hide what is its own, below its own prefix, so that Velero and PostgreSQL's archive can tidy up; logs and traces are
encrypted with the region's logs key, deleted by who stores them, and expire in any case. Relies on: the region's keys.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components.audit.hardened import harden, lifecycle_rules, versioning
from components.audit.statements import Keeper
from components.audit.worm import GRACE_DAYS, WormBucket, WormBucketArgs
from components.base import Component
from components.context import RegionContext
from components.graph.names import BACKUP_NAMESPACE, LOKI_SERVICE, OBSERVABILITY_NAMESPACE, TEMPO_SERVICE
from components.settings.account import AuditSettings
from components.settings.backup import BackupSettings
from components.settings.observability import ObservabilitySettings, TenantLogSettings

VELERO: Final = "velero"
VELERO_PREFIX: Final = "velero/"
DATABASES_PREFIX: Final = "databases/"
WRITERS: Final = {"logs": LOKI_SERVICE, "traces": TEMPO_SERVICE}
"""Service account, in the observability namespace, of who stores each kind."""
RECALLED_DAYS: Final = 7
"""Days a deleted log or trace can still be brought back."""


def writer_role(context: RegionContext, namespace: str, account: str) -> str:
    """ARN of the role that Pod Identity gives a service account (`components.cluster.pod_identity` names it so)."""
    return context.arn("iam", f"role/{context.physical(context.region, namespace, account)}", regional=False)


def backup_keepers(context: RegionContext) -> tuple[Keeper, ...]:
    """Velero in its prefix; in the databases' prefix the region's own pod roles, of which each is confined to its folder.

    Vault's snapshots are nobody's to hide: they expire.
    """
    velero = writer_role(context, BACKUP_NAMESPACE, VELERO)
    pods = context.arn("iam", f"role/{context.organization}-{context.environment}-{context.region}-*", regional=False)
    return (
        Keeper(sid="RefuseHidingVelero", prefix=VELERO_PREFIX, roles=(velero,)),
        Keeper(sid="RefuseHidingDatabases", prefix=DATABASES_PREFIX, roles=(pods,)),
    )


def telemetry_keepers(context: RegionContext, purpose: str) -> tuple[Keeper, ...]:
    """Who stores logs or traces deletes them when their time is over; tenants' times differ."""
    role = writer_role(context, OBSERVABILITY_NAMESPACE, WRITERS[purpose])
    return (Keeper(sid="RefuseHiding", prefix="", roles=(role,)),)


def telemetry_days(settings: ObservabilitySettings, purpose: str) -> int:
    """The longest any line or trace is kept: the bucket's own expiry comes after it, for what its writer forgot."""
    if purpose == "traces":
        return settings.traces.retention_days
    kept = [limits.retention_days for limits in settings.logs.tenants.values()]
    return max([TenantLogSettings().retention_days, *kept])


@dataclass(frozen=True, kw_only=True)
class RegionBucketsArgs:
    """Whose data, for how long, and under which keys."""

    context: RegionContext
    audit: AuditSettings
    backup: BackupSettings
    observability: ObservabilitySettings
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
                keepers=backup_keepers(args.context),
                days=args.backup.lock_days,
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
        versions = versioning(self, name, bucket)
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            # Not to Glacier: its least object size and its least 90 days make small chunks dearer.
            rules=lifecycle_rules(
                telemetry_days(args.observability, purpose) + GRACE_DAYS, noncurrent_days=RECALLED_DAYS, cold_storage=False
            ),
            opts=self.child(depends_on=[versions]),
        )
        return harden(
            self,
            name,
            bucket,
            key_arn=args.logs_key_arn,
            custodians=args.custodians,
            deliveries=(),
            keepers=telemetry_keepers(args.context, purpose),
        )
