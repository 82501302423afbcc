"""What a proof found, in the shapes that proof.json has and the report shows. Durations are seconds, times RFC 3339 in UTC."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

PARTS: Final = ("steps", "cells", "attacks", "outages", "rotations")
"""Of a proof, in the order in which they are made and shown: the names of its fields."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One thing seen: who said it, and its own words, shortened to what matters."""

    source: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a call's life, in the documents' order."""

    number: int
    title: str
    holds: bool
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One ordered pair of workloads and one request: what the access graph says of it, and what came of it."""

    region: str
    caller: str
    callee: str
    method: str
    path: str
    edge: str
    """Key of the call in the settings that allows it; empty when nothing does."""
    allowed: bool
    status: int
    stopped_by: str
    """Who refused it by its own words; empty when it was answered."""
    expected: str
    """The layer that must refuse it; empty when it is declared."""
    way: str = "sidecar"
    """`sidecar`: as applications call; `direct`: by its own certificate, around its sidecar; `east-west`: so to another one."""
    callee_region: str = ""
    """Where the callee was asked; empty for the caller's own region."""
    lacking: str = ""
    """Which condition of the call it was sent without: `token`, `scope`, `amount`; empty with all that any asks for."""

    @property
    def holds(self) -> bool:
        """Answered when it is declared, otherwise refused by the layer that must; a refusal that nobody owns up to is none."""
        return self.allowed if self.edge else not self.allowed and bool(self.expected) and self.stopped_by == self.expected


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attack made once: with everything on, or with one layer off."""

    without: str
    """The layer that was off; empty with all on."""
    stopped: bool
    """Whether a layer refused it, and said so; what failed for another reason was not stopped."""
    by: str
    """Who stopped it; empty when nobody did."""
    evidence: Evidence
    failed: bool = False
    """Whether it neither went through nor was refused: it could not be made, or nobody owns up to its end."""

    @property
    def succeeded(self) -> bool:
        """Whether it was seen to go through."""
        return not self.stopped and not self.failed


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack, who must stop it, and what did: with everything on first, then with the layer that did it off."""

    key: str
    """Stable: `wire-plain-text`, `token-alg-none`."""
    title: str
    family: str
    """What it goes against: `wire`, `token`, `path`, `identity`, `admission`, `secrets`, `egress`, `runtime`."""
    techniques: tuple[str, ...]
    """MITRE ATT&CK for containers or enterprise: `T1557`."""
    case: str
    """Its number in the threat model (`A25`); empty when it is one of the wire's own."""
    expected: str
    """The layer that must stop it first."""
    attempts: tuple[Attempt, ...]
    single: str = ""
    """Why no second layer stands behind the first; empty when one does."""
    unswitchable: str = ""
    """Why that layer cannot be turned off here, so that the attack is made once; empty when it can."""
    closed: str = ""
    """Why the next layer refuses everything without the first, the attack with it; empty when it judges the attack."""
    control: str = ""
    """Regular expression of the words in which the expected layer must refuse; empty where the layer alone tells."""
    behind: str = ""
    """The same of the second refusal; without one it must be another layer's."""

    @property
    def holds(self) -> bool:
        """Stopped by the layer that must, and as it must; with that one off as `is_stopped_again` or `is_through` says.

        What cannot be switched is not made again.
        """
        first, *others = self.attempts
        if first.without or not self.is_stopped:
            return False
        if self.unswitchable:
            return not others
        return self.is_through if self.single else self.is_stopped_again

    @property
    def is_stopped(self) -> bool:
        """Whether the layer that must stopped it, with everything on."""
        first = self.attempts[0]
        return first.stopped and first.by == self.expected and _says(first, self.control)

    @property
    def is_stopped_again(self) -> bool:
        """Whether without that layer another one stopped it, or the same by the other control that is declared."""
        others = self.attempts[1:]
        return bool(others) and all(
            one.stopped and (one.by != self.expected or bool(self.behind)) and _says(one, self.behind) for one in others
        )

    @property
    def is_through(self) -> bool:
        """Whether without that layer it was seen to go through."""
        others = self.attempts[1:]
        return bool(others) and all(one.succeeded for one in others)


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A component killed or frozen under load, and what became of allowed and of forbidden requests meanwhile."""

    component: str
    how: str
    """`killed`, `frozen`."""
    promise: str
    """Promised in writing for authorised requests: `kept`, `refused`, `until expiry`, `from another region`, `within 60 s`."""
    source: str
    """Where it is promised."""
    allowed: int
    lost: int
    """Authorised requests that were sent, and of them those that failed."""
    forbidden: int
    answered: int
    """Unauthorised requests that were sent, and of them those that were answered: never any."""
    recovered: float | None
    """Seconds from the component's return to the first of an unbroken row of answers; None if nothing was lost."""
    holds: bool
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """A credential or authority replaced under load."""

    subject: str
    seconds: float
    requests: int
    failed: int
    changes: int
    """How many different ones were seen in use."""
    holds: bool
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Everything, of one run against one sandbox."""

    began: str
    seconds: float
    revision: str
    """Of the program: the commit, `+` behind it when the tree differs."""
    steps: tuple[Step, ...] = ()
    cells: tuple[Cell, ...] = ()
    attacks: tuple[Attack, ...] = ()
    outages: tuple[Outage, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    asked: tuple[str, ...] = PARTS
    """The parts that were to be made; the others were left out by the command."""
    failed: dict[str, str] = field(default_factory=dict)
    """Part → why it could not be made to its end."""
    not_running: dict[str, dict[str, str]] = field(default_factory=dict)
    """Region → what is declared and does not run in this sandbox → why."""
    figures: dict[str, float] = field(default_factory=dict)
    """Measured beside: `memory_gib` while it ran, `sandbox_seconds` and `sandbox_memory_gib` of the sandbox's start,
    `<part>_seconds`."""

    @property
    def holds(self) -> bool:
        """Whether every part that was asked for was made, found something, and all of it holds."""
        made = all(part not in self.failed and getattr(self, part) for part in self.asked)
        return made and all(one.holds for one in self.everything())

    def everything(self) -> Iterator[Step | Cell | Attack | Outage | Rotation]:
        """All results, in the order of the report."""
        for part in PARTS:
            yield from getattr(self, part)

    def write(self, file: Path) -> None:
        """Writes proof.json: the fields, and `holds` beside those of each result."""
        listed = {name: [{**asdict(one), "holds": one.holds} for one in getattr(self, name)] for name in PARTS}
        whole = {"holds": self.holds, **asdict(self), **listed}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Self:
        """What `write` wrote.

        Raises:
            OSError, ValueError, TypeError, KeyError: there is none, or it is of other fields.
        """
        found = json.loads(file.read_text(encoding="utf-8"))
        del found["holds"]
        made = {
            "steps": _each(Step, found["steps"], evidence=_said),
            "cells": _each(Cell, found["cells"]),
            "attacks": _each(Attack, found["attacks"], techniques=tuple, attempts=_attempts),
            "outages": _each(Outage, found["outages"], evidence=_said),
            "rotations": _each(Rotation, found["rotations"], evidence=_said),
        }
        return cls(**{**found, **made, "asked": tuple(found["asked"])})


def _says(attempt: Attempt, words: str) -> bool:
    return bool(attempt.by) and re.search(words, attempt.evidence.words) is not None


def _each(kind: Callable[..., _Result], found: Iterable[dict[str, Any]], **made: Callable[[Any], Any]) -> tuple[_Result, ...]:
    """The results of a part; `made` turns a field into what JSON cannot hold. What is computed is computed again."""
    computed = {name for name in ("holds",) if isinstance(getattr(kind, name, None), property)}
    return tuple(
        kind(**{name: made.get(name, _same)(value) for name, value in one.items() if name not in computed}) for one in found
    )


def _same(value: Any) -> Any:
    return value


def _said(found: Iterable[dict[str, str]]) -> tuple[Evidence, ...]:
    return tuple(Evidence(**one) for one in found)


def _attempts(found: Iterable[dict[str, Any]]) -> tuple[Attempt, ...]:
    return tuple(Attempt(**{**one, "evidence": Evidence(**one["evidence"])}) for one in found)
