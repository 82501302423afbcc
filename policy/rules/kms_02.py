"""Who may use a key is written down, and is not everybody."""

from policy.checks import forbid_true
from policy.documents import Statement, UnreadableDocumentError, is_anyone, narrowed, principals, statements
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, is_set


def _statement(one: Statement, urn: str) -> Findings:
    if not one.may_allow:
        return
    if one.raw("NotPrincipal") is not None:
        yield Violation(path=f"{one.path}.NotPrincipal", problem="allows everybody but those it names", urn=urn)
    confined = narrowed(one)
    for path, kind, value in principals(one):
        if value is UNKNOWN and confined is not True:
            yield CouldNotRun(path=path, urn=urn)
        elif is_anyone(kind, value) and confined is False:
            yield Violation(path=path, problem="lets everybody use the key", urn=urn)
        elif is_anyone(kind, value) and confined is None:
            yield CouldNotRun(path=f"{one.path}.Condition", urn=urn)


def validate(resource: Resource, _params: Params) -> Findings:
    """A policy on the key itself: one attached later leaves AWS's default in force until then."""
    yield from forbid_true(
        resource, "bypassPolicyLockoutSafetyCheck", "skips AWS's check that somebody can still change the policy"
    )
    document = resource.get("policy")
    if not is_set(document):
        yield Violation(path="policy", problem="has no policy of its own", urn=resource.urn)
        return
    try:
        found = statements(document, "policy")
    except UnreadableDocumentError as error:
        yield Violation(path="policy", problem=str(error), urn=resource.urn)
        return
    if found is UNKNOWN:
        yield CouldNotRun(path="policy", urn=resource.urn)
        return
    for one in found:
        yield from _statement(one, resource.urn)
