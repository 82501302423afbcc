"""Every bucket keeps former versions of its objects."""

from policy.checks import best, check, covered
from policy.model import Findings, Params, Stack
from policy.values import is_true

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
VERSIONING = ("aws:s3/bucketVersioning:BucketVersioning", "aws:s3/bucketVersioningV2:BucketVersioningV2")


def validate(stack: Stack, _params: Params) -> Findings:
    """Versioning enabled, by its own resource or in the bucket's older property."""
    for bucket in stack.of(*BUCKETS):
        if is_true(bucket.get("versioning.enabled")):
            continue
        found, missing = covered(stack, bucket, stack.of(*VERSIONING), "bucket", "keeps no former versions")
        yield from missing
        yield from best(
            [
                list(check(one, "versioningConfiguration.status", lambda v: v == "Enabled", "versioning is not enabled"))
                for one in found
            ]
        )
