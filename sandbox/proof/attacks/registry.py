"""How an attack is written down, made, and made again without the layer that stopped it.

Every attack is made with all layers on. Those that were stopped are grouped by the switch that turns their layer off, so
that each layer is off once and for as short as its group takes; they are made again in that time. An attack that no second
layer stops says so as a single, and is made again all the same: what then goes through shows that the attack was real.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.live.client import ServerError
from sandbox.proof.refusals import Trail, judged
from sandbox.proof.results import Attack, Attempt, Evidence
from sandbox.proof.world import Answer, Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILIES: Final = ("wire", "token", "path", "identity", "limits", "admission", "secrets", "egress", "runtime")
_AT_ONCE: Final = 4
_FLUSH_SECONDS: Final = 13.0
"""Envoy writes its log out when ten seconds have passed at the latest."""
_TICK_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 60.0
"""Envoy ends connections that are judged by an old configuration one by one, within 45 seconds."""
_SELF: Final = "the proof"
_PASSING: Final = (ProofError, ServerError, OSError, ValueError)
"""What an attack may fail with for a reason of its own: it is then one that nothing was seen to stop."""


@dataclass(frozen=True, kw_only=True)
class Attempted:
    """What came of an attack that was made once. `by` is a layer's id (`sandbox.proof.refusals`), empty when nobody did."""

    stopped: bool
    by: str
    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class Sent:
    """An attack that was a request: what came back, and where to look for who refused it, as `refusals.judged` takes it.

    A proxy writes its log out seconds later; those of all requests are read together when every attack has been made.
    """

    answer: Answer
    callee: Pod
    others: tuple[Pod, ...] = ()
    request: str = ""
    path: str = ""
    server_name: str = ""
    note: str = ""
    """What was sent, where the answer alone does not tell."""


Making = Callable[[World, "Tokens"], Attempted | Sent]


@dataclass(frozen=True, kw_only=True)
class Switch:
    """How a layer is turned off in the running sandbox: it is off, and seen to be off, within the context, and put back after."""

    layer: str
    off: Callable[[World], AbstractContextManager[None]]
    part: str = ""
    """Which part of the layer, where one is told from another: said in the result as `<layer> (<part>)`."""

    @property
    def name(self) -> str:
        """As an attempt's `without` says it."""
        return f"{self.layer} ({self.part})" if self.part else self.layer


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One attack as it is written down; the fields are those of `results.Attack`."""

    key: str
    title: str
    family: str
    techniques: tuple[str, ...]
    expected: str
    make: Making
    case: str = ""
    single: str = ""
    switch: Switch | None = None
    """What turns off the layer that must stop it, where that is not the layer's usual switch."""
    alone: bool = False
    """Whether no other attack may run meanwhile: it floods, or is told from others by its time alone."""


Progress = Callable[[str], None]


def perform(
    planned: Sequence[Planned], switches: Iterable[Switch], world: World, tokens: "Tokens", progress: Progress
) -> tuple[Attack, ...]:
    """Makes all attacks, and those that were stopped again; the results in the order of `planned`.

    Args:
        planned: the attacks; keys are unique.
        switches: the usual one of each layer.
        world: the running sandbox.
        tokens: for attacks that need one.
        progress: told which attack was made, and what is off.

    Raises:
        ProofError: a layer that was turned off could not be put back.
    """
    usual = {switch.layer: switch for switch in switches}
    made = {one.key: [attempt] for one, attempt in _make(planned, "", world, tokens, progress)}
    for switch, group in grouped(planned, usual, {key: attempts[0] for key, attempts in made.items()}):
        progress(f"without {switch.name}")
        with ExitStack() as off:
            try:
                off.enter_context(switch.off(world))
            except _PASSING as error:
                unmade = Evidence(source=_SELF, words=f"{switch.name} could not be turned off: {error}")
                for one in group:
                    made[one.key].append(Attempt(without=switch.name, stopped=False, by="", evidence=unmade))
                continue
            for one, attempt in _again(group, switch, world, tokens, progress):
                made[one.key].append(attempt)
    return tuple(_attack(one, made[one.key]) for one in planned)


def grouped(
    planned: Iterable[Planned], usual: Mapping[str, Switch], first: Mapping[str, Attempt]
) -> list[tuple[Switch, list[Planned]]]:
    """Which attacks are made again behind which switch: those that the expected layer stopped, as far as it has a switch."""
    groups: list[tuple[Switch, list[Planned]]] = []
    for one in planned:
        switch = one.switch or usual.get(one.expected)
        if switch is None or not first[one.key].stopped or first[one.key].by != one.expected:
            continue
        for known, group in groups:
            if known is switch:
                group.append(one)
                break
        else:
            groups.append((switch, [one]))
    return groups


def _again(
    group: Sequence[Planned], switch: Switch, world: World, tokens: "Tokens", progress: Progress
) -> list[tuple[Planned, Attempt]]:
    """Without a layer. Between proxies a connection from before is judged by the layer until it is drained: then again."""
    made, open_ones, deadline = {}, list(group), time.monotonic() + _DRAIN_SECONDS
    while True:
        for one, attempt in _make(open_ones, switch.name, world, tokens, progress):
            made[one.key] = attempt
        open_ones = [one for one in group if made[one.key].by == switch.layer and not switch.part]
        if not open_ones or time.monotonic() > deadline:
            break
        time.sleep(_TICK_SECONDS)
    for one in open_ones:
        seen = made[one.key].evidence
        still = Evidence(source=seen.source, words=f"{switch.layer} was not off: {seen.words}")
        made[one.key] = Attempt(without=switch.name, stopped=False, by="", evidence=still)
    return [(one, made[one.key]) for one in group]


def _make(
    planned: Sequence[Planned], without: str, world: World, tokens: "Tokens", progress: Progress
) -> list[tuple[Planned, Attempt]]:
    def one_of(one: Planned) -> Attempted | Sent:
        try:
            seen = one.make(world, tokens)
        except _PASSING as error:
            seen = Attempted(stopped=False, by="", evidence=Evidence(source=_SELF, words=f"could not be made: {error}"))
        progress(one.title)
        return seen

    together, apart = [one for one in planned if not one.alone], [one for one in planned if one.alone]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        made = list(pool.map(one_of, together))
    made += [one_of(one) for one in apart]
    return [
        (one, Attempt(without=without, stopped=seen.stopped, by=seen.by, evidence=seen.evidence))
        for one, seen in zip([*together, *apart], told(world, made), strict=True)
    ]


def told(world: World, made: Sequence[Attempted | Sent]) -> list[Attempted]:
    """Who stopped what was sent, from the logs of the proxies that it may have come to; each log is read once a second."""
    found = {number: one for number, one in enumerate(made) if isinstance(one, Attempted)}
    open_ones = {number: one for number, one in enumerate(made) if isinstance(one, Sent)}
    for number, one in list(open_ones.items()):
        if one.answer.is_allowed:
            found[number] = _nobody(open_ones.pop(number))
    deadline = time.monotonic() + _FLUSH_SECONDS
    while open_ones:
        trails = _trails(world, open_ones.values())
        for number, one in list(open_ones.items()):
            passed = [trails[pod.name] for pod in (one.callee, *one.others)]
            by, evidence = judged(one.answer, passed, request=one.request, path=one.path, server_name=one.server_name)
            if by:
                found[number] = Attempted(stopped=True, by=by, evidence=_noted(one, evidence))
                del open_ones[number]
        if time.monotonic() > deadline:
            break
        if open_ones:
            time.sleep(_TICK_SECONDS)
    found |= {number: _nobody(one) for number, one in open_ones.items()}
    return [found[number] for number in range(len(made))]


def _trails(world: World, sent: Iterable[Sent]) -> dict[str, Trail]:
    pods = {pod.name: pod for one in sent for pod in (one.callee, *one.others)}
    since = {pod.name: one.answer.at for one in sorted(sent, key=_at, reverse=True) for pod in (one.callee, *one.others)}
    return {name: Trail.of(world, pod, since[name]) for name, pod in pods.items()}


def _at(sent: Sent) -> str:
    return sent.answer.at


def _nobody(sent: Sent) -> Attempted:
    return Attempted(stopped=False, by="", evidence=_noted(sent, Evidence(source="caller", words=str(sent.answer))))


def _noted(sent: Sent, evidence: Evidence) -> Evidence:
    return Evidence(source=evidence.source, words=f"{sent.note}: {evidence.words}") if sent.note else evidence


def _attack(one: Planned, attempts: Sequence[Attempt]) -> Attack:
    return Attack(
        key=one.key,
        title=one.title,
        family=one.family,
        techniques=one.techniques,
        case=one.case,
        expected=one.expected,
        attempts=tuple(attempts),
        single=one.single,
    )
