"""Instance credentials are out of reach of what runs on the instance."""

from policy.checks import check, require_one_of
from policy.model import Findings, Params, Resource
from policy.values import is_set, number


def validate(resource: Resource, _params: Params) -> Findings:
    """Session tokens required, one hop at most: a pod is a hop away. An instance may take both from its template."""
    if resource.type == "aws:ec2/instance:Instance" and is_set(resource.get("launchTemplate")):
        if not is_set(resource.get("metadataOptions")):
            return
    elif resource.get("metadataOptions.httpEndpoint") == "disabled":
        return
    yield from require_one_of(resource, "metadataOptions.httpTokens", ("required",), "answers requests without a session token")
    yield from check(
        resource,
        "metadataOptions.httpPutResponseHopLimit",
        lambda value: (hops := number(value)) is not None and hops <= 1,
        "lets session tokens travel more than one hop, into pods",
    )
