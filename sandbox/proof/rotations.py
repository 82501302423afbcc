"""What is replaced under load: identities every minute, a region's authority, a database's credentials, a service's pods.

Each has a load of its own. Authority and pods are replaced in one region, one after the other, while the other two go on in the
other: no request may fail. What was changed for it is put back; a new authority and new pods stay, as after any rotation.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from components.graph.model import Workload
from components.identity.registration import API, registration_name
from sandbox.live.client import ServerError
from sandbox.proof import faults
from sandbox.proof.credentials import Authority, caller_certificate, held, shown
from sandbox.proof.database import Credentials
from sandbox.proof.journal import putting_back
from sandbox.proof.load import Load, Outcome, Stream
from sandbox.proof.results import Evidence, Rotation
from sandbox.proof.sights import Sight, refused
from sandbox.proof.traffic import CALLS, busy, call_of, everyday, forbidden, sample, straight
from sandbox.proof.world import Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

SHORT: Final = "60s"
"""Of an identity's life while it is watched; SPIRE replaces one when half of it is over."""
_DIFFERENT: Final = 3
_WATCHED: Final = "bank-a-api-to-auth"
_SERVED: Final = "bank-b-worker-to-trans"
_LOOK_SECONDS: Final = 2.0
_MOST_SECONDS: Final = 150.0
_ROW: Final = 4

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen of one rotation."""

    subject: str
    began: float
    ended: float
    outcomes: tuple[Outcome, ...]
    changes: int
    evidence: tuple[Evidence, ...]
    refused: tuple[Sight, ...] = ()
    """Who refused what is forbidden."""
    trouble: str = ""


def rotations(world: World, tokens: "Tokens", progress: Progress) -> tuple[Rotation, ...]:
    """Every rotation.

    Args:
        world: the running sandbox.
        tokens: for requests that need one.
        progress: told what is being replaced.

    What cannot be tried, because requests are not steady before it, or cannot be put back, does not hold; the others are tried.
    """

    def tried(make: Callable[[World, "Tokens", Progress], Watched]) -> Rotation:
        try:
            return judged(make(world, tokens, progress))
        except (ProofError, ServerError) as error:
            subject = (make.__doc__ or "").strip().rstrip(".")
            return judged(Watched(subject=subject, began=0.0, ended=0.0, outcomes=(), changes=0, evidence=(), trouble=str(error)))

    def one_by_one(makes: Iterable[Callable[[World, "Tokens", Progress], Watched]]) -> list[Rotation]:
        return [tried(make) for make in makes]

    with ThreadPoolExecutor() as pool:
        return tuple(one for made in pool.map(one_by_one, ((_identities,), (_authority, _pods), (_database,))) for one in made)


def judged(seen: Watched) -> Rotation:
    """Whether it was replaced often enough and no request failed; what is forbidden counts as failed when it is answered.

    Of each stream that is forbidden a refusal by the layer that must refuse was read.
    """
    window = [one for one in seen.outcomes if one.ended >= seen.began]
    failed = [one for one in window if one.answered != one.authorised]
    sent = any(one.authorised for one in window) and any(not one.authorised for one in window)
    words = sorted({f"{one.stream}: {one.answer}" for one in failed})
    evidence = (*seen.evidence, *(said for said, _ in seen.refused), *(Evidence(source="the load", words=one) for one in words))
    if seen.trouble:
        evidence = (*evidence, Evidence(source="the proof", words=seen.trouble))
    return Rotation(
        subject=seen.subject,
        seconds=round(seen.ended - seen.began, 1),
        requests=len(window),
        failed=len(failed),
        changes=seen.changes,
        holds=sent and not failed and not seen.trouble and seen.changes >= _DIFFERENT and all(ok for _, ok in seen.refused),
        evidence=evidence,
    )


@dataclass(kw_only=True)
class _Under:
    """The load under which something is replaced, and what came of it."""

    world: World
    load: Load
    began: float
    settled: float = 0.0
    """When it was replaced."""
    ended: float = 0.0
    """When the load had gone on unbroken after that."""
    trouble: str = ""
    beside: list[Load] = field(default_factory=list)
    """More load of this rotation."""

    def outcomes(self) -> tuple[Outcome, ...]:
        """Of every request."""
        return tuple(one for each in (self.load, *self.beside) for one in each.outcomes())

    def watched(
        self, subject: str, *, changes: int, evidence: Iterable[Evidence], by: tuple[Sight, ...] | None = None
    ) -> Watched:
        """What was seen; who refused what is forbidden is read of the load's own streams, unless it is given."""
        if by is None:
            by = tuple(refused(self.world, self.load.streams, self.load.outcomes(self.began)))
        return Watched(
            subject=subject,
            began=self.began,
            ended=self.ended,
            outcomes=self.outcomes(),
            refused=by,
            changes=changes,
            evidence=tuple(evidence),
            trouble=self.trouble,
        )


@contextmanager
def _under(world: World, streams: Sequence[Stream]) -> Iterator[_Under]:
    with Load(world, streams) as load:
        under = _Under(world=world, load=load, began=time.time())
        try:
            yield under
        except ProofError as error:
            under.trouble = str(error)
        under.settled = time.time()
        load.wait_unbroken(under.settled, row=_ROW, seconds=_MOST_SECONDS)
        under.ended = time.time()


def _identities(world: World, tokens: "Tokens", progress: Progress) -> Watched:
    """Identities that live for a minute, at both ends of calls."""
    region, call = world.home_region, call_of(world, _WATCHED)
    caller, callee = world.pod(region, call.caller), world.pod(region, call.callee)
    loaded: dict[str, set[str]] = {str(caller): set(), str(callee): set()}
    handshakes: tuple[set[str], set[str]] = set(), set()

    def look() -> bool:
        time.sleep(_LOOK_SECONDS)
        for pod in (caller, callee):
            loaded[str(pod)] |= held(world, pod).own
        pair = shown(world, caller, callee, call.callee.port, sample(call.operations[0].paths[0]))
        for known, value in zip(handshakes, pair, strict=True):
            known.add(value)
        progress(f"identities of a minute: {min(map(len, loaded.values()))} at both ends")
        return min(map(len, (*loaded.values(), *handshakes))) >= _DIFFERENT

    with _under(world, everyday(world, tokens, region)) as under:
        look()
        with _short_lived(world, region, _ends(world)):
            world.wait("three identities at both ends", look, _MOST_SECONDS)
    seen = under.load.outcomes(under.began)
    wire = {caller_certificate(one.answer.body) for one in seen if one.stream == _WATCHED and one.answered}
    evidence = (
        *(Evidence(source=f"proxy of {name}", words=f"{len(found)} certificates loaded") for name, found in loaded.items()),
        Evidence(
            source="handshakes",
            words=f"{len(handshakes[0])} certificates shown by the caller, {len(handshakes[1])} by the callee",
        ),
        Evidence(source="requests of the load", words=f"{len(wire)} certificates of the caller, by x-forwarded-client-cert"),
    )
    return under.watched(
        f"identities of {len(_ends(world))} services, every half minute",
        changes=min(map(len, (*loaded.values(), *handshakes))),
        evidence=evidence,
    )


def _ends(world: World) -> list[Workload]:
    """Who takes part in the load's calls."""
    calls = [call_of(world, key) for key in CALLS]
    found = {one.ref: one for call in calls for one in (call.caller, call.callee)}
    return [found[ref] for ref in sorted(found)]


@contextmanager
def _short_lived(world: World, region: str, workloads: Iterable[Workload]) -> Iterator[None]:
    names = [registration_name(one.tenant, one.name) for one in workloads]
    before = {name: _lifetime(world, region, name) for name in names}

    def put_back() -> None:
        for name, lifetime in before.items():
            _set_lifetime(world, region, name, lifetime)

    with putting_back(world, f"identities of {', '.join(names)} in {region} live for {SHORT}", put_back):
        for name in names:
            _set_lifetime(world, region, name, SHORT)
        yield


def _lifetime(world: World, region: str, name: str) -> str:
    found = world.clusters[region].get(API, "ClusterSPIFFEID", None, name)
    if found is None:
        msg = f"{name} is not registered in {region}"
        raise ProofError(msg)
    return str(found["spec"]["ttl"])


def _set_lifetime(world: World, region: str, name: str, lifetime: str) -> None:
    cluster = world.clusters[region]
    cluster.merge(cluster.path(API, "ClusterSPIFFEID", None, name), {"spec": {"ttl": lifetime}})


def _authority(world: World, tokens: "Tokens", progress: Progress) -> Watched:
    """A region's authority: the next is believed everywhere before it signs, and the old one until nothing of it is in use."""
    region = world.other_region
    here, there = Authority(world, region), Authority(world, world.home_region)
    call = call_of(world, _WATCHED)
    pods = world.pod(region, call.caller), world.pod(region, call.callee)
    seen: list[frozenset[str]] = []
    steps: list[Evidence] = []

    def step(words: str, done: Callable[[], bool]) -> None:
        progress(f"authority of {region}: {words}")
        took = world.wait(words, done, _MOST_SECONDS)
        seen.append(frozenset.intersection(*(held(world, pod).authorities for pod in pods)))
        steps.append(Evidence(source=f"SPIRE of {region} and the proxies", words=f"{words}, after {took:.1f} s"))

    with _under(world, everyday(world, tokens, region)) as under:
        _replace(here, there, _proxies(world, pods), step)
    return under.watched(f"the authority of {here.trust_domain}", changes=len(set(seen)), evidence=steps)


@dataclass(frozen=True, kw_only=True)
class _Proxies:
    """Both ends of a call."""

    authorities: Callable[[], list[frozenset[str]]]
    own: Callable[[], list[frozenset[str]]]


def _proxies(world: World, pods: Iterable[Pod]) -> _Proxies:
    known = tuple(pods)
    return _Proxies(
        authorities=lambda: [held(world, pod).authorities for pod in known],
        own=lambda: [held(world, pod).own for pod in known],
    )


def _replace(here: Authority, there: Authority, proxies: _Proxies, step: Callable[[str, Callable[[], bool]], None]) -> None:
    old, before = here.active(), here.bundle()
    step("both ends believe the old one", lambda: all(before <= one for one in proxies.authorities()))
    new = here.prepare()
    step("the other region believes the next one", lambda: here.believed_by(there) >= here.bundle() > before)
    step("both ends believe the next one", lambda: all(here.bundle() <= one for one in proxies.authorities()))
    agents, own = here.agents(), proxies.own()
    here.change("activate", new)
    here.change("taint", old)
    step(
        "both ends have an identity of the new one",
        lambda: all(not was & now for was, now in zip(own, proxies.own(), strict=True)),
    )
    step("every agent has an identity of the new one", lambda: not agents & here.agents())
    here.change("revoke", old)
    step("the other region has forgotten the old one", lambda: not here.believed_by(there) & before)
    step("both ends have forgotten the old one", lambda: not any(before & one for one in proxies.authorities()))


def _pods(world: World, tokens: "Tokens", progress: Progress) -> Watched:
    """A service's pods by rolling updates: the new one is ready before the old one ends, which refuses nobody until then."""
    region, call = world.other_region, call_of(world, _SERVED)
    served = {one.name for one in faults.pods(world, region, call.callee)}
    steps: list[Evidence] = []
    with _under(world, busy(world, tokens, region, call.key)) as under:
        while len(served) < _DIFFERENT:
            progress(f"pods of {call.callee.ref}: {len(served)} served")
            took = faults.restart(world, region, call.callee)
            new = sorted(one.name for one in faults.pods(world, region, call.callee))
            steps.append(Evidence(source=f"Kubernetes of {region}", words=f"{', '.join(new)}, alone after {took:.1f} s"))
            served.update(new)
    # what pods that are gone refused is in logs that are gone
    by = tuple(refused(world, forbidden(world, region), under.load.outcomes(under.settled)))
    return under.watched(f"the pods of {call.callee.ref}", changes=len(served), evidence=steps, by=by)


def _database(world: World, tokens: "Tokens", progress: Progress) -> Watched:
    """Vault's own certificate for a tenant's database, and the credential of the service that uses it."""
    region, call = world.home_region, call_of(world, "bank-a-api-to-bank-b-trans")
    credentials = Credentials(world, region, call.callee)
    here = f"spiffe://{world.graph.principal(call.callee, region)}"
    steps: list[Evidence] = []

    def users() -> set[str]:
        found = (one.answer.json() for one in under.outcomes() if one.authorised and one.answered)
        return {str(one["result"]["database_user"]) for one in found if one["identity"] == here}

    def enough() -> bool:
        time.sleep(_LOOK_SECONDS)
        known = len(users())
        progress(f"credentials of {call.callee.ref}: {known} were used")
        return known >= _DIFFERENT

    with _under(world, busy(world, tokens, region, call.key)) as under:
        steps.extend(credentials.renew_root())
        with credentials.short_lived(), credentials.joined() as (pod, seen):
            steps.append(seen)
            with Load(world, [straight(world, tokens, region, call.key, pod)]) as added:
                under.beside.append(added)
                world.wait("three credentials were used", enough, _MOST_SECONDS)
                steps.extend(credentials.await_end(_MOST_SECONDS))
                added.wait_unbroken(time.time(), row=_ROW, seconds=_MOST_SECONDS)
    used = Evidence(source="PostgreSQL, as the service was told", words=", ".join(sorted(users())))
    return under.watched(
        f"{call.callee.tenant}'s database: Vault's certificate and the credential of {call.callee.ref}",
        changes=len(users()),
        evidence=(*steps, used),
    )
