"""Who may call whom, asked by calling: every ordered pair of workloads, with what is declared for the callee and what not.

What is expected comes from the settings alone (`declared.py`), what came of it from the calls. Every request carries what any
condition asks for, a token with every scope and a small amount, so that what is refused is refused for who called what. A call
goes three ways: through the caller's sidecar, as an application calls; around it, with the pod's own certificate, so that the
callee alone decides; and so too to the callee of every other region, through its east-west gateway. A refusal counts when it is
of the layer that must refuse: a token that a region does not believe, or a pod that does not answer, is none.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from components.graph.identity import spiffe_id
from components.graph.model import Client, Graph, Workload
from components.graph.names import EASTWEST, EASTWEST_PORT, service_host
from components.network.addresses import eastwest_address
from sandbox.proof.declared import EAST_WEST, SIDECAR, Asked, declared, refuser, requests
from sandbox.proof.refusals import Entry, Trail, judged, refusal
from sandbox.proof.results import Cell
from sandbox.proof.world import MESH_USER, Answer, Pod, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_ONE_CERTIFICATE: Final = ("-svid", "-any-server", "-alpn", "istio-http/1.1")
"""What a sidecar itself would show and ask for; who answers is told by the answer."""
_AT_ONCE: Final = 4
_FLUSH_SECONDS: Final = 12.0
_TICK_SECONDS: Final = 1.0
_CLOCK_SECONDS: Final = 0.1
"""A gateway notes a connection when it takes it, the caller when it asks; both read this machine's clock."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request that was made, its x-request-id, and what came of it."""

    asked: Asked
    request: str
    answer: Answer


def cells(world: World, tokens: "Tokens", progress: Callable[[str], None]) -> tuple[Cell, ...]:
    """Every request and what came of it, by region and caller.

    Args:
        world: the running sandbox.
        tokens: for the conditions that ask for one.
        progress: told how far it is.

    Raises:
        ProofError: a workload has no pod, or no client of the graph has the scopes that a call asks for.
    """
    planned = sorted(requests(world.graph), key=lambda one: (one.region, one.caller.ref, one.callee.ref, one.way))
    progress(f"{len(planned)} requests: their tokens")
    bearers = _bearers(world.graph, tokens, planned)
    pods = {(region, ref): world.pod(region, one) for ref, one in world.graph.workloads.items() for region in one.regions}
    groups: dict[tuple[str, str, str], list[Asked]] = {}
    for asked in planned:
        groups.setdefault((asked.region, asked.caller.ref, asked.way), []).append(asked)
    sent: list[Sent] = []
    run = secrets.token_hex(4)

    def send(number: int, group: Sequence[Asked]) -> list[Sent]:
        return _send(world, pods, bearers, f"matrix-{run}-{number}", group)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for made in pool.map(send, range(len(groups)), groups.values()):
            sent += made
            progress(f"{len(sent)} of {len(planned)} requests")
    return tuple(_judged(world, pods, sent, progress))


def differences(found: Iterable[Cell]) -> tuple[Cell, ...]:
    """Where what came of a request is not what is declared, or nobody owns up to the refusal."""
    return tuple(cell for cell in found if not cell.holds)


def _bearers(graph: Graph, tokens: "Tokens", planned: Iterable[Asked]) -> Mapping[frozenset[str], str]:
    """A token for each list of scopes that is asked for, of the first client that may have it."""
    wanted = {asked.scopes for asked in planned if asked.scopes}
    return {scopes: tokens.access_token(_client(graph, scopes), sorted(scopes)) for scopes in sorted(wanted, key=sorted)}


def _client(graph: Graph, scopes: frozenset[str]) -> Client:
    exact = [client for client in graph.clients.values() if scopes == {*client.settings.scopes}]
    people = [client for client in graph.clients.values() if client.settings.grant == "authorization_code"]
    return next(client for client in (*exact, *people) if scopes <= {*client.settings.scopes})


def _send(
    world: World,
    pods: Mapping[tuple[str, str], Pod],
    bearers: Mapping[frozenset[str], str],
    run: str,
    group: Sequence[Asked],
) -> list[Sent]:
    """The requests of one caller and way, by one process of its pod."""
    first = group[0]
    around = first.way != SIDECAR
    planned = [
        {
            **_place(world, pods, asked),
            "method": asked.method,
            "headers": _headers(asked, bearers, f"{run}-{number}"),
            "body": _body(world.graph, asked),
        }
        for number, asked in enumerate(group)
    ]
    answers = world.batch(
        pods[first.region, first.caller.ref],
        planned,
        *(_ONE_CERTIFICATE if around else ()),
        user=MESH_USER if around else None,
    )
    return [
        Sent(asked=asked, request=f"{run}-{number}", answer=answer)
        for number, (asked, answer) in enumerate(zip(group, answers, strict=True))
    ]


def _place(world: World, pods: Mapping[tuple[str, str], Pod], asked: Asked) -> dict[str, str]:
    """Where a request goes: the name that an application uses, the callee's pod, or its region's east-west gateway."""
    callee, host = asked.callee, service_host(asked.callee.tenant, asked.callee.name)
    if asked.way == SIDECAR:
        return {"url": world.url(callee, asked.path)}
    there = world.settings.regions[asked.callee_region]
    address = f"{pods[asked.callee_region, callee.ref].address}:{callee.port}"
    if asked.way == EAST_WEST:
        address = f"{eastwest_address(there.vpc_cidr, min(there.zones))}:{EASTWEST_PORT}"
    return {"url": f"https://{host}:{callee.port}{asked.path}", "address": address, "server_name": _server_name(callee)}


def _server_name(callee: Workload) -> str:
    """As sidecars ask for a service in their handshakes, and east-west gateways know it."""
    return f"outbound_.{callee.port}_._.{service_host(callee.tenant, callee.name)}"


def _headers(asked: Asked, bearers: Mapping[frozenset[str], str], request: str) -> list[str]:
    token = [f"Authorization: Bearer {bearers[asked.scopes]}"] if asked.scopes else []
    return [f"x-request-id: {request}", "content-type: application/json", *token]


def _body(graph: Graph, asked: Asked) -> str:
    """A transfer, to a tenant that the callee may itself call."""
    if asked.method == "GET":
        return ""
    further = [call.callee.tenant for call in graph.index.calls_from.get(asked.callee.ref, ())]
    to = next((tenant for tenant in further if tenant != asked.callee.tenant), asked.callee.tenant)
    return json.dumps({"to": to, "amount_minor_units": asked.amount})


def _trail(asked: Asked, pods: Mapping[tuple[str, str], Pod], gateways: Mapping[str, Sequence[Pod]]) -> list[Pod]:
    """Whose proxies a request may have come to, the callee's first."""
    passed = [pods[asked.callee_region, asked.callee.ref]]
    if asked.way == EAST_WEST:
        passed += gateways[asked.callee_region]
    elif asked.way == SIDECAR:
        passed.append(pods[asked.region, asked.caller.ref])
    return passed


def answered(graph: Graph, one: Sent) -> bool:
    """Whether the callee itself answered, which it shows by its identity; with which status is its own affair."""
    asked = one.asked
    try:
        said: Any = json.loads(one.answer.body)
    except ValueError:
        return False
    expected = spiffe_id(graph.trust_domain(asked.callee_region), asked.callee.tenant, asked.callee.name)
    return isinstance(said, dict) and said.get("identity") == expected


def _at_gateways(unnamed: Iterable[Sent], gateways: Mapping[str, Iterable[Trail]]) -> dict[int, str]:
    """By `id`, who refused those whose connection an east-west gateway did not take, so that no line has their request's id.

    A line has the server name and the time, and stands for one connection: each is given to one request, of those it may be about
    to the one that ended first, so that most have one (Glover: Maximum matching in a convex bipartite graph, 1967).
    """
    asking: dict[tuple[str, str], list[Sent]] = {}
    for one in sorted(unnamed, key=_ended):
        if one.asked.way == EAST_WEST and not one.answer.status:
            asking.setdefault((one.asked.callee_region, _server_name(one.asked.callee)), []).append(one)
    found: dict[int, str] = {}
    for (region, name), waiting in asking.items():
        lines = [line for trail in gateways[region] for line in trail.entries if line.get("server_name") == name]
        for line in sorted((one for one in lines if not one.get("request_id") and refusal(one, gateway=True)), key=_at):
            about = next(
                (one for one in waiting if _began(one) - _CLOCK_SECONDS <= _at(line) <= _ended(one) + _CLOCK_SECONDS), None
            )
            if about:
                waiting.remove(about)
                found[id(about)] = refusal(line, gateway=True)
    return found


def _began(one: Sent) -> float:
    return datetime.fromisoformat(one.answer.at).timestamp()


def _ended(one: Sent) -> float:
    return _began(one) + one.answer.seconds


def _at(line: Entry) -> float:
    return datetime.fromisoformat(str(line["time"])).timestamp()


def _judged(
    world: World, pods: Mapping[tuple[str, str], Pod], sent: Sequence[Sent], progress: Callable[[str], None]
) -> Iterator[Cell]:
    """The cells; who refused is read when every proxy has written its log out, and again for as long as that may take."""
    graph = world.graph
    passed = {id(one): answered(graph, one) for one in sent}
    unnamed = left = [one for one in sent if not passed[id(one)]]
    gateways = {region: world.pods(region, EASTWEST.namespace, **EASTWEST.selector) for region in world.clusters}
    deadline = time.monotonic() + _FLUSH_SECONDS
    own: dict[int, str] = {}
    by: dict[int, str] = {}
    since = min((one.answer.at for one in sent), default="")
    while left and time.monotonic() < deadline:
        time.sleep(_TICK_SECONDS)
        progress(f"who refused {len(left)} of {len(sent)} requests")
        on_the_way = {str(pod): pod for one in unnamed for pod in _trail(one.asked, pods, gateways)}
        read = {name: Trail.of(world, pod, since) for name, pod in on_the_way.items()}
        for one in unnamed:
            trails = [read[str(pod)] for pod in _trail(one.asked, pods, gateways)]
            own[id(one)] = judged(one.answer, trails, request=one.request)[0]
        unnamed = [one for one in unnamed if not own[id(one)]]
        by = own | _at_gateways(
            unnamed, {code: [read[str(pod)] for pod in found if str(pod) in read] for code, found in gateways.items()}
        )
        left = [one for one in unnamed if not by[id(one)]]
    for one in sent:
        asked, was_answered = one.asked, passed[id(one)]
        edge = declared(graph, asked, datetime.fromisoformat(one.answer.at))
        yield Cell(
            region=asked.region,
            caller=asked.caller.ref,
            callee=asked.callee.ref,
            method=asked.method,
            path=asked.path,
            edge=edge,
            allowed=was_answered,
            status=one.answer.status,
            stopped_by="" if was_answered else by.get(id(one), ""),
            expected="" if edge else refuser(graph, asked),
            way=asked.way,
            callee_region="" if asked.callee_region == asked.region else asked.callee_region,
            lacking=asked.lacking,
        )
