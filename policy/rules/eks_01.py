"""The API server of a cluster is reached from inside the VPC only."""

from policy.addresses import world_ranges
from policy.checks import require_true, strings
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, elements, is_false


def validate(resource: Resource, params: Params) -> Findings:
    """Private on; public off, or confined to ranges the configuration names. Absent is public: AWS's default."""
    yield from require_true(resource, "vpcConfig.endpointPrivateAccess", "the private endpoint is not switched on")
    public = resource.get("vpcConfig.endpointPublicAccess")
    if public is UNKNOWN:
        yield CouldNotRun(path="vpcConfig.endpointPublicAccess", urn=resource.urn)
        return
    if is_false(public):
        return
    allowed = strings(params, "publicAccessCidrs")
    if not allowed:
        yield Violation(
            path="vpcConfig.endpointPublicAccess", problem="the public endpoint is not switched off", urn=resource.urn
        )
        return
    ranges = list(elements(resource.get("vpcConfig.publicAccessCidrs"), "vpcConfig.publicAccessCidrs"))
    if not ranges:
        yield Violation(path="vpcConfig.publicAccessCidrs", problem="no range given, which means 0.0.0.0/0", urn=resource.urn)
    for path, value in ranges:
        if value is UNKNOWN:
            yield CouldNotRun(path=path, urn=resource.urn)
        elif value not in allowed or world_ranges(((path, value),)):
            yield Violation(path=path, problem="opens the API server to a range that was not approved", urn=resource.urn)
