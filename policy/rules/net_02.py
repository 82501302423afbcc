"""Nothing started in a subnet gets a public address by itself."""

from policy.checks import forbid_true, strings, tag
from policy.model import CouldNotRun, Findings, Params, Resource
from policy.values import UNKNOWN, is_true


def validate(resource: Resource, params: Params) -> Findings:
    """The flag is off, but in tiers that the configuration names."""
    tiers = strings(params, "publicTiers")
    tier = tag(resource, "tier")
    if tiers and tier is UNKNOWN and is_true(resource.get("mapPublicIpOnLaunch")):
        yield CouldNotRun(path="tags.tier", urn=resource.urn)
    elif tier not in tiers:
        yield from forbid_true(resource, "mapPublicIpOnLaunch", "gives public addresses to whatever starts here")
