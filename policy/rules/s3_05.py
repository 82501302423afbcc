"""Audit and backup buckets hold their objects against everybody, for as long as the law asks."""

from policy.checks import best, check, covered, require_true, strings, tag
from policy.model import CouldNotRun, Finding, Findings, Params, Resource, Stack
from policy.values import UNKNOWN, number

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
LOCKS = (
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "aws:s3/bucketObjectLockConfigurationV2:BucketObjectLockConfigurationV2",
)
DAYS_OF_A_YEAR = 365


def _judge(lock: Resource, days: float, modes: tuple[str, ...]) -> list[Finding]:
    retention = "rule.defaultRetention"
    findings = list(check(lock, f"{retention}.mode", lambda v: v in modes, "can be lifted by an administrator"))
    given = [(key, lock.get(f"{retention}.{key}")) for key in ("days", "years")]
    held = (number(given[0][1]) or 0.0) + (number(given[1][1]) or 0.0) * DAYS_OF_A_YEAR
    if held >= days:
        return findings
    unknown = [key for key, value in given if value is UNKNOWN]
    if unknown:
        return [*findings, CouldNotRun(path=f"{retention}.{unknown[0]}", urn=lock.urn)]
    problem = f"holds objects for less than {days:g} days"
    return [*findings, *check(lock, f"{retention}.days", lambda _: False, problem)]


def validate(stack: Stack, params: Params) -> Findings:
    """Which buckets: by the tag ``purpose``. How long and how hard: by the configuration."""
    periods, modes = params.get("retentionDays"), strings(params, "modes")
    for bucket in stack.of(*BUCKETS):
        purpose = tag(bucket, "purpose")
        if purpose is UNKNOWN:
            yield CouldNotRun(path="tags.purpose", urn=bucket.urn)
            continue
        days = number(periods.get(purpose)) if isinstance(periods, dict) and isinstance(purpose, str) else None
        if days is None:
            continue
        yield from require_true(bucket, "objectLockEnabled", "has no object lock, which cannot be added later")
        locks, missing = covered(stack, bucket, stack.of(*LOCKS), "bucket", "has no default retention")
        yield from missing
        yield from best([_judge(lock, days, modes) for lock in locks])
