"""There are no IAM users and no access keys."""

from policy.model import Findings, Params, Resource, Violation


def validate(resource: Resource, _params: Params) -> Findings:
    """The resource itself is the violation."""
    kind = resource.type.rsplit(":", maxsplit=1)[-1]
    yield Violation(path=kind, problem="is or belongs to a long-lived credential", urn=resource.urn)
