"""Attacks by size and number: more than a tenant may send, more than a call may move, more than a decision can see."""

import http
import json
import socket
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from components.graph.names import INGRESS_PORT
from sandbox.proof.attacks import raw
from sandbox.proof.attacks.ground import ATTACKER, CALLER, as_workload, pod
from sandbox.proof.attacks.mesh import BUCKET, gateway
from sandbox.proof.attacks.raw import Handshake
from sandbox.proof.attacks.registry import Attempted, Planned
from sandbox.proof.refusals import Trail, refusal
from sandbox.proof.results import Evidence
from sandbox.proof.world import Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_CONDITION: Final = "what a call may move is said to OPA alone; Istio has no rule about a body"
_ROUTE: Final = "/bank-b/transfer"
_FLUSH_SECONDS: Final = 13.0
_SECONDS_OF_THE_SERVICE: Final = 3
"""Seconds of the rate limiter's clock that a burst may fall into: it takes less than two, and neither end is a whole one."""
_MORE: Final = 40
"""Requests beyond what is allowed in these."""


def _burst(world: World, tokens: "Tokens") -> Attempted:
    """All at once, each on a connection of its own that stands already; when they are answered another tenant asks."""
    usage = world.settings.tenants["bank-b"].usage
    if usage is None:
        msg = "bank-b declares no usage, so nothing limits it"
        raise ProofError(msg)
    allowed = usage.requests_per_second + usage.burst
    flood = _request(world, "POST", _ROUTE, tokens.access_token(world.graph.clients["bank-b/partner"]))
    other = _request(world, "GET", "/bank-a/accounts", tokens.access_token(world.graph.clients["bank-a/web"]))
    way, at = _way(world), datetime.now(UTC).isoformat().replace("+00:00", "Z")
    told, took = _flooded(way, flood, _SECONDS_OF_THE_SERVICE * allowed + _MORE)
    # a bucket that is full and fills all the time, or a service that counts by the clock's seconds, of which two are not whole
    most = max(allowed + usage.requests_per_second * took, allowed * (int(took) + 2))
    if most >= told.total():
        msg = f"{told.total()} requests took {took:.1f} s, in which {most:.0f} are allowed: too slow to be too many"
        raise ProofError(msg)
    unhurt = World.wait("the other tenant to be answered", lambda: _once(way, other) == http.HTTPStatus.OK)
    limited = _limited(world, at, told.total())
    seen = ", ".join(f"{count} times {status or 'no answer'}" for status, count in sorted(told.items()))
    refused = ", ".join(f"{count} {details}" for details, count in sorted(limited.items()))
    words = f"{told.total()} requests in {took:.1f} s, of which {most:.0f} are allowed: {seen}; limited: {refused or 'none'}"
    stopped = 0 < told[http.HTTPStatus.OK] <= most and bool(limited)
    return Attempted(
        stopped=stopped,
        by="rate-limit" if stopped else "",
        evidence=Evidence(source="access log of the gateway", words=f"{words}; another tenant answered {unhurt:.1f} s later"),
    )


def _flooded(way: tuple[Pod, tuple[str, int], Handshake], request: bytes, count: int) -> tuple[Counter[int], float]:
    """How many answers had which status, and the seconds from the first request to the last answer."""
    with ExitStack() as stack:
        streams = [stack.enter_context(raw.opened(*way)) for _ in range(count)]
        began = time.monotonic()
        for stream in streams:
            stream.sendall(request)
        with ThreadPoolExecutor(8) as pool:
            return Counter(pool.map(_status, streams)), time.monotonic() - began


def _once(way: tuple[Pod, tuple[str, int], Handshake], request: bytes) -> int:
    with raw.opened(*way) as stream:
        stream.sendall(request)
        return _status(stream)


def _limited(world: World, since: str, count: int) -> Counter[str]:
    """How many requests a limiter refused, by its own words in the gateway's log, when that tells of all of them."""
    entry, deadline = gateway(world), time.monotonic() + _FLUSH_SECONDS
    while True:
        lines = [one for one in Trail.of(world, entry, since).entries if _ROUTE in {one.get("path"), one.get("original_path")}]
        if len(lines) >= count or time.monotonic() > deadline:
            return Counter(str(one["details"]) for one in lines if refusal(one, gateway=True) == "rate-limit")
        time.sleep(1)


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
