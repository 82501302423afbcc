"""A cluster runs a version in standard support, and stays out of extended support."""

from policy.checks import check, require_one_of, strings
from policy.model import Findings, Params, Resource


def validate(resource: Resource, params: Params) -> Findings:
    """Version on the list; support type stated, because the default is extended support."""
    versions = strings(params, "versions")
    # Numbers arrive as numbers: 1.30 written without quotes would be 1.3, which is on no list.
    yield from check(
        resource,
        "version",
        lambda value: str(value) in versions,
        f"is not among the supported versions {', '.join(versions)}",
    )
    yield from require_one_of(resource, "upgradePolicy.supportType", ("STANDARD",), "lets the cluster fall into extended support")
