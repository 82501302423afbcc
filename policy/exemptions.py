"""The register of exemptions: who may break which control where, why, and until when."""

import datetime as dt
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("exemptions.yaml")
LONGEST = dt.timedelta(days=90)
FIELDS = ("control", "urn", "approver", "reason", "expires")
URN_PARTS = 4
SHORTEST_REASON = 10


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """One exemption that holds today."""

    control: str
    urn: str
    approver: str
    reason: str
    expires: dt.date

    def covers(self, control: str, urn: str) -> bool:
        """Whether a violation of ``control`` at ``urn`` is exempt."""
        return control == self.control and fnmatch.fnmatchcase(urn, self.urn)

    @property
    def stack(self) -> str:
        """The stack the exemption is for; its pattern must name it."""
        return self.urn.split("::")[0].removeprefix("urn:pulumi:")


@dataclass(frozen=True, kw_only=True)
class Register:
    """The exemptions in force, and a sentence for each entry that is not."""

    exemptions: tuple[Exemption, ...] = ()
    problems: tuple[str, ...] = ()

    def find(self, control: str, urn: str) -> Exemption | None:
        """The exemption for a violation."""
        return next((one for one in self.exemptions if one.covers(control, urn)), None)

    def unmatched(self, urns: Sequence[str]) -> Iterable[str]:
        """A sentence for each exemption of this stack that meets no resource of it."""
        stacks = {urn.split("::")[0].removeprefix("urn:pulumi:") for urn in urns}
        for one in self.exemptions:
            if one.stack in stacks and not any(fnmatch.fnmatchcase(urn, one.urn) for urn in urns):
                yield f"the exemption of {one.control} for {one.urn} matches no resource of the stack"


def load(controls: Iterable[str], today: dt.date, path: Path = FILE) -> Register:
    """The register as of ``today``. What is wrong with an entry takes its effect away and is said in a sentence."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return Register(problems=("the register cannot be read",))
    if entries is None:
        return Register()
    if not isinstance(entries, list):
        return Register(problems=("the register is no list",))
    known = frozenset(controls)
    exemptions, problems = [], []
    for index, entry in enumerate(entries):
        problem = _problem(entry, known, today)
        if problem:
            problems.append(f"entry {index + 1} {problem}")
        else:
            exemptions.append(Exemption(**entry))
    return Register(exemptions=tuple(exemptions), problems=tuple(problems))


def _problem(entry: Any, controls: frozenset[str], today: dt.date) -> str:
    """What is wrong with an entry; empty for one that holds."""
    if not isinstance(entry, dict) or set(entry) != set(FIELDS):
        return f"must have exactly the fields {', '.join(FIELDS)}"
    expires = entry["expires"]
    if not isinstance(expires, dt.date) or isinstance(expires, dt.datetime):
        return "must have a date as expires, such as 2030-01-31"
    texts = [entry[key] for key in FIELDS[:-1]]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        return "has an empty field, or one that is no text"
    if entry["control"] not in controls:
        return f"names the control {entry['control']}, which is not in the catalogue"
    if len(entry["reason"].strip()) < SHORTEST_REASON:
        return "gives no reason that could be reviewed"
    return _pattern_problem(entry["urn"]) or _date_problem(entry, expires, today)


def _pattern_problem(pattern: str) -> str:
    parts = pattern.split("::", maxsplit=URN_PARTS - 1)
    wild = ("*", "?", "[")
    if len(parts) != URN_PARTS or not parts[0].startswith("urn:pulumi:"):
        return "must have a pattern of the form urn:pulumi:STACK::PROJECT::TYPE::NAME"
    stack, project, kind, name = parts
    if any(mark in part for part in (stack, project, kind.rsplit("$", maxsplit=1)[-1]) for mark in wild):
        return "must name stack, project and resource type in full"
    return "must say more of the resource's name than *" if not name.strip("*?") else ""


def _date_problem(entry: dict[str, Any], expires: dt.date, today: dt.date) -> str:
    if expires < today:
        return f"({entry['control']} for {entry['urn']}) expired on {expires.isoformat()}"
    return f"expires more than {LONGEST.days} days from now" if expires - today > LONGEST else ""
