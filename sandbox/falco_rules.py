"""Falco's rule files, checked against recorded facts and tried on events without Falco.

`load` reads files in their order and says everything that is wrong: keys, priorities, engine version, fields and whether their
kind fits the operator, macros and lists that are not there or run in circles, tags and techniques, outputs. `fired` says which
rules a given event fires. Both are our reading of the published grammar (see falco_conditions), not Falco's own word.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from sandbox.falco_conditions import (
    OPERATORS,
    Check,
    Condition,
    ConditionError,
    Event,
    Macro,
    holds,
    parse,
    parts_of,
)

OUTPUT_FIELD: Final = re.compile(r"%([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+)(\[[^\]\s]+\])?")
TECHNIQUE: Final = re.compile(r"T\d{4}(\.\d{3})?")
TACTIC: Final = re.compile(r"mitre_([a-z_]+)")
NEEDED: Final = ("desc", "condition", "output", "priority", "tags")


class RuleError(ValueError):
    """Rule files that Falco would refuse, or that break the platform's own rules; one sentence for each thing."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule as it is decided."""

    name: str
    condition: Condition
    priority: str
    tags: tuple[str, ...]
    output: str


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """Every rule of the files, and the macros they stand on."""

    rules: Mapping[str, Rule]
    macros: Mapping[str, Condition]
    lists: Mapping[str, tuple[str, ...]]

    def fired(self, event: Event) -> frozenset[str]:
        """Names of the rules that the event fires, every one (Falco's `rule_matching: all`)."""
        return frozenset(name for name, rule in self.rules.items() if holds(rule.condition, event, self.macros))


class _Facts:
    """The recorded facts, by the shapes that the checks ask for."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.kinds = {name.removesuffix("[]"): kind for kind, names in facts["fields"].items() for name in names}
        self.takes_argument = {name[:-2] for names in facts["fields"].values() for name in names if name.endswith("[]")}
        self.keys, self.priorities = set(facts["entry_keys"]), set(facts["priorities"])
        self.events, self.parameters = set(facts["events"]), facts["parameters"]
        self.tactics, self.techniques = set(facts["tactics"]), facts["techniques"]
        self.engine = tuple(map(int, facts["engine"].split(".")))
        self.stock = {kind: set(names) for kind, names in facts["stock"].items()}

    def kind(self, field: str) -> str | None:
        """The kind of a field, with or without an argument; None for one that is not there."""
        name, bracket, _ = field.partition("[")
        if name.startswith("evt.arg."):
            name, bracket = "evt.arg", "["
        if bracket and name not in self.takes_argument:
            return None
        return self.kinds.get(name)


def load(files: Mapping[str, str], facts: Mapping[str, Any]) -> RuleSet:
    """The rules of the files, read in the order given.

    Args:
        files: Name → YAML, as Falco is given them.
        facts: tests/data/falco/facts.yaml: fields by kind, events, priorities, techniques, names of the stock rules.

    Raises:
        RuleError: with everything that is wrong.
    """
    known, problems = _Facts(facts), list[str]()
    tables = _Tables()
    for file, text in files.items():
        for entry in yaml.safe_load(text):
            try:
                problems.extend(f"{file}: {said}" for said in _entry(entry, known, tables))
            except ConditionError as error:
                problems.append(f"{file}: {error}")
    for name, rule in tables.rules.items():
        problems.extend(f"{name}: {said}" for said in _judged(rule, known, tables.macros))
    if problems:
        raise RuleError(problems)
    return RuleSet(rules=tables.rules, macros=tables.macros, lists=tables.lists)


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """What has been read so far."""

    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    macros: dict[str, Condition] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)

    def has(self, kind: str, name: str) -> bool:
        return name in (self.rules if kind == "rule" else self.macros if kind == "macro" else self.lists)


def _entry(entry: Mapping[str, Any], known: _Facts, tables: _Tables) -> Iterator[str]:
    """Reads one entry into the tables. What stands later may use what stands earlier, never the other way, as in Falco."""
    for key in sorted(set(entry) - known.keys):
        yield f"{key} is no key of a rule file"
    version = entry.get("required_engine_version")
    if version is not None and tuple(map(int, str(version).split("."))) > known.engine:
        yield f"engine {version} is newer than the one installed"
    kind = next((kind for kind in ("rule", "macro", "list") if kind in entry), None)
    if kind is None:
        return
    name = str(entry[kind])
    if tables.has(kind, name):
        yield f"{kind} {name} stands twice; Falco would take the last"
    if name in known.stock[kind]:
        yield f"{kind} {name} has the name of a stock one, and would replace it"
    if kind == "list":
        items = [str(item) for item in entry["items"]]
        tables.lists[name] = tuple(one for item in items for one in tables.lists.get(item, (item,)))
    elif missing := [key for key in (NEEDED if kind == "rule" else ("condition",)) if key not in entry]:
        yield f"{kind} {name} lacks {', '.join(missing)}"
    else:
        yield from (f"{name}: {said}" for said in _conditional(kind, name, entry, known, tables))


def _conditional(kind: str, name: str, entry: Mapping[str, Any], known: _Facts, tables: _Tables) -> Iterator[str]:
    condition = parse(str(entry["condition"]), tables.lists)
    for part in parts_of(condition):
        if isinstance(part, Macro) and part.name not in tables.macros:
            yield f"there is no macro {part.name} before it"
        elif isinstance(part, Check):
            yield from _check(part, known)
    if kind == "macro":
        tables.macros[name] = condition
        return
    tables.rules[name] = Rule(
        name=name,
        condition=condition,
        priority=str(entry["priority"]),
        tags=tuple(map(str, entry["tags"])),
        output=str(entry["output"]),
    )


def _check(check: Check, known: _Facts) -> Iterator[str]:
    kind = known.kind(check.field)
    if kind is None:
        yield f"there is no field {check.field}"
        return
    if check.operator not in OPERATORS[kind]:
        yield f"{check.field} is {kind} and is not compared by {check.operator}"
    for value in check.values:
        if value.startswith("zt_"):
            yield f"there is no list {value} before it"
        if kind == "number" and not re.fullmatch(r"-?\d+", value):
            yield f"{check.field} is a number and {value!r} is none"
        if kind == "bool" and value not in {"true", "false"}:
            yield f"{check.field} is true or false, not {value!r}"
        if check.field == "evt.type" and value not in known.events:
            yield f"there is no event {value}"


def opened(condition: Condition, macros: Mapping[str, Condition]) -> Iterator[Check]:
    """Every comparison of a condition, those of its macros too."""
    for part in parts_of(condition):
        if isinstance(part, Check):
            yield part
        elif isinstance(part, Macro) and part.name in macros:
            yield from opened(macros[part.name], macros)


def _judged(rule: Rule, known: _Facts, macros: Mapping[str, Condition]) -> Iterator[str]:
    """What a rule must have as a whole: events, a priority, a tactic with a technique of it, fields that its output can fill."""
    checks = list(opened(rule.condition, macros))
    events = {value for check in checks if check.field == "evt.type" for value in check.values}
    if not events:
        yield "names no event type, and would be asked about every system call"
    for check in checks:
        parameter = check.field.removeprefix("evt.arg.")
        if parameter != check.field and not any(parameter in known.parameters.get(event, ()) for event in events):
            yield f"none of its events has a parameter {parameter}"
    if rule.priority not in known.priorities:
        yield f"{rule.priority} is no priority"
    for name, argument in OUTPUT_FIELD.findall(rule.output):
        if known.kind(f"{name}{argument}") is None:
            yield f"its output names {name}{argument}, which is no field"
    tactics = {found.group(1) for tag in rule.tags if (found := TACTIC.fullmatch(tag))}
    techniques = {tag for tag in rule.tags if TECHNIQUE.fullmatch(tag)}
    for unknown in sorted((tactics - known.tactics) | (techniques - set(known.techniques))):
        yield f"{unknown} is not in ATT&CK as recorded"
    fitting = {tactic for technique in techniques for tactic in known.techniques.get(technique, {"tactics": ()})["tactics"]}
    if not tactics or not techniques or not tactics <= fitting:
        yield "needs a tactic, and a technique of each of its tactics"
