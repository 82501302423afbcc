"""Log groups are encrypted with a key of the bank and kept long enough."""

from policy.checks import require_set, require_true, tag
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, number


def validate(resource: Resource, params: Params) -> Findings:
    """Kept for the configured days. Kept for ever, and protected against deletion, where the purpose is audit."""
    yield from require_set(resource, "kmsKeyId", "no customer-managed key is named")
    purpose, days = tag(resource, "purpose"), resource.get("retentionInDays")
    if days is UNKNOWN:
        yield CouldNotRun(path="retentionInDays", urn=resource.urn)
    elif not number(days):
        if purpose is UNKNOWN:
            yield CouldNotRun(path="tags.purpose", urn=resource.urn)
        elif purpose != "audit":
            yield Violation(path="retentionInDays", problem="never expires, which only audit logs may", urn=resource.urn)
    elif (number(days) or 0.0) < (least := number(params.get("retentionDays")) or 0.0):
        yield Violation(path="retentionInDays", problem=f"is kept for less than {least:g} days", urn=resource.urn)
    if purpose == "audit":
        yield from require_true(resource, "deletionProtectionEnabled", "an audit log can be deleted by one call")
