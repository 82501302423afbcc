"""Every web ACL logs its requests, without the credentials in them."""

from typing import Any

from policy.checks import best, covered
from policy.model import CouldNotRun, Finding, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, elements, look

ACL = "aws:wafv2/webAcl:WebAcl"
LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
CREDENTIALS = ("authorization", "cookie")


def _redacts(logging: Resource) -> list[Finding]:
    fields = list(elements(logging.get("redactedFields"), "redactedFields"))
    names: list[Any] = [look(field, "singleHeader.name") for _, field in fields]
    lower = [name.lower() for name in names if isinstance(name, str)]
    missing = [name for name in CREDENTIALS if name not in lower]
    unknown = sum(name is UNKNOWN for name in names)
    whole = logging.get("redactedFields") is UNKNOWN
    if not missing:
        return []
    if whole or unknown >= len(missing):
        return [CouldNotRun(path="redactedFields", urn=logging.urn)]
    return [Violation(path="redactedFields", problem=f"logs the header {name}", urn=logging.urn) for name in missing]


def validate(stack: Stack, _params: Params) -> Findings:
    """One logging configuration per web ACL, which leaves out the headers that carry credentials."""
    for acl in stack.of(ACL):
        found, missing = covered(stack, acl, stack.of(LOGGING), "resourceArn", "logs nothing")
        yield from missing
        yield from best([_redacts(one) for one in found])
