"""No policy allows whole services, or all resources where an action can be confined to some."""

from policy.checks import strings
from policy.documents import Statement, conditions, documents_of, is_every_action, is_everything, is_service_wide, matches_any
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN

TAG_KEYS = ("aws:resourcetag/", "aws:requesttag/", "ec2:resourcetag/")


def _by_tag(one: Statement) -> bool:
    return any(
        operator.startswith(("stringequals", "stringlike"))
        and key.startswith(TAG_KEYS)
        and any(value is UNKNOWN or str(value).strip("*") for value in values)
        for operator, key, values in conditions(one)
    )


def _statement(one: Statement, urn: str, unconfinable: tuple[str, ...]) -> Findings:
    if not one.may_allow:
        return
    actions, resources = one.members("Action"), one.members("Resource")
    wide = [path for path, value in actions if is_service_wide(value) and not is_every_action(value)]
    for path in wide:
        yield Violation(path=path, problem="allows a whole service", urn=urn)
    yield from (CouldNotRun(path=path, urn=urn) for path, value in actions if value is UNKNOWN)
    confinable = [
        (path, value)
        for path, value in actions
        if isinstance(value, str) and path not in wide and not is_every_action(value) and not matches_any(value, unconfinable)
    ]
    if not confinable or _by_tag(one):
        return
    for path, value in resources:
        if value is UNKNOWN:
            continue  # made of an identifier that the update assigns, so of one resource
        if is_everything(value):
            yield Violation(path=path, problem="means all resources, for an action that can be confined", urn=urn)


def validate(resource: Resource, params: Params) -> Findings:
    """Wildcards by service, and wildcards by resource but for actions that know no resource."""
    unconfinable = strings(params, "unconfinableActions")
    for found in documents_of(resource):
        if isinstance(found, Statement):
            yield from _statement(found, resource.urn, unconfinable)
        else:
            yield found
