"""Attacks by size and number: more than a tenant may send, more than a call may move, more than a decision can see."""

import http
import json
import socket
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from components.graph.names import INGRESS_PORT
from sandbox.proof.attacks import raw
from sandbox.proof.attacks.ground import ATTACKER, CALLER, as_workload, pod
from sandbox.proof.attacks.mesh import BUCKET, gateway
from sandbox.proof.attacks.raw import Handshake
from sandbox.proof.attacks.registry import Attempted, Planned
from sandbox.proof.results import Evidence
from sandbox.proof.world import Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_CONDITION: Final = "what a call may move is said to OPA alone; Istio has no rule about a body"
_MORE: Final = 40
"""Requests beyond what the tenant's bucket holds, and what comes into it meanwhile."""


def _burst(world: World, tokens: "Tokens") -> Attempted:
    """All at once, each on a connection of its own that stands already; when they are answered another tenant asks."""
    usage = world.settings.tenants["bank-b"].usage
    if usage is None:
        msg = "bank-b declares no usage, so nothing limits it"
        raise ProofError(msg)
    allowed = usage.requests_per_second + usage.burst
    flood = _request(world, "POST", "/bank-b/transfer", tokens.access_token(world.graph.clients["bank-b/partner"]))
    other = _request(world, "GET", "/bank-a/accounts", tokens.access_token(world.graph.clients["bank-a/web"]))
    with ExitStack() as stack:
        way = _way(world)
        streams = [stack.enter_context(raw.opened(*way)) for _ in range(allowed + usage.requests_per_second + _MORE)]
        began = time.monotonic()
        for stream in streams:
            stream.sendall(flood)
        with ThreadPoolExecutor(8) as pool:
            told = Counter(pool.map(_status, streams))
        took = time.monotonic() - began
    with raw.opened(*way) as unhurt:
        unhurt.sendall(other)
        neighbour = _status(unhurt)
    answered = told[http.HTTPStatus.OK]
    seen = ", ".join(f"{count} times {status or 'no answer'}" for status, count in sorted(told.items()))
    words = f"{len(streams)} requests, of which {allowed} at once are allowed: {seen}; another tenant right after: {neighbour}"
    within = answered <= allowed + usage.requests_per_second * took
    stopped = within and told[http.HTTPStatus.TOO_MANY_REQUESTS] > 0 and neighbour == http.HTTPStatus.OK
    return Attempted(stopped=stopped, by="rate-limit" if stopped else "", evidence=Evidence(source="caller", words=words))


def _way(world: World) -> tuple[Pod, tuple[str, int], Handshake]:
    return pod(world, ATTACKER), (gateway(world).address, INGRESS_PORT), Handshake(server_name=world.settings.edge.domain)


def _request(world: World, method: str, path: str, token: str) -> bytes:
    headers = {"Host": world.settings.edge.domain, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return raw.request(method, path, headers, "{}" if method == "POST" else "")


def _status(stream: socket.socket) -> int:
    try:
        return raw.parsed(stream.recv(4096))[0]
    except (OSError, ssl.SSLError):
        return 0


ATTACKS: Final = (
    Planned(
        key="limits-burst",
        title="More requests at once than the tenant may send",
        family="limits",
        techniques=("T1498", "T1499.002"),
        expected="rate-limit",
        make=_burst,
        switch=BUCKET,
        alone=True,
    ),
    Planned(
        key="limits-amount",
        title="More money than the call may move, with a good identity and token",
        family="limits",
        techniques=("T1565",),
        expected="opa",
        make=as_workload(CALLER, "POST", "/transfer", body='{"amount_minor_units": 100000001}', token=True),
        single=_CONDITION,
    ),
    Planned(
        key="limits-hidden-amount",
        title="A second amount in the same body",
        family="limits",
        techniques=("T1565",),
        expected="opa",
        make=as_workload(
            CALLER, "POST", "/transfer", body='{"amount_minor_units": 1, "Amount_Minor_Units": 999999999}', token=True
        ),
        single=_CONDITION,
    ),
    Planned(
        key="limits-unseen-body",
        title="A body longer than the decision sees",
        family="limits",
        techniques=("T1565", "T1499"),
        expected="opa",
        make=as_workload(CALLER, "POST", "/transfer", body=json.dumps({"amount_minor_units": 1, "memo": "x" * 9000}), token=True),
        single=_CONDITION,
    ),
)
