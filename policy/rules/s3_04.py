"""Every bucket refuses unencrypted connections and callers outside the trusted accounts."""

import re

from policy.checks import strings
from policy.documents import (
    Statement,
    UnreadableDocumentError,
    conditions,
    is_anyone,
    is_every_action,
    narrowed,
    principals,
    statements,
)
from policy.model import CouldNotRun, Finding, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, is_set

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ACCOUNT = re.compile(r"^(?:arn:[^:]*:(?:iam|sts)::)?(\d{12})(?::.*)?$")


def _refuses_plain(one: Statement) -> bool:
    everybody = any(is_anyone(kind, value) for _, kind, value in principals(one))
    actions = [value for _, value in one.members("Action")]
    everything = any(is_every_action(a) or (isinstance(a, str) and a.lower() == "s3:*") for a in actions)
    listed = list(conditions(one))
    only = len(listed) == 1 and listed[0][0] == "bool" and listed[0][1] == "aws:securetransport"
    return one.effect == "deny" and everybody and everything and only and [str(v).lower() for v in listed[0][2]] == ["false"]


def _anyone(one: Statement, path: str, urn: str) -> Findings:
    confined = narrowed(one)
    if confined is None:
        yield CouldNotRun(path=f"{one.path}.Condition", urn=urn)
    elif not confined:
        yield Violation(path=path, problem="lets everybody in", urn=urn)


def _stranger(value: object, trusted: tuple[str, ...]) -> bool:
    account = ACCOUNT.match(value) if isinstance(value, str) else None
    return account is None or account.group(1) not in trusted


def _grants(one: Statement, urn: str, trusted: tuple[str, ...], *, sure: bool) -> Findings:
    if not one.may_allow:
        return
    if one.raw("NotPrincipal") is not None:
        yield Violation(path=f"{one.path}.NotPrincipal", problem="allows everybody but those it names", urn=urn)
    for path, kind, value in principals(one):
        if value is UNKNOWN:
            yield CouldNotRun(path=path, urn=urn)
        elif is_anyone(kind, value):
            yield from _anyone(one, path, urn)
        elif kind.lower() in ("aws", "*") and _stranger(value, trusted):
            if sure:
                yield Violation(path=path, problem="lets an account in that is not trusted", urn=urn)
            else:
                yield CouldNotRun(path="provider.allowedAccountIds", urn=urn)


def _judge(source: Resource, params: Params) -> list[Finding]:
    try:
        found = statements(source.get("policy"), "policy")
    except UnreadableDocumentError as error:
        return [Violation(path="policy", problem=str(error), urn=source.urn)]
    if found is UNKNOWN:
        return [CouldNotRun(path="policy", urn=source.urn)]
    own = source.provider.props.get("allowedAccountIds") if source.provider else None
    listed = [one for one in own if isinstance(one, str)] if isinstance(own, list) else []
    trusted = (*strings(params, "trustedAccounts"), *listed)
    sure = own is not UNKNOWN and not (isinstance(own, list) and UNKNOWN in own)
    findings = [finding for one in found for finding in _grants(one, source.urn, trusted, sure=sure)]
    if not any(_refuses_plain(one) for one in found):
        if any(one.effect is UNKNOWN or one.raw("Condition") is UNKNOWN for one in found):
            findings.append(CouldNotRun(path="policy", urn=source.urn))
        else:
            findings.append(
                Violation(path="policy", problem="does not refuse unencrypted connections to everything", urn=source.urn)
            )
    return findings


def validate(stack: Stack, params: Params) -> Findings:
    """A policy per bucket, by its own resource or in the bucket's older property. Own account: the provider's."""
    policies = stack.of(POLICY)
    for policy in policies:
        yield from _judge(policy, params)
    for bucket in stack.of(*BUCKETS):
        answers = [stack.refers(policy, "bucket", bucket) for policy in policies]
        if any(answers):
            continue
        if is_set(bucket.get("policy")):
            yield from _judge(bucket, params)
        elif None in answers:
            yield CouldNotRun(path="policy", urn=bucket.urn)
        else:
            yield Violation(path="policy", problem="has no policy", urn=bucket.urn)
