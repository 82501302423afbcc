"""What is judged of the life of one call, and how: seven steps, each by what the real thing says of it."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.proof.results import Evidence, Step
from sandbox.proof.world import Answer

PATH: Final = "/transfer"
LONGEST_IDENTITY: Final = dt.timedelta(hours=1, minutes=1)
"""An hour, and what it begins earlier than its issue, for clocks that differ."""
LONGEST_CREDENTIAL: Final = dt.timedelta(hours=1)
_ACCESS_POLICY: Final = "call-"
_FORBIDDEN: Final = 403
_TLS: Final = "TLSv1.3"

Entry = Mapping[str, Any]
Said = tuple[bool, tuple[Evidence, ...]]


@dataclass(frozen=True, kw_only=True)
class Made:
    """One request and what was written about it: by the proxies of both ends, by OPA, by the service."""

    amount: int
    answer: Answer
    sent: Entry
    received: Entry
    decision: Entry
    service: Entry
    """Empty for a request that did not reach the service."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Everything that is judged."""

    caller: str
    callee: str
    """SPIFFE IDs, as the access graph has them."""
    edge: str
    client: str
    """Whose token it is."""
    now: dt.datetime
    identity: Entry
    """The caller's, from SPIRE's agent."""
    loaded: frozenset[str]
    """Serial numbers that the caller's proxy holds, in hexadecimal."""
    policies: tuple[Entry, ...]
    """Authorization policies of the callee's namespace."""
    passed: int
    refused: int
    """By how much the callee's proxy counted more requests that its policies let pass, and that they refused."""
    allowed: Made
    excessive: Made
    """Over the edge's limit."""
    credential: Entry
    """`rolname` and `rolvaliduntil` of who booked it, from PostgreSQL."""
    rows: tuple[Entry, ...]
    """Of the ledger, under the number that the service answered."""


def judge(seen: Seen) -> tuple[Step, ...]:
    """Each step by its evidence."""
    judged: tuple[tuple[str, Callable[[Seen], Said]], ...] = (
        ("SPIRE gave the caller an identity, and its proxy holds it", _identity),
        ("both proxies proved themselves in one TLS 1.3 handshake", _handshake),
        ("the mesh's policy names this caller, method and path", _authorization),
        ("OPA decided this very request, and refused one over the limit", _decision),
        ("Vault's credential of minutes logged in to PostgreSQL", _credential),
        ("the transfer stands in the ledger under the caller's name", _ledger),
        ("one request in every log, by its id, its trace and its identities", _logs),
    )
    found = []
    for number, (title, about) in enumerate(judged, start=1):
        holds, evidence = about(seen)
        found.append(Step(number=number, title=title, holds=holds, evidence=evidence))
    return tuple(found)


def _identity(seen: Seen) -> Said:
    known = seen.identity
    begin, end = (dt.datetime.fromisoformat(known[key]) for key in ("not_before", "not_after"))
    serial = f"{int(known['serial']):x}"
    holds = known["spiffe_id"] == seen.caller and begin <= seen.now < end and end - begin <= LONGEST_IDENTITY
    held_too = serial in seen.loaded
    words = f"{known['spiffe_id']}, serial {serial}, {begin:%H:%M:%S} to {end:%H:%M:%S}"
    proxy = f"{'holds' if held_too else 'does not hold'} serial {serial}"
    return holds and held_too, (Evidence(source="SPIRE agent", words=words), Evidence(source="caller's proxy", words=proxy))


def _handshake(seen: Seen) -> Said:
    sent, received = seen.allowed.sent, seen.allowed.received
    told = _forwarded(seen.allowed.answer)
    holds = (
        received.get("tls_version") == _TLS
        and (received.get("source"), received.get("self")) == (seen.caller, seen.callee)
        and sent.get("upstream") == seen.callee
        and (told.get("URI"), told.get("By")) == (seen.caller, seen.callee)
        and bool(told.get("Hash"))
    )
    return holds, (
        Evidence(source="callee's proxy", words=f"{received.get('tls_version')} from {received.get('source')}"),
        Evidence(source="caller's proxy", words=f"to {sent.get('upstream')}"),
        Evidence(source="the service", words=f"By={told.get('By')};URI={told.get('URI')};Hash={str(told.get('Hash'))[:16]}…"),
    )


def _authorization(seen: Seen) -> Said:
    principal = seen.caller.removeprefix("spiffe://")
    admitting = [one["metadata"]["name"] for one in seen.policies if _admits(one["spec"], principal)]
    others = any(one["spec"] == {} for one in seen.policies)
    counted_so = seen.passed > 0 and seen.refused == 0 and bool(seen.allowed.service)
    holds = admitting == [f"{_ACCESS_POLICY}{seen.edge}"] and others and counted_so
    words = f"{', '.join(admitting) or 'none'} admits it; {'an' if others else 'no'} empty policy refuses the rest"
    reached = "reached" if seen.allowed.service else "not reached"
    counted = f"{seen.passed} let pass and {seen.refused} refused meanwhile; the service was {reached}"
    return holds, (Evidence(source="AuthorizationPolicy", words=words), Evidence(source="callee's proxy", words=counted))


def _admits(spec: Entry, principal: str) -> bool:
    rules = spec.get("rules", []) if spec.get("action") == "ALLOW" else []
    return any(
        principal in source["source"].get("principals", [])
        and "POST" in operation["operation"].get("methods", [])
        and PATH in operation["operation"].get("paths", [])
        for rule in rules
        for source in rule.get("from", [])
        for operation in rule.get("to", [])
    )


def _decision(seen: Seen) -> Said:
    decided, refused = seen.allowed.decision, seen.excessive.decision
    claims = _claims(decided)
    holds = (
        bool(decided.get("decision_id"))
        and _principal(decided) == seen.caller
        and _at(decided, "result", "allowed") is True
        and _at(decided, "result", "edges") == [f"calls/{seen.edge}"]
        and claims.get("azp") == seen.client
    )
    alone = (
        seen.excessive.answer.status == _FORBIDDEN
        and _principal(refused) == seen.caller
        and _at(refused, "result", "allowed") is False
        and _at(refused, "result", "reasons") == ["amount"]
        and "ext_authz" in str(seen.excessive.received.get("details"))
        and not seen.excessive.service
    )
    passed = f"{decided.get('decision_id')}: {_principal(decided)}, {claims.get('azp')}: {_at(decided, 'result', 'edges')}"
    stopped = f"{refused.get('decision_id')}: {seen.excessive.amount} minor units: {_at(refused, 'result', 'reasons')}"
    words = f"{seen.excessive.answer.status}, {seen.excessive.received.get('details')}"
    return holds and alone, (
        Evidence(source="OPA", words=passed),
        Evidence(source="OPA", words=stopped),
        Evidence(source="callee's proxy", words=words),
    )


def _credential(seen: Seen) -> Said:
    user, known = _booked(seen).get("database_user"), seen.credential
    until = dt.datetime.fromisoformat(known["rolvaliduntil"]) if known.get("rolvaliduntil") else None
    left = until - seen.now if until else None
    holds = known.get("rolname") == user and str(user).startswith("v") and left is not None
    soon = left is not None and dt.timedelta(0) < left <= LONGEST_CREDENTIAL
    endless = "never ends" if known else "no such role"
    minutes = endless if left is None else f"ends in {left.total_seconds() / 60:.1f} minutes"
    return holds and soon, (
        Evidence(source="the service", words=f"session_user {user}"),
        Evidence(source="PostgreSQL", words=f"{known.get('rolname', user)}: {minutes}"),
    )


def _ledger(seen: Seen) -> Said:
    answered = _booked(seen)
    holds = len(seen.rows) == 1 and all(
        (row["id"], row["caller"], row["amount_minor_units"]) == (answered.get("id"), seen.caller, seen.allowed.amount)
        for row in seen.rows
    )
    rows = "; ".join(f"{row['id']}: {row['amount_minor_units']} from {row['caller']} at {row['at']}" for row in seen.rows)
    return holds, (Evidence(source="PostgreSQL", words=rows or "no such row"),)


def _logs(seen: Seen) -> Said:
    made = seen.allowed
    request = made.received.get("request_id")
    headers = _at(made.decision, "input", "attributes", "request", "http", "headers") or {}
    told: dict[str, tuple[Any, str, Any]] = {
        "caller's proxy": (made.sent.get("request_id"), _trace(made.sent.get("trace")), seen.caller),
        "callee's proxy": (request, _trace(made.received.get("trace")), made.received.get("source")),
        "OPA": (headers.get("x-request-id"), _trace(headers.get("traceparent")), _principal(made.decision)),
        "the service": (made.service.get("request_id"), _trace(made.service.get("traceparent")), made.service.get("caller")),
    }
    one = bool(request) and len(set(told.values())) == 1 and all(trace for _, trace, _ in told.values())
    own = made.service.get("identity") == seen.callee and made.sent.get("upstream") == seen.callee
    return one and own, tuple(
        Evidence(source=source, words=f"request {found}, trace {trace}, {who}") for source, (found, trace, who) in told.items()
    )


def _trace(parent: Any) -> str:
    pieces = str(parent or "").split("-")
    return pieces[1] if len(pieces) == 4 else ""  # noqa: PLR2004 - version, trace, span and flags


def _principal(decision: Entry) -> str:
    return str(_at(decision, "input", "attributes", "source", "principal"))


def _claims(decision: Entry) -> Entry:
    known: Entry = _at(decision, "input", "attributes", "metadataContext", "filterMetadata", "claims") or {}
    return known


def _at(entry: Any, *keys: str) -> Any:
    """What lies under these keys, None where there is no such place: an entry that nobody wrote is empty."""
    for key in keys:
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry


def body(answer: Answer) -> dict[str, Any]:
    """What the service answered; empty where another one answered in its place."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _forwarded(answer: Answer) -> dict[str, str]:
    """The header about the caller that the callee's proxy writes."""
    pairs = str(body(answer).get("x-forwarded-client-cert", "")).replace('"', "").split(";")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def _booked(seen: Seen) -> dict[str, Any]:
    return body(seen.allowed.answer).get("result") or {}
