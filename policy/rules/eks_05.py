"""Who may use a cluster stands in access entries only, and its creator keeps no hidden rights."""

from policy.checks import check, require_one_of
from policy.model import Findings, Params, Resource
from policy.values import is_false


def validate(resource: Resource, _params: Params) -> Findings:
    """API authentication; the creator's rights switched off by name, because the default is on."""
    yield from require_one_of(resource, "accessConfig.authenticationMode", ("API",), "leaves the aws-auth ConfigMap in force")
    yield from check(
        resource,
        "accessConfig.bootstrapClusterCreatorAdminPermissions",
        is_false,
        "the principal that creates the cluster stays its hidden administrator",
    )
