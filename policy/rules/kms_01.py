"""Keys rotate and cannot vanish quickly."""

from policy.checks import check, forbid_false, require_true
from policy.model import CouldNotRun, Findings, NotApplicable, Params, Resource
from policy.values import UNKNOWN, is_set, number

LONGEST_WINDOW = 30
LONGEST_PERIOD = 365


def validate(resource: Resource, _params: Params) -> Findings:
    """Rotation for symmetric keys; a full waiting period for all. Absent rotates never and waits 30 days."""
    yield from check(
        resource,
        "deletionWindowInDays",
        lambda value: value is None or number(value) == LONGEST_WINDOW,
        "shortens the time in which a deletion can be called off",
    )
    yield from forbid_false(resource, "isEnabled", "the key is switched off")
    spec, usage = resource.get("customerMasterKeySpec"), resource.get("keyUsage")
    if spec not in (None, "SYMMETRIC_DEFAULT", UNKNOWN) or usage not in (None, "ENCRYPT_DECRYPT", UNKNOWN):
        yield NotApplicable(reason="KMS rotates symmetric encryption keys only", urn=resource.urn)
        return
    if is_set(resource.get("customKeyStoreId")):
        yield NotApplicable(reason="a key in a custom store is rotated in that store", urn=resource.urn)
        return
    if UNKNOWN in (spec, usage):
        yield CouldNotRun(path="customerMasterKeySpec" if spec is UNKNOWN else "keyUsage", urn=resource.urn)
        return
    yield from require_true(resource, "enableKeyRotation", "the key never rotates")
    yield from check(
        resource,
        "rotationPeriodInDays",
        lambda value: value is None or ((days := number(value)) is not None and days <= LONGEST_PERIOD),
        "rotates less than once a year",
    )
