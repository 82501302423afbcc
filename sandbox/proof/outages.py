"""Components killed or frozen under load: what is promised in writing for that time, and what became of requests.

Each outage has a load of its own, so that what was lost is lost by it. The regions are disturbed beside each other, which is a
part of the claim: neither needs the other. Frozen is the worse of the two: nobody refuses a connection, so whoever asks must give
up by himself. An outage counts only when requests of every stream were begun while the component was away, and when of each
stream that is forbidden a refusal was read in the log of the layer that must refuse.

Not shown: what lasts longer than the credentials that are out, since a freeze is of seconds and an identity of an hour; the loss
of a region's edge, which DNS and health checks of a real account turn away from.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Final

from components.graph.names import SPIRE_SYSTEM_NAMESPACE
from sandbox.live.client import ServerError
from sandbox.proof import faults, sights
from sandbox.proof.load import Load, Outcome, Stream, meanwhile, recovered
from sandbox.proof.losses import FROZEN, KILLED, Fault, planned, without_callee
from sandbox.proof.results import Evidence, Outage
from sandbox.proof.sights import TRANSFER, Sight
from sandbox.proof.traffic import call_of, everyday, from_outside
from sandbox.proof.world import Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_FROZEN_SECONDS: Final = 6.0
_KILLS: Final = 3
"""At most, until requests fall into the time away: what ends once the kubelet starts at once, and from then on it waits."""
_ANSWER_SECONDS: Final = 0.5
"""For the answers to what was sent meanwhile."""
_ROW, _BACK_SECONDS = 3, 60.0

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of a fault."""

    outcomes: tuple[Outcome, ...]
    began: float
    returned: float
    """When the component ran again, the last time if it was killed several times."""
    away: float | None = None
    """Since when it was away, the last time; `began` unless said."""
    streams: tuple[Stream, ...] = ()
    looked: tuple[Sight, ...] = ()
    trouble: str = ""
    """What kept the requests from coming back."""


def outages(world: World, tokens: "Tokens", progress: Progress) -> tuple[Outage, ...]:
    """Every outage, one after the other in each region, the regions beside each other; at the end a region without a service.

    Args:
        world: the running sandbox.
        tokens: for requests that need one.
        progress: told what is away.

    What cannot be tried, because requests are not steady before it, or does not come back, does not hold; the others are tried.
    """
    over = Event()

    def one_region(faulty: Sequence[Fault]) -> list[Outage]:
        # proxies write their logs out seconds later: the next outage need not wait for what is read of this one
        with ThreadPoolExecutor() as reading:
            left = (fault for fault in faulty if not over.is_set())
            found = [_tried(fault, partial(_outage, world, tokens, fault, progress), world, reading) for fault in left]
            return [one.result() for one in found]

    with ThreadPoolExecutor() as pool:
        try:
            lanes = list(pool.map(one_region, planned(world).values()))
        except BaseException:
            over.set()
            raise
    progress("a service of a region scaled to none")
    last = without_callee(world)
    with ThreadPoolExecutor() as reading:
        loss = _tried(last, partial(_service_loss, world, tokens, last), world, reading).result()
    return (*(one for lane in lanes for one in lane), loss)


def _tried(fault: Fault, attempt: Callable[[], Seen], world: World, reading: ThreadPoolExecutor) -> Future[Outage]:
    try:
        seen = attempt()
    except (ProofError, ServerError) as error:
        seen = Seen(outcomes=(), began=0.0, returned=0.0, trouble=str(error))
    return reading.submit(_attributed, world, fault, seen)


def _attributed(world: World, fault: Fault, seen: Seen) -> Outage:
    """The verdict, with who refused what is forbidden while the component was away."""
    while_away = meanwhile(seen.outcomes, _since(seen), seen.returned)
    try:
        # killed again and again, a container keeps its pod from being anybody's endpoint
        hurt = [one.callees for one in seen.streams if fault.how == KILLED and one.name in fault.hurts]
        refused = sights.refused(world, seen.streams, while_away, gone=frozenset().union(*hurt))
    except (ProofError, ServerError) as error:
        refused = [(Evidence(source="the proof", words=str(error)), False)]
    return judged(fault, replace(seen, looked=(*seen.looked, *refused)))


def _outage(world: World, tokens: "Tokens", fault: Fault, progress: Progress) -> Seen:
    progress(f"{fault.region}: {fault.component} {fault.how}")
    outside = from_outside(world, tokens, fault.region) if fault.outside else ()
    streams = (*everyday(world, tokens, fault.region), *outside)
    pod = _victim(world, fault)
    with Load(world, streams) as load:
        began = away = time.time()
        looked: tuple[Sight, ...] = ()
        if fault.how == FROZEN:
            with faults.frozen(world, pod, fault.container):
                away = time.time()
                looked = tuple(fault.looks(world, fault.region) if fault.looks else ())
                time.sleep(max(0.0, away + _FROZEN_SECONDS - time.time()))
                returned = time.time()
        else:
            away, returned = _killed(world, fault, pod, load)
        faults.await_ready(world, pod)
        trouble = _settled(load, time.time())
    if fault.after:
        looked += tuple(fault.after(world, fault.region, load.outcomes()))
    seen = Seen(outcomes=load.outcomes(), began=began, returned=returned, away=away, streams=streams)
    return replace(seen, looked=looked, trouble=trouble)


def _killed(world: World, fault: Fault, pod: Pod, load: Load) -> tuple[float, float]:
    """When it was killed and when it ran again, the last time: again until requests of every stream fall in between."""
    for _ in range(_KILLS):
        killed = time.time()
        faults.kill(pod, fault.container)
        returned = faults.await_again(world, pod, fault.container, killed)
        time.sleep(_ANSWER_SECONDS)
        if load.asked(killed, returned):
            break
        pod = next(one for one in world.pods(pod.region, pod.namespace) if one.name == pod.name)
    return killed, returned


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

    Always: authorised and forbidden requests were sent, by every stream while the component was away, no forbidden one was
    answered, and all authorised ones came back. A stream that the outage does not hurt loses nothing. One that is to be
    refused is refused as long as the component is away; one that is to be back in time is.
    """
    window = [one for one in seen.outcomes if one.ended >= seen.began]
    authorised = [one for one in window if one.authorised]
    forbidden = [one for one in window if not one.authorised]
    lost = [one for one in authorised if not one.answered]
    answered = [one for one in forbidden if one.answered]
    back = recovered(window, seen.returned)
    bystanders = [one for one in lost if one.stream not in fault.hurts]
    while_away = meanwhile(window, _since(seen), seen.returned)
    away = [one for one in while_away if one.stream in fault.hurts and one.ended <= seen.returned]
    since = recovered(window, seen.began)
    in_time = fault.within is None or (since is not None and since <= fault.within)
    must_refuse = bool(fault.hurts) and fault.within is None
    refused = not must_refuse or (bool(away) and not any(one.answered for one in away))
    looked = all(holds for _, holds in seen.looked)
    asked = {one.stream for one in window} == {one.stream for one in while_away}
    whole = bool(authorised) and bool(forbidden) and asked and not seen.trouble and back is not None
    evidence = (*_summary(fault, seen, window, len(while_away)), *(words for words, _ in seen.looked))
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


def _since(seen: Seen) -> float:
    return seen.began if seen.away is None else seen.away


def _summary(fault: Fault, seen: Seen, window: Iterable[Outcome], while_away: int) -> Iterator[Evidence]:
    away = f"{seen.returned - _since(seen):.1f} s away, {while_away} requests sent meanwhile"
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


def _service_loss(world: World, tokens: "Tokens", fault: Fault) -> Seen:
    region, call, most = fault.region, call_of(world, TRANSFER), fault.within or 0.0
    streams = [one for one in everyday(world, tokens, region) if one.name != "bank-b-worker-to-trans"]
    with Load(world, streams) as load:
        began = time.time()
        with faults.taken_out(world, region, call.callee):
            trouble = _settled(load, began, most)
            elsewhere = _answering(load.outcomes(began))
            returned = time.time()
    there = Evidence(source=TRANSFER, words=f"answered by {', '.join(sorted(elsewhere)) or 'nobody'} meanwhile")
    holds = elsewhere == {world.graph.principal(call.callee, world.other_region)}
    outcomes, looked = load.outcomes(), ((there, holds),)
    return Seen(outcomes=outcomes, began=began, returned=returned, streams=tuple(streams), looked=looked, trouble=trouble)


def _answering(outcomes: Iterable[Outcome]) -> set[str]:
    """Principals that answered the last transfers."""
    found = [one.answer.json()["identity"] for one in outcomes if one.stream == TRANSFER and one.answered]
    return {one.removeprefix("spiffe://") for one in found[-_ROW:]}
