"""How an attack is written down, made, and made again without the layer that stopped it.

Every attack is made with all layers on. Those that were stopped are grouped by the switch that turns their layer off, so
that each layer is off once and for as short as its group takes; they are made again in that time. An attack that no second
layer stops says so as a single, and is made again all the same: what then goes through shows that the attack was real.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.live.client import ServerError
from sandbox.proof.results import Attack, Attempt, Evidence
from sandbox.proof.world import ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILIES: Final = ("wire", "token", "path", "identity", "limits", "admission", "secrets", "egress", "runtime")
_AT_ONCE: Final = 4
_PASSING: Final = (ProofError, ServerError, OSError, ValueError)
"""What an attack may fail with for a reason of its own: it is then one that nothing was seen to stop."""


@dataclass(frozen=True, kw_only=True)
class Attempted:
    """What came of an attack that was made once. `by` is a layer's id (`sandbox.proof.refusals`), empty when nobody did."""

    stopped: bool
    by: str
    evidence: Evidence


Making = Callable[[World, "Tokens"], Attempted]


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
                unmade = Evidence(source="the proof", words=f"{switch.name} could not be turned off: {error}")
                for one in group:
                    made[one.key].append(Attempt(without=switch.name, stopped=False, by="", evidence=unmade))
                continue
            for one, attempt in _make(group, switch.name, world, tokens, progress):
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


def _make(
    planned: Sequence[Planned], without: str, world: World, tokens: "Tokens", progress: Progress
) -> list[tuple[Planned, Attempt]]:
    def one_of(one: Planned) -> tuple[Planned, Attempt]:
        try:
            seen = one.make(world, tokens)
        except _PASSING as error:
            unmade = Evidence(source="the proof", words=f"could not be made: {error}")
            seen = Attempted(stopped=False, by="", evidence=unmade)
        progress(one.title)
        return one, Attempt(without=without, stopped=seen.stopped, by=seen.by, evidence=seen.evidence)

    together = [one for one in planned if not one.alone]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        made = list(pool.map(one_of, together))
    return made + [one_of(one) for one in planned if one.alone]


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
