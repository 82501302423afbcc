"""Encrypted listeners speak TLS 1.2 or newer."""

from policy.checks import strings
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN


def validate(resource: Resource, params: Params) -> Findings:
    """A security policy from the list; absent is ELBSecurityPolicy-2016-08, with TLS 1.0."""
    protocol, policy = resource.get("protocol"), resource.get("sslPolicy")
    if policy in strings(params, "sslPolicies") or protocol not in ("HTTPS", "TLS", UNKNOWN):
        return
    if policy is UNKNOWN or protocol is UNKNOWN:
        yield CouldNotRun(path="sslPolicy" if policy is UNKNOWN else "protocol", urn=resource.urn)
    else:
        yield Violation(path="sslPolicy", problem="is not among the approved TLS policies", urn=resource.urn)
