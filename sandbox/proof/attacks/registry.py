"""How an attack is written down, made, and made again without the layer that stopped it.

Every attack is made with all layers on. Those that were stopped are grouped by the switch that turns their layer off, so
that each layer is off once and for as short as its group takes; they are made again in that time. An attack that no second
layer stops says so as a single, and must be seen to go through then: that shows that the attack was real. A layer that cannot be
turned off here is named with the reason, and its attacks are made once.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sandbox.live.client import ServerError
from sandbox.proof.refusals import FAILURES, LAYERS, Trail, judged
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
    """What came of an attack that was made once; neither stopped nor failed it went through.

    `by` is a layer's id (`sandbox.proof.refusals`). A refusal that nobody owns up to counts as failed, and so does one that is a
    layer's own failure.
    """

    stopped: bool
    by: str
    evidence: Evidence
    failed: bool = False


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
    behind: str = ""
    """Regular expression of the words of the layer's other control, where that is what stands behind this part."""
    closed: str = ""
    """Why nothing at all passes without it, where that is so."""
    good: tuple[Making, ...] = ()
    """Requests that are allowed, where it is closed: they must be refused then too."""

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
    unswitchable: str = ""
    control: str = ""
    behind: str = ""
    """Where the second refusal's words are not those that the switch says."""
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
                    made[one.key].append(_failed(switch.name, unmade))
                continue
            for one, attempt in _again(group, switch, world, tokens, progress):
                made[one.key].append(attempt)
    return tuple(_attack(one, one.switch or usual.get(one.expected), made[one.key]) for one in planned)


def grouped(
    planned: Iterable[Planned], usual: Mapping[str, Switch], first: Mapping[str, Attempt]
) -> list[tuple[Switch, list[Planned]]]:
    """Which attacks are made again behind which switch: those that the expected layer stopped, as far as it has a switch."""
    groups: list[tuple[Switch, list[Planned]]] = []
    for one in planned:
        switch = one.switch or usual.get(one.expected)
        if switch is None or one.unswitchable or not first[one.key].stopped or first[one.key].by != one.expected:
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
    """Without a layer. A connection from before is judged by it until proxies have drained it, or breaks: then again."""
    made: dict[str, Attempt] = {}
    open_ones, deadline = list(group), time.monotonic() + _DRAIN_SECONDS
    while True:
        for one, attempt in _make(open_ones, switch.name, world, tokens, progress):
            made[one.key] = attempt
        still = [one for one in group if made[one.key].by == switch.layer and not _is_other(one, switch, made[one.key])]
        open_ones = [one for one in group if one in still or made[one.key].failed]
        if not open_ones or time.monotonic() > deadline:
            break
        time.sleep(_TICK_SECONDS)
    for one in still:
        seen = made[one.key].evidence
        made[one.key] = _failed(switch.name, replace(seen, words=f"{switch.layer} was not off: {seen.words}"))
    if switch.closed:
        made = _closed(made, switch, world, tokens)
    return [(one, made[one.key]) for one in group]


def _is_other(one: Planned, switch: Switch, attempt: Attempt) -> bool:
    """Whether the layer refused by the control that stands behind the part that is off."""
    words = one.behind or switch.behind
    return bool(words) and re.search(words, attempt.evidence.words) is not None


def _closed(made: Mapping[str, Attempt], switch: Switch, world: World, tokens: "Tokens") -> dict[str, Attempt]:
    """The attempts with what came of good requests meanwhile; one that was answered shows that nothing is closed."""
    good = [
        Planned(key=f"good-{number}", title="", family="", techniques=(), expected="", make=make)
        for number, make in enumerate(switch.good)
    ]
    seen = [attempt for _, attempt in _make(good, switch.name, world, tokens, lambda _line: None)]
    for one in seen:
        if not one.stopped:
            words = f"what is allowed was to be refused too: {one.evidence.words}"
            return {key: _failed(switch.name, Evidence(source=one.evidence.source, words=words)) for key in made}
    told = f"; what is allowed is refused too, by {', '.join(sorted({one.by for one in seen}))}"
    return {key: replace(one, evidence=replace(one.evidence, words=one.evidence.words + told)) for key, one in made.items()}


def _make(
    planned: Sequence[Planned], without: str, world: World, tokens: "Tokens", progress: Progress
) -> list[tuple[Planned, Attempt]]:
    def one_of(one: Planned) -> Attempted | Sent:
        try:
            seen = one.make(world, tokens)
        except _PASSING as error:
            unmade = Evidence(source=_SELF, words=f"could not be made: {error}")
            seen = Attempted(stopped=False, by="", evidence=unmade, failed=True)
        progress(one.title)
        return seen

    together, apart = [one for one in planned if not one.alone], [one for one in planned if one.alone]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        made = list(pool.map(one_of, together))
    made += [one_of(one) for one in apart]
    return [(one, _attempt(without, seen)) for one, seen in zip([*together, *apart], told(world, made), strict=True)]


def _attempt(without: str, seen: Attempted) -> Attempt:
    owned = seen.stopped and seen.by in LAYERS and seen.by not in FAILURES
    failed = seen.failed or (seen.stopped and not owned)
    return Attempt(without=without, stopped=owned, by=seen.by if owned else "", evidence=seen.evidence, failed=failed)


def _failed(without: str, evidence: Evidence) -> Attempt:
    return Attempt(without=without, stopped=False, by="", evidence=evidence, failed=True)


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
    seen = _noted(sent, Evidence(source="caller", words=str(sent.answer)))
    return Attempted(stopped=False, by="", evidence=seen, failed=not sent.answer.is_allowed)


def _noted(sent: Sent, evidence: Evidence) -> Evidence:
    return Evidence(source=evidence.source, words=f"{sent.note}: {evidence.words}") if sent.note else evidence


def _attack(one: Planned, switch: Switch | None, attempts: Sequence[Attempt]) -> Attack:
    return Attack(
        key=one.key,
        title=one.title,
        family=one.family,
        techniques=one.techniques,
        case=one.case,
        expected=one.expected,
        attempts=tuple(attempts),
        single=one.single,
        unswitchable=one.unswitchable,
        closed=switch.closed if switch is not None else "",
        control=one.control,
        behind=one.behind or (switch.behind if switch is not None else ""),
    )
