"""The steps of a call's life hold by their evidence, and each of them fails when its own evidence says otherwise."""

import copy
import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sandbox.proof.lifecycle_steps import Made, Seen, judge
from sandbox.proof.world import Answer

DOMAIN = "eu-west-1.local.mycompany.internal"
CALLER, CALLEE = f"spiffe://{DOMAIN}/ns/bank-a/sa/api-ms", f"spiffe://{DOMAIN}/ns/bank-b/sa/trans-ms"
STRANGER = f"spiffe://{DOMAIN}/ns/bank-a/sa/frontend"
NOW = dt.datetime(2026, 11, 21, 21, 0, tzinfo=dt.UTC)
TRACE = "00-957ba1703a3e88672b8c989c82c59f58-4a24ddde49ab9c74-01"
EDGE = "bank-a-api-to-bank-b-trans"
USER = "v_bank-b-trans-ledger_Hqt8DA2aqvdatszR_1795296835"


def _request(amount: int, *, passed: bool) -> Made:
    result = {"allowed": True, "edges": [f"calls/{EDGE}"], "reasons": []}
    if not passed:
        result = {"allowed": False, "edges": [], "reasons": ["amount"]}
    body = {
        "x-forwarded-client-cert": f'By={CALLEE};Hash=0f0f;Subject="";URI={CALLER}',
        "result": {"id": 7, "database_user": USER},
    }
    text = json.dumps(body) if passed else '{"error":"forbidden"}'
    service = {"request_id": "r", "traceparent": TRACE, "caller": CALLER, "identity": CALLEE}
    http = {"headers": {"x-request-id": "r", "traceparent": TRACE}}
    claims = {"claims": {"azp": "bank-a.web", "scope": "transfers.write"}}
    attributes = {"source": {"principal": CALLER}, "request": {"http": http}, "metadataContext": {"filterMetadata": claims}}
    return Made(
        amount=amount,
        answer=Answer(status=200 if passed else 403, body=text, error="", at="", seconds=0.1),
        sent={"request_id": "r", "trace": TRACE, "upstream": CALLEE},
        received={
            "request_id": "r",
            "trace": TRACE,
            "source": CALLER,
            "self": CALLEE,
            "tls_version": "TLSv1.3",
            "details": "via_upstream" if passed else "ext_authz_denied",
        },
        decision={"decision_id": "d", "input": {"attributes": attributes}, "result": result},
        service=service if passed else {},
    )


def _policy(name: str, *callers: str) -> dict[str, Any]:
    rule = {
        "from": [{"source": {"principals": [one.removeprefix("spiffe://") for one in callers]}}],
        "to": [{"operation": {"methods": ["POST"], "paths": ["/transfer"]}}],
    }
    return {"metadata": {"name": name}, "spec": {"action": "ALLOW", "rules": [rule]}}


GOOD = Seen(
    caller=CALLER,
    callee=CALLEE,
    edge=EDGE,
    client="bank-a.web",
    now=NOW,
    identity={
        "spiffe_id": CALLER,
        "serial": "255",
        "not_before": "2026-11-21T20:29:50Z",
        "not_after": "2026-11-21T21:30:00Z",
        "trust_domains": [DOMAIN],
    },
    loaded=frozenset({"ff"}),
    policies=(_policy(f"call-{EDGE}", CALLER), {"metadata": {"name": "default-deny"}, "spec": {}}),
    passed=1,
    refused=0,
    allowed=_request(500, passed=True),
    excessive=_request(100_000_001, passed=False),
    credential={"rolname": USER, "rolvaliduntil": "2026-11-21T21:15:00+00:00"},
    rows=({"id": 7, "caller": CALLER, "amount_minor_units": 500, "at": "2026-11-21T21:00:00+00:00"},),
)


def _with(made: Made, **changes: Any) -> Made:
    """The request with other entries; `a__b` reaches into what an entry holds."""
    for path, value in changes.items():
        name, *inside = path.split("__")
        entry = copy.deepcopy(getattr(made, name))
        if inside:
            place = entry
            for key in inside[:-1]:
                place = place[key]
            place[inside[-1]] = value
        made = replace(made, **{name: entry if inside else value})
    return made


def _allowed(**changes: Any) -> Seen:
    return replace(GOOD, allowed=_with(GOOD.allowed, **changes))


def _excessive(**changes: Any) -> Seen:
    return replace(GOOD, excessive=_with(GOOD.excessive, **changes))


def _answered(change: Callable[[dict[str, Any]], None]) -> Seen:
    body = GOOD.allowed.answer.json()
    change(body)
    return _allowed(answer=replace(GOOD.allowed.answer, body=json.dumps(body)))


BROKEN: dict[str, tuple[Seen, set[int]]] = {
    "an identity of somebody else": (replace(GOOD, identity={**GOOD.identity, "spiffe_id": STRANGER}), {1}),
    "an identity that is over": (replace(GOOD, now=NOW + dt.timedelta(minutes=30), credential=GOOD.credential), {1, 5}),
    "an identity of a day": (replace(GOOD, identity={**GOOD.identity, "not_after": "2026-11-22T20:30:00Z"}), {1}),
    "a proxy with another certificate": (replace(GOOD, loaded=frozenset({"fe"})), {1}),
    "TLS 1.2": (_allowed(received__tls_version="TLSv1.2"), {2}),
    "no TLS": (_allowed(received__tls_version=None), {2}),
    "another callee": (_allowed(received__self=STRANGER), {2}),
    "another caller": (_allowed(received__source=STRANGER), {2, 7}),
    "a caller that reached somebody else": (_allowed(sent__upstream=STRANGER), {2, 7}),
    "a header about another caller": (
        _answered(lambda body: body.update({"x-forwarded-client-cert": f"By={CALLEE};Hash=0f;URI={STRANGER}"})),
        {2},
    ),
    "no policy for the edge": (replace(GOOD, policies=GOOD.policies[1:]), {3}),
    "a policy for another caller": (
        replace(GOOD, policies=(_policy(f"call-{EDGE}", STRANGER), *GOOD.policies[1:])),
        {3},
    ),
    "another policy that admits it too": (replace(GOOD, policies=(_policy("call-any", CALLER), *GOOD.policies)), {3}),
    "nothing that refuses the rest": (replace(GOOD, policies=GOOD.policies[:1]), {3}),
    "no request that the policies let pass": (replace(GOOD, passed=0), {3}),
    "a request that the policies refused": (replace(GOOD, refused=1), {3}),
    "a decision without a number": (_allowed(decision__decision_id=""), {4}),
    "a decision about another caller": (
        _allowed(decision__input__attributes__source__principal=STRANGER),
        {4, 7},
    ),
    "a decision that refuses": (_allowed(decision__result__allowed=False), {4}),
    "a decision by another edge": (_allowed(decision__result__edges=["calls/other"]), {4}),
    "a decision without the token": (_allowed(decision__input__attributes__metadataContext={}), {4}),
    "over the limit and answered": (_excessive(answer=replace(GOOD.excessive.answer, status=200)), {4}),
    "over the limit, refused for more": (_excessive(decision__result__reasons=["amount", "token"]), {4}),
    "over the limit, refused by the mesh": (_excessive(received__details="rbac_access_denied_matched_policy[none]"), {4}),
    "over the limit, and the service saw it": (_excessive(service={"request_id": "r"}), {4}),
    "a credential without an end": (replace(GOOD, credential={"rolname": USER, "rolvaliduntil": None}), {5}),
    "a credential of a day": (replace(GOOD, credential={**GOOD.credential, "rolvaliduntil": "2026-11-22T21:00:00+00:00"}), {5}),
    "a credential that is over": (
        replace(GOOD, credential={**GOOD.credential, "rolvaliduntil": "2026-11-21T20:00:00+00:00"}),
        {5},
    ),
    "a role that PostgreSQL does not know": (replace(GOOD, credential={}), {5}),
    "the database's owner": (_answered(lambda body: body["result"].update(database_user="ledger")), {5}),
    "no row": (replace(GOOD, rows=()), {6}),
    "a row of another caller": (replace(GOOD, rows=({**GOOD.rows[0], "caller": STRANGER},)), {6}),
    "a row of another amount": (replace(GOOD, rows=({**GOOD.rows[0], "amount_minor_units": 501},)), {6}),
    "a row of another number": (replace(GOOD, rows=({**GOOD.rows[0], "id": 8},)), {6}),
    "another request in the service's log": (_allowed(service__request_id="other"), {7}),
    "another trace in a proxy's log": (_allowed(sent__trace=TRACE.replace("957b", "0000")), {7}),
    "no trace anywhere": (
        _allowed(
            sent__trace=None,
            received__trace=None,
            service__traceparent="",
            decision__input__attributes__request__http={"headers": {"x-request-id": "r"}},
        ),
        {7},
    ),
    "another request in OPA's log": (
        _allowed(decision__input__attributes__request__http={"headers": {"x-request-id": "o", "traceparent": TRACE}}),
        {7},
    ),
    "a service that does not know itself": (_allowed(service__identity=""), {7}),
    "an answer that is not the service's": (
        _allowed(answer=Answer(status=401, body="Jwt verification fails", error="", at="", seconds=0.1)),
        {2, 5, 6},
    ),
    "no decision": (_allowed(decision={}), {4, 7}),
    "no decision about the one over the limit": (_excessive(decision={}), {4}),
    "nothing from the caller's proxy": (_allowed(sent={}), {2, 7}),
    "nothing from the callee's proxy": (_allowed(received={}), {2, 7}),
    "nothing from the service": (_allowed(service={}), {3, 7}),
    "no row and no result": (_answered(lambda body: body.pop("result")), {5, 6}),
}


def test_seven_steps_hold_by_good_evidence_and_each_names_its_sources() -> None:
    """In their order, numbered from one."""
    found = judge(GOOD)
    assert [step.number for step in found] == list(range(1, 8))
    assert all(step.holds and step.evidence for step in found)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_step_fails_by_its_own_evidence_and_the_others_stand(name: str) -> None:
    """Every single thing that a step rests on is taken away once."""
    seen, failing = BROKEN[name]
    assert {step.number for step in judge(seen) if not step.holds} == failing


def test_every_step_was_seen_to_fail_alone() -> None:
    """So that none of them stands or falls with another one."""
    assert {number for _, failing in BROKEN.values() if len(failing) == 1 for number in failing} == set(range(1, 8))
