"""What the access graph says of a request, and which requests to ask it about: pure, from the settings alone.

For every ordered pair of workloads: all that any edge declares for the callee, each with another method and with another path,
and one path that no rule speaks of. Each condition of an edge is left unmet once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from components.graph.model import Call, Graph, Route, Workload
from components.settings.access import ConditionSettings, HoursSettings, overlap
from sandbox.proof.world import ProofError

SIDECAR, DIRECT, EAST_WEST = "sidecar", "direct", "east-west"
"""The ways of a call, as `results.Cell.way` has them."""
METHODS: Final = ("GET", "POST", "PUT", "DELETE")
UNSPOKEN: Final = "/undeclared"
"""A path that no rule speaks of."""
AMOUNT: Final = 1
"""In minor units: no edge can have a lower limit."""
_SAMPLE: Final = "7"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it is planned."""

    region: str
    caller: Workload
    callee: Workload
    callee_region: str
    way: str
    method: str
    path: str
    scopes: frozenset[str] | None
    """Of its token; None without one."""
    amount: int = AMOUNT
    lacking: str = ""


def requests(graph: Graph) -> Iterator[Asked]:
    """What is asked, for every region, ordered pair and way."""
    everything = every_scope(graph)
    for caller in graph.workloads.values():
        for callee in graph.workloads.values():
            if caller.ref == callee.ref or not callee.serves:
                continue
            shapes = samples(graph, callee)
            for region in caller.regions:
                for way, callee_region in _ways(region, callee):
                    one = Asked(
                        region=region,
                        caller=caller,
                        callee=callee,
                        callee_region=callee_region,
                        way=way,
                        method="",
                        path="",
                        scopes=everything,
                    )
                    asked = [replace(one, method=method, path=path) for method, path in shapes]
                    yield from asked
                    yield from (lesser for each in asked for lesser in _lesser(graph, each))


def samples(graph: Graph, callee: Workload) -> tuple[tuple[str, str], ...]:
    """Methods and paths for a callee: all that any edge declares, and for each one another method and another path.

    The last is of a path that no rule speaks of.
    """
    edges: tuple[Call | Route, ...] = (*graph.index.calls_to.get(callee.ref, ()), *graph.routes_to(callee))
    declared = {
        (method, sample(path)): None
        for edge in edges
        for operation in edge.operations
        for path in operation.paths
        for method in operation.methods
    }
    found = dict(declared)
    for method, path in declared:
        taken = {one for one, other in declared if other == path}
        other = next((one for one in METHODS if one not in taken), None)
        found |= {(other, path): None} if other else {}
        found[(method, path.rstrip("/") + UNSPOKEN)] = None
    found[("GET", UNSPOKEN)] = None
    return tuple(found)


def sample(pattern: str) -> str:
    """A path that a pattern of the settings means: any segment for `{name}`, any rest for a closing `/*`."""
    return "/".join(_SAMPLE if part.startswith("{") or part == "*" else part for part in pattern.split("/"))


def declared(graph: Graph, asked: Asked, at: datetime) -> str:
    """The key of the call in the settings that admits a request at a time; empty when none does."""
    for call in graph.index.calls_to.get(asked.callee.ref, ()):
        admitted = call.caller.ref == asked.caller.ref and asked.region in call.origins(asked.callee_region)
        if admitted and _means(call, asked) and not unmet(call.conditions, asked, at):
            return call.key
    return ""


def refuser(graph: Graph, asked: Asked) -> str:
    """The layer that must refuse a request that is not declared: the first on its way that knows enough to.

    `opa` when an edge means the request and one of its conditions is unmet. Otherwise by what the two may do at all: `egress`
    when the caller may call the callee for nothing, so that its sidecar has no name for it; `gateway` when nobody of another
    region may call the callee, so that its region's gateway has none; else `mesh-authorization`, at the callee.
    """
    calls = graph.calls_to(asked.callee, asked.callee_region)
    own = [call for call in calls if call.caller.ref == asked.caller.ref and asked.region in call.origins(asked.callee_region)]
    if any(_means(call, asked) for call in own):
        return "opa"
    if asked.way == SIDECAR and not own:
        return "egress"
    if asked.way == EAST_WEST and not any({*call.origins(asked.callee_region)} - {asked.callee_region} for call in calls):
        return "gateway"
    return "mesh-authorization"


def unmet(conditions: ConditionSettings, asked: Asked, at: datetime) -> tuple[str, ...]:
    """What a request lacks of an edge's conditions at a time: `token`, `scope`, `amount`, `hours`.

    Regions are the edge's own (`Call.origins`), and every caller's risk is taken for low: nothing here raises it.
    """
    wanted, limit = frozenset(conditions.scopes), conditions.amount_limit_minor_units
    found = {
        "token": bool(wanted) and asked.scopes is None,
        "scope": not wanted <= (asked.scopes or frozenset()),
        "amount": limit is not None and asked.amount > limit,
        "hours": conditions.hours is not None and not is_open(conditions.hours, at),
    }
    return tuple(name for name, lacks in found.items() if lacks)


def is_open(hours: HoursSettings, at: datetime) -> bool:
    """Whether a time is in a daily window: from its first minute to the one before its end, over midnight if it ends first."""
    now = f"{at.astimezone(UTC):%H:%M}"
    if hours.start < hours.end:
        return hours.start <= now < hours.end
    return now >= hours.start or now < hours.end


def _ways(region: str, callee: Workload) -> Iterator[tuple[str, str]]:
    if region in callee.regions:
        yield SIDECAR, region
        yield DIRECT, region
    yield from ((EAST_WEST, other) for other in callee.regions if other != region)


def _means(call: Call, asked: Asked) -> bool:
    return any(
        asked.method in operation.methods and any(overlap(path, asked.path) for path in operation.paths)
        for operation in call.operations
    )


def _lesser(graph: Graph, asked: Asked) -> Iterator[Asked]:
    """The same request, once without each condition that one of its edges asks for."""
    for call in graph.index.calls_to.get(asked.callee.ref, ()):
        if call.caller.ref != asked.caller.ref or not _means(call, asked):
            continue
        limit, wanted = call.conditions.amount_limit_minor_units, frozenset(call.conditions.scopes)
        if limit is not None:
            yield replace(asked, amount=limit + 1, lacking="amount")
        if wanted:
            yield replace(asked, scopes=None, lacking="token")
        others = [one for one in token_scopes(graph) if one and not wanted <= one]
        if wanted and others:
            yield replace(asked, scopes=others[0], lacking="scope")


def token_scopes(graph: Graph) -> list[frozenset[str]]:
    """Lists of scopes that tokens of the graph's clients may have, the longest first: a person's each alone and all together."""
    found = {frozenset(client.settings.scopes) for client in graph.clients.values()}
    found |= {
        frozenset({scope})
        for client in graph.clients.values()
        if client.settings.grant == "authorization_code"
        for scope in client.settings.scopes
    }
    return sorted(found, key=lambda scopes: (-len(scopes), sorted(scopes)))


def every_scope(graph: Graph) -> frozenset[str]:
    """The longest list that a token may have; what a call of the graph asks for must be in it.

    Raises:
        ProofError: it is not.
    """
    most = next(iter(token_scopes(graph)), frozenset[str]())
    for call in graph.calls:
        if not most.issuperset(call.conditions.scopes):
            msg = f"{call.key}: no client's token has all of {', '.join(sorted(most | {*call.conditions.scopes}))}"
            raise ProofError(msg)
    return most
