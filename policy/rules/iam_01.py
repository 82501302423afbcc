"""No policy allows everything, or everything but a list."""

from policy.documents import Statement, documents_of, is_every_action, is_everything
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN


def _statement(one: Statement, urn: str) -> Findings:
    if not one.may_allow:
        return
    for key in ("NotAction", "NotResource"):
        if one.raw(key) is not None:
            yield Violation(path=f"{one.path}.{key}", problem="allows everything but what it names", urn=urn)
    actions, resources = one.members("Action"), one.members("Resource")
    every = any(is_every_action(value) for _, value in actions)
    everything = any(is_everything(value) for _, value in resources)
    if every and everything:
        yield Violation(path=f"{one.path}.Action", problem="allows every action on every resource", urn=urn)
    elif every or everything:
        others = resources if every else actions
        yield from (CouldNotRun(path=path, urn=urn) for path, value in others if value is UNKNOWN)
    else:
        unknown = [path for path, value in actions if value is UNKNOWN]
        if unknown and any(value is UNKNOWN for _, value in resources):
            yield from (CouldNotRun(path=path, urn=urn) for path in unknown)


def validate(resource: Resource, _params: Params) -> Findings:
    """Every document of the resource, statement by statement."""
    for found in documents_of(resource):
        if isinstance(found, Statement):
            yield from _statement(found, resource.urn)
        else:
            yield found
