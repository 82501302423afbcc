"""The tables of a proof, as data: the page and the terminal show the same ones."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sandbox.proof.report import figures
from sandbox.proof.report.techniques import named
from sandbox.proof.results import Attack, Attempt, Cell, Evidence, Proof

Names = Mapping[str, str]
"""Layer → what it is called."""
WAYS: Final = {"sidecar": "", "direct": "around its sidecar", "east-west": "by the east-west gateway, around its sidecar"}
"""How a request went, where it did not go as applications send it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line; the first cell says what it is about. `holds` is None where there is nothing to hold."""

    cells: tuple[str, ...]
    holds: bool | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a stable key, a title, and a sentence on how to read it."""

    key: str
    title: str
    explained: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    unfolded: bool = False
    """Whether its evidence is what it is about, and is shown at once."""
    wide: frozenset[int] = frozenset()
    """Columns that only a page has room for."""

    @property
    def judges(self) -> bool:
        """Whether its lines hold or do not."""
        return any(row.holds is not None for row in self.rows)


def tables(proof: Proof, names: Names) -> dict[str, tuple[Table, ...]]:
    """The tables of every part that found something, in order."""
    made = {
        "steps": (steps(proof),),
        "cells": (requests(proof, names), *differences(proof, names)),
        "attacks": (attacks(proof, names), threats(proof, names), maturity(proof)),
        "outages": (outages(proof),),
        "rotations": (rotations(proof),),
    }
    return {part: found for part, found in made.items() if getattr(proof, part)}


def steps(proof: Proof) -> Table:
    """The seven steps."""
    rows = tuple(
        Row(
            cells=(f"{one.number}. {one.title}", "\n".join(dict.fromkeys(said.source for said in one.evidence))),
            holds=one.holds,
            evidence=one.evidence,
        )
        for one in proof.steps
    )
    explained = (
        "bank-a/api-ms calls bank-b/trans-ms /transfer. Each step holds only by what the programs themselves said of this call."
    )
    return Table(key="steps", title="Steps of one call", explained=explained, head=("Step", "Said by"), rows=rows, unfolded=True)


def requests(proof: Proof, names: Names) -> Table:
    """Sums of the matrix, by region."""
    regions = sorted({one.region for one in proof.cells})
    return Table(
        key="requests",
        title="Requests between all pairs of workloads",
        explained="Expected from the access graph alone, seen by a real call from the caller's pod.",
        head=("Region of the caller", "Requests", "Declared", "Answered", "Refused, and by whom", "Differences"),
        rows=tuple(_requests(region, [one for one in proof.cells if one.region == region], names) for region in regions),
    )


def _requests(region: str, cells: list[Cell], names: Names) -> Row:
    refusing = Counter(names.get(one.stopped_by, one.stopped_by) or "nobody" for one in cells if not one.allowed)
    wrong = sum(not one.holds for one in cells)
    told = "\n".join(f"{count:,} {who}" for who, count in sorted(refusing.items(), key=lambda one: (-one[1], one[0])))
    sizes = (len(cells), sum(bool(one.edge) for one in cells), sum(one.allowed for one in cells))
    return Row(cells=(region, *(f"{size:,}" for size in sizes), told, f"{wrong:,}"), holds=not wrong)


def differences(proof: Proof, names: Names) -> tuple[Table, ...]:
    """What was answered and is not declared, or the other way round; no table when there is nothing."""
    wrong = [one for one in proof.cells if not one.holds]
    rows = tuple(Row(cells=request(one, names), holds=False) for one in wrong)
    head = ("Caller", "Callee", "Request", "Declared by", "Seen")
    explained = "Each is a defect of the platform, or of what the settings say."
    return (Table(key="differences", title="Differences", explained=explained, head=head, rows=rows),) if rows else ()


def request(cell: Cell, names: Names) -> tuple[str, ...]:
    """Caller, callee, request, what declares it, what came of it."""
    refused = names.get(cell.stopped_by, cell.stopped_by) or "nobody who says so"
    seen = f"{cell.status} answered" if cell.allowed else f"{cell.status or 'no answer'}: {refused}"
    if not cell.edge and not cell.holds:
        seen += f", not {names.get(cell.expected, cell.expected)}"
    how = ", ".join(part for part in (WAYS.get(cell.way, cell.way), cell.lacking and f"without {cell.lacking}") if part)
    sent = f"{cell.method} {cell.path}" + (f" ({how})" if how else "")
    return (f"{cell.caller} in {cell.region}", callee(cell), sent, cell.edge or "nothing", seen)


def callee(cell: Cell) -> str:
    """The callee, with its region where that is not the caller's."""
    return f"{cell.callee} in {cell.callee_region}" if cell.callee_region not in {"", cell.region} else cell.callee


def attacks(proof: Proof, names: Names) -> Table:
    """Every attack: of which technique, who must stop it, who did, and who did without that layer."""
    order = {name: index for index, name in enumerate(figures.THREATS)}
    found = sorted(proof.attacks, key=lambda one: order.get(figures.threat_of(one), len(order)))
    return Table(
        key="attacks",
        title="Attacks by threat and technique",
        explained="Made with every layer on, then again with the layer off that had stopped it: another must, or none is named.",
        head=("Attack", "Threat", "MITRE ATT&CK", "Must stop it", "Did", "Without that layer"),
        rows=tuple(_attack(one, names) for one in found),
        wide=frozenset({1}),
    )


def _attack(attack: Attack, names: Names) -> Row:
    first, *_ = attack.attempts
    after = [f"{_who(one, names)} (without {called(one.without, names)})" for one in figures.again(attack)]
    for what, why in (
        ("no second layer", attack.single),
        ("fails closed", attack.closed),
        ("cannot be turned off", attack.unswitchable),
    ):
        if why:
            after.append(f"{what}: {why}")
    case = f" ({attack.case})" if attack.case else ""
    return Row(
        cells=(
            f"{attack.title}{case}",
            figures.threat_of(attack),
            "\n".join(named(one) for one in attack.techniques),
            names.get(attack.expected, attack.expected),
            _who(first, names),
            "\n".join(after) or "not made",
        ),
        holds=attack.holds,
        evidence=tuple(_when(one, names) for one in attack.attempts),
    )


def _when(attempt: Attempt, names: Names) -> Evidence:
    when = f"without {called(attempt.without, names)}" if attempt.without else "with every layer on"
    return replace(attempt.evidence, source=f"{when}: {attempt.evidence.source}")


def called(layer: str, names: Names) -> str:
    """A layer by its name; a part of one is told behind it, in brackets."""
    whole, space, part = layer.partition(" ")
    return names.get(whole, whole) + space + part


def _who(attempt: Attempt, names: Names) -> str:
    if attempt.failed:
        return "FAILED, and nobody says that he refused"
    return names.get(attempt.by, attempt.by) if attempt.stopped else "nobody, it went through"


def threats(proof: Proof, names: Names) -> Table:
    """The documents' threat landscape."""
    rows = []
    for one in figures.threats(proof):
        layers = ", ".join(names.get(layer, layer) for layer in one.layers)
        if one.attacks:
            again = f"{one.again_stopped} of {one.again}" if one.again else "none has a second layer"
            through = f"{one.through} of {one.singles}" if one.singles else "every one has"
            cells = (one.name, f"{one.stopped} of {one.attacks}", again, through, str(one.unswitchable), layers)
            rows.append(Row(cells=cells, holds=one.holds))
        else:
            rows.append(Row(cells=(one.name, "none made", "", "", "", "")))
    return Table(
        key="threats",
        title="Threats",
        explained="The documents' threat landscape, with what answered here. What has no second layer must go through.",
        head=(
            "Threat",
            "Stopped by the layer that must",
            "Stopped again without it",
            "No second layer, and went through",
            "Made once",
            "Layers that answered",
        ),
        rows=tuple(rows),
    )


def maturity(proof: Proof) -> Table:
    """The documents' maturity matrix, from what was seen."""
    rows = []
    for one in figures.maturity(proof):
        cells = tuple(f"{100 * count // one.attacks} %\n{count} of {one.attacks}" for count in one.stopped)
        rows.append(Row(cells=(one.aspect, *(cells or ("",) * len(figures.STAGES)), one.unmeasured)))
    return Table(
        key="maturity",
        title="Security maturity",
        explained=(
            "The documents' matrix. Share of an aspect's attacks that a layer of this stage or an earlier one was seen to stop: "
            "a lower bound, since the layer that answers first hides those behind it until it is switched off."
        ),
        head=("Aspect", *figures.STAGES, "Not measured"),
        rows=tuple(rows),
    )


def outages(proof: Proof) -> Table:
    """What became of requests while a component was away."""
    return Table(
        key="outages",
        title="Outages",
        explained="Under load. No unauthorised request may be answered, whatever is away.",
        head=(
            "Component",
            "Promised for authorised requests",
            "Authorised lost",
            "Unauthorised answered",
            "Recovered after",
        ),
        rows=tuple(
            Row(
                cells=(
                    f"{one.component}, {one.how}",
                    f"{one.promise} ({one.source})",
                    f"{one.lost:,} of {one.allowed:,}",
                    f"{one.answered:,} of {one.forbidden:,}",
                    "nothing was lost" if one.recovered is None else f"{one.recovered:.1f} s",
                ),
                holds=one.holds,
                evidence=one.evidence,
            )
            for one in proof.outages
        ),
    )


def rotations(proof: Proof) -> Table:
    """What became of requests while a credential or an authority was replaced."""
    return Table(
        key="rotations",
        title="Rotations",
        explained="Under load, without a pause.",
        head=("Replaced", "Watched for", "Different ones in use", "Requests failed"),
        rows=tuple(
            Row(
                cells=(one.subject, f"{one.seconds:.0f} s", str(one.changes), f"{one.failed:,} of {one.requests:,}"),
                holds=one.holds,
                evidence=one.evidence,
            )
            for one in proof.rotations
        ),
    )


def left_out(proof: Proof) -> Table:
    """What the proof says nothing of, and why."""
    rows = [Row(cells=(figures.TITLES[part], why), holds=False) for part, why in proof.failed.items()]
    rows += [
        Row(cells=(title, "the command did not ask for it"), holds=None)
        for part, title in figures.TITLES.items()
        if part not in proof.asked
    ]
    reasons: dict[tuple[str, str], list[str]] = {}
    for region, releases in sorted(proof.not_running.items()):
        for name, why in sorted(releases.items()):
            reasons.setdefault((name, why), []).append(region)
    rows += [Row(cells=(f"{name} in {', '.join(regions)}", why)) for (name, why), regions in sorted(reasons.items())]
    return Table(
        key="left-out",
        title="What did not run",
        explained="Declared by the program, and not part of what was seen here.",
        head=("What", "Why"),
        rows=tuple(rows),
    )
