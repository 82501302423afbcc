"""The parts every evidence bucket has (S3-01 to S3-04): registered by the bucket's own component as its children."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.audit.statements import Delivery, Keeper, bucket_policy
from components.base import Component

GLACIER_AFTER_DAYS = 90
GLACIER_LEAST_DAYS = 90
"""Glacier Instant Retrieval bills at least 90 days (Amazon S3 pricing): sooner expiry would cost more than it saves."""
NONCURRENT_DAYS = 30


def lifecycle_rules(
    expire_after_days: int, *, noncurrent_days: int = NONCURRENT_DAYS, cold_storage: bool = True
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    """Cheaper storage after 90 days where it pays, expiry, and the remains of uploads and old versions.

    Args:
        expire_after_days: days after which an object goes.
        noncurrent_days: days after which a version goes that something newer, or a deletion, stands before.
        cold_storage: whether what is kept long enough becomes Glacier Instant Retrieval.
    """
    cold = [aws.s3.BucketLifecycleConfigurationRuleTransitionArgs(days=GLACIER_AFTER_DAYS, storage_class="GLACIER_IR")]
    pays = cold_storage and expire_after_days >= GLACIER_AFTER_DAYS + GLACIER_LEAST_DAYS
    return [
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="keep-then-expire",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            transitions=cold if pays else None,
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=expire_after_days),
            noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=noncurrent_days
            ),
            abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=7
            ),
        ),
    ]


def versioning(component: Component, name: str, bucket: aws.s3.Bucket) -> aws.s3.BucketVersioning:
    """Former versions are kept (S3-03)."""
    return aws.s3.BucketVersioning(
        f"{name}-versioning",
        bucket=bucket.bucket,
        versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        opts=component.child(),
    )


def harden(
    component: Component,
    name: str,
    bucket: aws.s3.Bucket,
    *,
    key_arn: pulumi.Input[str] | None,
    custodians: Sequence[str],
    deliveries: Sequence[Delivery],
    keepers: Sequence[Keeper] = (),
) -> aws.s3.BucketPolicy:
    """Encryption, no public access, no ACLs, and the policy; what writes to the bucket waits for the policy.

    Args:
        component: whose children these are.
        name: the component's name.
        bucket: the bucket.
        key_arn: the KMS key; None encrypts with SSE-S3, for deliverers that take nothing else.
        custodians: role ARNs that may remove what no lock holds.
        deliveries: who may write.
        keepers: who may hide what below which prefix.
    """
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="AES256" if key_arn is None else "aws:kms", kms_master_key_id=key_arn
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=bucket.bucket,
        rules=[
            aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=default, bucket_key_enabled=key_arn is not None
            )
        ],
        opts=component.child(),
    )
    block = aws.s3.BucketPublicAccessBlock(
        f"{name}-public-access-block",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=component.child(),
    )
    aws.s3.BucketOwnershipControls(
        f"{name}-ownership",
        bucket=bucket.bucket,
        rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        opts=component.child(),
    )
    return aws.s3.BucketPolicy(
        f"{name}-policy",
        bucket=bucket.bucket,
        policy=pulumi.Output.json_dumps(bucket_policy(bucket.arn, custodians, key_arn, deliveries, keepers)),
        # S3 answers concurrent changes of policy and public access block with a conflict.
        opts=component.child(depends_on=[block]),
    )
