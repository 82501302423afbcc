"""Load balancers refuse malformed requests, keep access logs and cannot be deleted in passing."""

from policy.checks import check, require_set, require_true
from policy.model import CouldNotRun, Findings, Params, Resource
from policy.values import UNKNOWN, is_true


def validate(resource: Resource, params: Params) -> Findings:
    """Header rules hold for application load balancers; logs and deletion protection for all that have them."""
    kind = resource.get("loadBalancerType")
    if kind in (None, "application"):
        yield from require_true(resource, "dropInvalidHeaderFields", "passes malformed headers on")
        yield from check(
            resource,
            "desyncMitigationMode",
            lambda value: value in (None, "defensive", "strictest"),
            "only watches requests that mean different things to different servers",
        )
    elif kind is UNKNOWN and not is_true(resource.get("dropInvalidHeaderFields")):
        yield CouldNotRun(path="loadBalancerType", urn=resource.urn)
    if params.get("deletionProtection") is not False:
        yield from require_true(resource, "enableDeletionProtection", "can be deleted by one call")
    if kind != "gateway":
        yield from require_true(resource, "accessLogs.enabled", "keeps no access log")
        yield from require_set(resource, "accessLogs.bucket", "its access log has no bucket")
