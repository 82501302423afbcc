"""Components killed or frozen under load: what is promised in writing for that time, and what became of requests.

Each outage has a load of its own, so that what was lost is lost by it. The regions are disturbed beside each other, which is a
part of the claim: neither needs the other. Frozen is the worse of the two: nobody refuses a connection, so whoever asks must give
up by himself.

Not shown: what lasts longer than the credentials that are out; the loss of a region's edge, which DNS and health checks of a real
account turn away from.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from components.backup.objectives import detection_seconds, moved_seconds
from components.graph.names import (
    MESH_NAMESPACE,
    RATE_LIMIT_NAMESPACE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
    VAULT_NAMESPACE,
)
from sandbox.live.client import ServerError
from sandbox.proof import faults, sights
from sandbox.proof.load import Load, Outcome, recovered
from sandbox.proof.results import Evidence, Outage
from sandbox.proof.sights import Sight
from sandbox.proof.traffic import OUTSIDE, call_of, everyday, from_outside
from sandbox.proof.world import Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

KEPT, UNTIL_EXPIRY, REFUSED, ELSEWHERE = "kept", "until expiry", "refused", "from another region"
FROZEN, KILLED = "frozen", "killed"
GAME_DAYS: Final = "components/chaos/game_days.py"
_FROZEN_SECONDS: Final = 6.0
_ROW, _BACK_SECONDS = 3, 60.0
_TRANSFER: Final = "bank-a-api-to-bank-b-trans"
_DATABASE_SECONDS: Final = 60.0  # `postgres-primary-loss` promises less than a minute

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One component to be taken away, and what is promised for that time."""

    component: str
    how: str
    region: str
    promise: str
    source: str
    namespace: str
    container: str
    labels: dict[str, str] = field(default_factory=dict)
    hurts: frozenset[str] = frozenset()
    """Authorised streams that may fail; any other must go on."""
    within: float | None = None
    """Seconds after which the hurt streams must be answered again, where it is promised; they need not be refused until then."""
    outside: bool = False
    """Whether requests come in through the gateway as well."""
    looks: Callable[[World, str], Sequence[Sight]] | None = None
    """What else must be seen while it is frozen."""
    after: Callable[[World, str, Sequence[Outcome]], Sequence[Sight]] | None = None
    """What must be seen when it is back."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of a fault."""

    outcomes: tuple[Outcome, ...]
    began: float
    returned: float
    """When the component ran again."""
    looked: tuple[Sight, ...] = ()
    trouble: str = ""
    """What kept the requests from coming back."""


def planned(world: World) -> dict[str, list[Fault]]:
    """Region → what is taken away there, one after the other."""
    home, other = world.home_region, world.other_region
    return {home: _deciders(home), other: _issuers(other)}


def _deciders(region: str) -> list[Fault]:
    """What is asked for each request, and what keeps secrets and data."""
    opa = Fault(
        component="OPA of a service",
        how=FROZEN,
        region=region,
        promise=REFUSED,
        source=f"{GAME_DAYS}: opa-loss",
        namespace="bank-a",
        container="opa",
        labels={SERVICE_LABEL: "auth-ms"},
        hurts=frozenset({"bank-a-api-to-auth"}),
    )
    limiter = Fault(
        component="rate limiter",
        how=FROZEN,
        region=region,
        promise=REFUSED,
        source="components/mesh/limits.py",
        namespace=RATE_LIMIT_NAMESPACE,
        container="ratelimit",
        labels={SERVICE_LABEL: "ratelimit"},
        hurts=frozenset({OUTSIDE}),
        outside=True,
    )
    vault = Fault(
        component="Vault",
        how=FROZEN,
        region=region,
        promise=UNTIL_EXPIRY,
        source=f"{GAME_DAYS}: vault-loss",
        namespace=VAULT_NAMESPACE,
        container="vault",
        labels={"component": "server"},
        looks=sights.vault_gives_nothing,
    )
    cache = Fault(
        component="a tenant's Valkey",
        how=KILLED,
        region=region,
        promise=KEPT,
        source="components/tenancy/valkey.py",
        namespace="bank-b",
        container="valkey",
        labels={SERVICE_LABEL: "sessions"},
    )
    database = Fault(
        component="a tenant's PostgreSQL",
        how=KILLED,
        region=region,
        promise=f"within {_DATABASE_SECONDS:.0f} s",
        source=f"{GAME_DAYS}: postgres-primary-loss",
        namespace="bank-b",
        container="postgres",
        labels={"cnpg.io/cluster": "ledger"},
        hurts=frozenset({_TRANSFER}),
        within=_DATABASE_SECONDS,
        after=sights.no_transfer_is_missing,
    )
    counters = replace(limiter, component="rate limiter's Valkey", container="valkey", labels={SERVICE_LABEL: "counters"})
    return [opa, _killed(opa), limiter, counters, vault, _killed(vault), cache, database]


def _issuers(region: str) -> list[Fault]:
    """What gives identities and rules, which are asked for none of the requests."""
    server = Fault(
        component="SPIRE server",
        how=FROZEN,
        region=region,
        promise=UNTIL_EXPIRY,
        source=f"{GAME_DAYS}: spire-server-loss",
        namespace=SPIRE_SERVER_NAMESPACE,
        container="spire-server",
        labels={SERVICE_LABEL: "server"},
        looks=sights.identities_last,
    )
    agent = replace(
        server,
        component="SPIRE agent of a node",
        source=f"{GAME_DAYS}: spire-agent-loss",
        namespace=SPIRE_SYSTEM_NAMESPACE,
        container="spire-agent",
        labels={SERVICE_LABEL: "agent"},
        looks=sights.no_identity_is_given,
    )
    istiod = replace(
        server,
        component="istiod",
        promise=KEPT,
        source=f"{GAME_DAYS}: istiod-loss",
        namespace=MESH_NAMESPACE,
        container="discovery",
        labels={"app": "istiod"},
        looks=sights.no_pod_without_proxy,
    )
    return [server, _killed(server), agent, _killed(agent), istiod, _killed(istiod)]


def _killed(fault: Fault) -> Fault:
    return replace(fault, how=KILLED, looks=None)


def outages(world: World, tokens: "Tokens", progress: Progress) -> tuple[Outage, ...]:
    """Every outage, one after the other in each region, the regions beside each other; at the end a region without a service.

    Args:
        world: the running sandbox.
        tokens: for requests that need one.
        progress: told what is away.

    What cannot be tried, because requests are not steady before it, or does not come back, does not hold; the others are tried.
    """

    def one_region(faulty: Sequence[Fault]) -> list[Outage]:
        return [_tried(fault, partial(_outage, world, tokens, fault, progress)) for fault in faulty]

    with ThreadPoolExecutor() as pool:
        lanes = list(pool.map(one_region, planned(world).values()))
    progress("a region without a service")
    last = _without_callee(world)
    return (*(one for lane in lanes for one in lane), _tried(last, partial(_region_loss, world, tokens, last)))


def _tried(fault: Fault, attempt: Callable[[], Outage]) -> Outage:
    try:
        return attempt()
    except (ProofError, ServerError) as error:
        return judged(fault, Seen(outcomes=(), began=0.0, returned=0.0, trouble=str(error)))


def _outage(world: World, tokens: "Tokens", fault: Fault, progress: Progress) -> Outage:
    progress(f"{fault.region}: {fault.component} {fault.how}")
    outside = from_outside(world, tokens, fault.region) if fault.outside else ()
    streams = (*everyday(world, tokens, fault.region), *outside)
    pod = _victim(world, fault)
    with Load(world, streams) as load:
        began = time.time()
        looked: tuple[Sight, ...] = ()
        if fault.how == FROZEN:
            with faults.frozen(pod, fault.container):
                looked = tuple(fault.looks(world, fault.region) if fault.looks else ())
                time.sleep(max(0.0, began + _FROZEN_SECONDS - time.time()))
                returned = time.time()
        else:
            faults.kill(pod, fault.container)
            returned = faults.await_again(world, pod, fault.container, began)
        faults.await_ready(world, pod)
        trouble = _settled(load, time.time())
    if fault.after:
        looked += tuple(fault.after(world, fault.region, load.outcomes()))
    seen = Seen(outcomes=load.outcomes(), began=began, returned=returned, looked=looked, trouble=trouble)
    return judged(fault, seen)


def _victim(world: World, fault: Fault) -> Pod:
    found = [one for one in world.pods(fault.region, fault.namespace, **fault.labels) if fault.container in one.processes]
    if fault.namespace == SPIRE_SYSTEM_NAMESPACE:
        # an agent whose node has a service that is called
        node = world.pod(fault.region, call_of(world, "bank-a-api-to-auth").callee).node
        found = [one for one in found if one.node == node]
    if not found or not found[0].ready:
        msg = f"{fault.component} is not there or not ready in {fault.region}, before anything was done to it"
        raise ProofError(msg)
    return found[0]


def _settled(load: Load, since: float, seconds: float = _BACK_SECONDS) -> str:
    try:
        load.wait_unbroken(since, row=_ROW, seconds=seconds)
    except ProofError as error:
        return str(error)
    return ""


def judged(fault: Fault, seen: Seen) -> Outage:
    """Whether what was seen is what is promised.

    Always: authorised and forbidden requests were sent, no forbidden one was answered, and all authorised ones came back. A
    stream that the outage does not hurt loses nothing. One that is to be refused is refused as long as the component is away; one
    that is to be back in time is.
    """
    window = [one for one in seen.outcomes if one.ended >= seen.began]
    authorised = [one for one in window if one.authorised]
    forbidden = [one for one in window if not one.authorised]
    lost = [one for one in authorised if not one.answered]
    answered = [one for one in forbidden if one.answered]
    back = recovered(window, seen.returned)
    bystanders = [one for one in lost if one.stream not in fault.hurts]
    away = [one for one in authorised if one.stream in fault.hurts and one.began >= seen.began and one.ended <= seen.returned]
    since = recovered(window, seen.began)
    in_time = fault.within is None or (since is not None and since <= fault.within)
    must_refuse = bool(fault.hurts) and fault.within is None
    refused = not must_refuse or (bool(away) and not any(one.answered for one in away))
    looked = all(holds for _, holds in seen.looked)
    whole = bool(authorised) and bool(forbidden) and not seen.trouble and back is not None
    evidence = (*_summary(fault, seen, window), *(words for words, _ in seen.looked))
    return Outage(
        component=f"{fault.component} in {fault.region}",
        how=fault.how,
        promise=fault.promise,
        source=fault.source,
        allowed=len(authorised),
        lost=len(lost),
        forbidden=len(forbidden),
        answered=len(answered),
        recovered=round(back, 2) if lost and back is not None else None,
        holds=whole and not answered and not bystanders and refused and in_time and looked,
        evidence=evidence,
    )


def _summary(fault: Fault, seen: Seen, window: Iterable[Outcome]) -> Iterator[Evidence]:
    away = f"{seen.returned - seen.began:.1f} s away"
    if fault.hurts:
        away += f"; {', '.join(sorted(fault.hurts))} may fail, the others may not"
    yield Evidence(source="the load", words=f"{away}; {seen.trouble or 'all authorised requests are answered again'}")
    refusals: dict[tuple[str, str], int] = {}
    for one in window:
        if one.authorised != one.answered:
            key = one.stream, str(one.answer)
            refusals[key] = refusals.get(key, 0) + 1
    for (stream, words), count in sorted(refusals.items()):
        yield Evidence(source=stream, words=f"{count} times {words}")


def _without_callee(world: World) -> Fault:
    callee = call_of(world, _TRANSFER).callee
    most = float(detection_seconds(world.settings) + moved_seconds(world.settings))
    return Fault(
        component=f"every pod of {callee.ref}",
        how=KILLED,
        region=world.home_region,
        promise=ELSEWHERE,
        source=f"docs/runbooks/region-failover.md: {most:.0f} s, by itself",
        namespace=callee.tenant,
        container=callee.name,
        hurts=frozenset({_TRANSFER}),
        within=most,
    )


def _region_loss(world: World, tokens: "Tokens", fault: Fault) -> Outage:
    region, call, most = fault.region, call_of(world, _TRANSFER), fault.within or 0.0
    streams = [one for one in everyday(world, tokens, region) if one.name != "bank-b-worker-to-trans"]
    with Load(world, streams) as load:
        began = time.time()
        with faults.taken_out(world, region, call.callee):
            trouble = _settled(load, began, most)
            elsewhere = _answering(load.outcomes(began))
    there = Evidence(source=_TRANSFER, words=f"answered by {', '.join(sorted(elsewhere)) or 'nobody'} meanwhile")
    holds = elsewhere == {world.graph.principal(call.callee, world.other_region)}
    seen = Seen(outcomes=load.outcomes(), began=began, returned=began, looked=((there, holds),), trouble=trouble)
    return judged(fault, seen)


def _answering(outcomes: Iterable[Outcome]) -> set[str]:
    """Principals that answered the last transfers."""
    found = [one.answer.json()["identity"] for one in outcomes if one.stream == _TRANSFER and one.answered]
    return {one.removeprefix("spiffe://") for one in found[-_ROW:]}
