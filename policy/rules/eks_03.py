"""The control plane logs everything, and the cluster cannot be deleted in passing."""

from policy.checks import require_all_of, require_true
from policy.model import Findings, Params, Resource

LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")


def validate(resource: Resource, params: Params) -> Findings:
    """All five logs; deletion protection where the environment asks for it."""
    yield from require_all_of(resource, "enabledClusterLogTypes", LOGS, "a control-plane log is off")
    if params.get("deletionProtection") is not False:
        yield from require_true(resource, "deletionProtection", "the cluster can be deleted by one call")
