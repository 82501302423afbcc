"""The life of one call, bank-a/api-ms → bank-b/trans-ms `POST /transfer`: seven steps, each by what the real thing says of it.

`look` makes two calls, one within the amount's limit and one over it, and gathers what everybody who had a part in them wrote.
`judge` decides from that alone whether each step holds.
"""

import datetime as dt
import json
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from components.graph.model import Call
from components.graph.names import SERVICE_LABEL, database_name
from sandbox.proof.credentials import held
from sandbox.proof.lifecycle_steps import PATH, Entry, Made, Seen, body, judge
from sandbox.proof.results import Step
from sandbox.proof.tokens import Tokens
from sandbox.proof.world import MESH_USER, SIDECAR, Pod, ProofError, World

CALL: Final = "bank-a-api-to-bank-b-trans"
CLIENT: Final = "bank-a/web"
_OPA: Final = "opa"
_HEADER: Final = "Content-Type: application/json"
_COUNTERS: Final = "http://127.0.0.1:15000/stats?format=json&filter=http.inbound_.*rbac.(allowed%7Cdenied)$"
_SOCKET: Final = "/controller/run"
_ROLE: Final = "select row_to_json(found) from (select rolname, rolvaliduntil from pg_roles where rolname = :'user') found;"
_TRANSFER: Final = """select row_to_json(found) from
(select id, caller, amount_minor_units, at from transfers where id = :'number'::bigint) found;"""
_WAIT_SECONDS: Final = 10.0
_SMALLEST, _SPREAD = 10_000, 90_000


def steps(world: World, tokens: Tokens) -> tuple[Step, ...]:
    """The seven steps, in the order in which they happen, of one call in the home region.

    Raises:
        ProofError: something has nothing to say about the call, or it could not be made.
    """
    return judge(look(world, tokens, world.home_region))


def look(world: World, tokens: Tokens, region: str) -> Seen:
    """Makes the calls and gathers what was written about them.

    Raises:
        ProofError: something has nothing to say about the call, or it could not be made.
    """
    call = next(one for one in world.graph.calls if one.key == CALL)
    caller, callee = world.pod(region, call.caller), world.pod(region, call.callee)
    client = world.graph.clients[CLIENT]
    token = tokens.access_token(client, call.conditions.scopes)
    before = _counted(world, callee)
    allowed = _make(world, call, (caller, callee), token, _SMALLEST + secrets.randbelow(_SPREAD))
    after = _counted(world, callee)
    limit = call.conditions.amount_limit_minor_units or 0
    excessive = _make(world, call, (caller, callee), token, limit + 1)
    booked = body(allowed.answer).get("result") or {}
    number, user = str(booked.get("id", 0)), str(booked.get("database_user", ""))
    return Seen(
        caller=f"spiffe://{world.graph.principal(call.caller, region)}",
        callee=f"spiffe://{world.graph.principal(call.callee, region)}",
        edge=call.key,
        client=client.client_id,
        now=dt.datetime.now(dt.UTC),
        identity=world.identity(caller),
        loaded=held(world, caller).own,
        policies=tuple(_policies(world, region, call)),
        passed=after[0] - before[0],
        refused=after[1] - before[1],
        allowed=allowed,
        excessive=excessive,
        credential=next(iter(_query(world, callee, _ROLE, user=user)), {}),
        rows=tuple(_query(world, callee, _TRANSFER, number=number)),
    )


def _make(world: World, call: Call, ends: tuple[Pod, Pod], token: str, amount: int) -> Made:
    caller, callee = ends
    sending = json.dumps({"amount_minor_units": amount})
    trace = secrets.token_hex(16)
    headers = (f"Authorization: Bearer {token}", _HEADER, f"Traceparent: 00-{trace}-{secrets.token_hex(8)}-01")
    flags = ("-method=POST", f"-body={sending}", *(f"-header={header}" for header in headers))
    answer = world.call(caller, world.url(call.callee, PATH), *flags)
    if answer.error:
        msg = f"no answer to {call.key}: {answer}"
        raise ProofError(msg)
    since = answer.at[:19] + "Z"
    sent = _line(world, caller, SIDECAR, since, lambda one: one.get("path") == PATH and trace in str(one.get("trace")))
    request = sent.get("request_id", "")
    received = _line(world, callee, SIDECAR, since, lambda one: one.get("request_id") == request)
    decision = _line(world, callee, _OPA, since, lambda one: _decided(one) == request)
    reached = answer.is_allowed
    service = _line(world, callee, call.callee.name, since, lambda one: one.get("request_id") == request) if reached else {}
    return Made(amount=amount, answer=answer, sent=sent, received=received, decision=decision, service=service)


def _decided(entry: Entry) -> Any:
    if "decision_id" not in entry:
        return None
    return entry["input"]["attributes"]["request"]["http"]["headers"].get("x-request-id")


def _line(world: World, pod: Pod, container: str, since: str, wanted: Callable[[Entry], bool]) -> Entry:
    """The last line of a container's log that is JSON and wanted; proxies write theirs a second later. Empty without one."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        for line in reversed(world.logs(pod, container, since)):
            entry = json.loads(line) if line.startswith("{") else {}
            if wanted(entry):
                found: Entry = entry
                return found
        time.sleep(0.5)
    return {}


def _counted(world: World, pod: Pod) -> tuple[int, int]:
    """Requests that the proxy's policies let pass and refused so far."""
    found = {one["name"].rpartition(".")[2]: int(one["value"]) for one in _statistics(world, pod)}
    return found["allowed"], found["denied"]


def _statistics(world: World, pod: Pod) -> Sequence[Entry]:
    said = world.call(pod, _COUNTERS, user=MESH_USER)
    if not said.is_allowed:
        msg = f"the proxy of {pod} does not say what it counted: {said}"
        raise ProofError(msg)
    return [one for one in said.json()["stats"] if "name" in one and ".rbac.istio_" not in one["name"]]


def _policies(world: World, region: str, call: Call) -> list[Entry]:
    found = world.clusters[region].list("security.istio.io/v1", "AuthorizationPolicy", call.callee.tenant)
    return [one for one in found if _selected(one["spec"], call)]


def _selected(spec: Entry, call: Call) -> bool:
    labels = spec.get("selector", {}).get("matchLabels", {})
    return bool(labels.get(SERVICE_LABEL, call.callee.name) == call.callee.name)


def _query(world: World, callee: Pod, query: str, **values: str) -> list[Entry]:
    """Rows of the database of the callee's tenant, as its own superuser reads them."""
    edge = next(one for one in world.graph.data if one.service.tenant == callee.namespace and one.store.kind == "database")
    pods = world.pods(callee.region, callee.namespace, **{"cnpg.io/cluster": edge.store.name, "cnpg.io/instanceRole": "primary"})
    if not pods:
        msg = f"{edge.store.ref} has no primary in {callee.region}"
        raise ProofError(msg)
    command = ["psql", "-h", _SOCKET, "-d", database_name(edge.store.name), "-v", "ON_ERROR_STOP=1", "-tA"]
    named = [part for name, value in values.items() for part in ("-v", f"{name}={value}")]
    done = world.run(pods[0], [*command, *named], text=query)
    if done.returncode != 0:
        msg = f"{edge.store.ref}: {done.stderr.strip()}"
        raise ProofError(msg)
    return [json.loads(line) for line in done.stdout.splitlines()]
