"""No bucket can be made public, by account and by bucket."""

from policy.checks import best, covered, require_true
from policy.model import Findings, Params, Stack, Violation

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ACCOUNT_BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def validate(stack: Stack, params: Params) -> Findings:
    """All four flags on every bucket and, where there are buckets, on the account."""
    buckets = stack.of(*BUCKETS)
    for bucket in buckets:
        blocks, missing = covered(stack, bucket, stack.of(BLOCK), "bucket", "has no public access block")
        yield from missing
        attempts = [[f for flag in FLAGS for f in require_true(one, flag, "is not true")] for one in blocks]
        yield from best(attempts)
    accounts = stack.of(ACCOUNT_BLOCK)
    for account in accounts:
        for flag in FLAGS:
            yield from require_true(account, flag, "is not true")
    if buckets and not accounts and params.get("accountBlock") is not False:
        yield Violation(path="AccountPublicAccessBlock", problem="the account has no public access block", urn=stack.urn)
