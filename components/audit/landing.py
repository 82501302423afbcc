"""Where logs land whose deliverer does not write into a locked bucket, and from where S3 copies them into one.

AWS refuses AWS Config and server access logs a bucket with default retention, and documents neither ALB nor WAF logs for
one. So they land here, where nobody but the custodians may remove anything, and S3 replicates each object into the WORM
bucket, whose default retention holds the copy. Replication does not carry deletions.
What remains: until its copy exists, usually minutes, an object has the policy for protection and not the lock.
"""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.audit.hardened import harden, versioning
from components.audit.statements import Delivery
from components.base import Component
from components.context import RegionContext

KEPT_DAYS = 30
"""Days an object stays after landing; the copy is what is kept."""
WAF_PREFIX = "aws-waf-logs-"


def replication_trust(account: str, bucket_arn: pulumi.Input[str]) -> dict[str, Any]:
    """S3 may take the role for this bucket only."""
    condition = {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": bucket_arn}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def replication_policy(
    source: pulumi.Input[str],
    target: pulumi.Input[str],
    key_arn: pulumi.Input[str],
    region: str,
) -> dict[str, Any]:
    """Read versions here, write replicas there, with the one key and only through S3 (Amazon S3, replication permissions)."""
    through = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    reading = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
    statements = [
        {"Effect": "Allow", "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": source},
        {"Effect": "Allow", "Action": reading, "Resource": pulumi.Output.concat(source, "/*")},
        {
            "Effect": "Allow",
            "Action": ["s3:ReplicateObject", "s3:ReplicateTags"],
            "Resource": pulumi.Output.concat(target, "/*"),
        },
        {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key_arn, "Condition": through},
    ]
    return {"Version": "2012-10-17", "Statement": statements}


@dataclass(frozen=True, kw_only=True)
class LandingBucketArgs:
    """Whose logs land, and where they are kept."""

    context: RegionContext
    logs: str
    """What lands: `alb`, `waf`, `config`, `access`. Part of the name; `waf` gets the prefix AWS asks for."""
    deliveries: tuple[Delivery, ...]
    worm_arn: pulumi.Input[str]
    """ARN of the WORM bucket, in this region and account, encrypted with `key_arn`."""
    key_arn: pulumi.Input[str]
    custodians: tuple[str, ...]
    customer_key: bool
    """Whether the deliverer can write with a customer key: ALB and server access logs cannot."""
    protect: bool = True


def landing_name(context: RegionContext, logs: str) -> str:
    """The bucket's name; AWS WAF takes only names that begin with aws-waf-logs-."""
    return f"{WAF_PREFIX}{context.bucket('landing')}" if logs == "waf" else context.bucket(f"{logs}-landing")


class LandingBucket(Component, token="zerotrust:audit:LandingBucket"):
    """A landing place. `name` and `arn` are known once the policy and the replication stand."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: LandingBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        physical = landing_name(context, args.logs)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=physical,
            force_destroy=False,
            tags=context.tagged(physical, purpose="landing"),
            opts=self.child(protect=args.protect),
        )
        versions = versioning(self, name, bucket)
        policy = harden(
            self,
            name,
            bucket,
            key_arn=args.key_arn if args.customer_key else None,
            custodians=args.custodians,
            deliveries=args.deliveries,
        )
        self._expire(name, bucket, versions)
        replication = self._replicate(name, args, bucket, versions)
        self.name = pulumi.Output.all(policy.bucket, replication.bucket).apply(lambda names: str(names[0]))
        self.arn = self.name.apply(lambda known: f"arn:aws:s3:::{known}")
        self.register_outputs({"name": self.name, "arn": self.arn})

    def _expire(self, name: str, bucket: aws.s3.Bucket, versions: aws.s3.BucketVersioning) -> None:
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="expire",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=KEPT_DAYS),
                    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=KEPT_DAYS
                    ),
                )
            ],
            opts=self.child(depends_on=[versions]),
        )

    def _replicate(
        self, name: str, args: LandingBucketArgs, bucket: aws.s3.Bucket, versions: aws.s3.BucketVersioning
    ) -> aws.s3.BucketReplicationConfig:
        context = args.context
        role = aws.iam.Role(
            f"{name}-replication-role",
            assume_role_policy=pulumi.Output.json_dumps(replication_trust(context.account, bucket.arn)),
            max_session_duration=3600,
            permissions_boundary=context.permissions_boundary,
            tags=context.tagged(f"{name}-replication"),
            opts=self.child(),
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-replication-permissions",
            role=role.name,
            policy=pulumi.Output.json_dumps(replication_policy(bucket.arn, args.worm_arn, args.key_arn, context.region)),
            opts=self.child(),
        )
        encrypted = aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaArgs(
            sse_kms_encrypted_objects=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaSseKmsEncryptedObjectsArgs(
                status="Enabled"
            )
        )
        return aws.s3.BucketReplicationConfig(
            f"{name}-replication",
            bucket=bucket.bucket,
            role=role.arn,
            rules=[
                aws.s3.BucketReplicationConfigRuleArgs(
                    id="into-worm",
                    status="Enabled",
                    priority=1,
                    filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
                    # A deletion here must not hide the copy there.
                    delete_marker_replication=aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(status="Disabled"),
                    source_selection_criteria=encrypted,
                    destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(
                        bucket=args.worm_arn,
                        storage_class="STANDARD",
                        encryption_configuration=aws.s3.BucketReplicationConfigRuleDestinationEncryptionConfigurationArgs(
                            replica_kms_key_id=args.key_arn
                        ),
                    ),
                )
            ],
            opts=self.child(depends_on=[versions, allowed]),
        )
