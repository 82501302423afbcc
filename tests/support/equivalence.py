"""One access graph, every layer: what the settings allow, every layer that can see it allows, and what they refuse two refuse.

    report = check(tree)
    assert not report.disagreements

`python -m tests.support.equivalence --stack dev` prints the table. Not proven here: the path from an engine's verdict to a
packet in a kernel, and anything a cluster does on its own (injection, SPIRE's attestation, istiod's distribution).
"""

import argparse
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from components.settings import CONFIG_KEY
from sandbox.cilium_verdicts import VerdictError as NetworkError
from sandbox.istio_pki import RefusedError
from tests.support import oracle
from tests.support.equivalence_engines import Answers, Engines
from tests.support.equivalence_questions import SINGLES, Answer, Atom, Question, atoms, questions, sights
from tests.support.equivalence_world import World, worlds

TECHNOLOGY: Final = {
    "istio-inbound": "istio",
    "istio-outbound": "istio",
    "ingress-gateway": "istio",
    "egress-gateway": "istio",
    "eastwest-gateway": "istio",
    "spire": "spire",
    "opa": "opa",
    "cilium": "cilium",
    "networkpolicy": "networkpolicy",
}
"""What counts as another layer; `both` is a sum of two that are counted already."""
MOST_SAID: Final = 20
IMPOSTOR: Final = r"explicit-deny CiliumNetworkPolicy/[^,;]*/impostor-[^,;]*.*"
DENIED: Final = {
    "cilium": rf"name|default-deny cluster(; default-deny cluster)?|{IMPOSTOR}",
    "networkpolicy": r"default-deny namespace(; default-deny namespace)?",
    "both": rf"name|default-deny cluster namespace(; default-deny cluster namespace)?|{IMPOSTOR}",
    "istio-inbound": r"403 .*rbac_access_denied_matched_policy\[none\].*",
    "ingress-gateway": r"403 .*rbac_access_denied_matched_policy\[none\].*|404 route_not_found",
    "istio-outbound": "absent",
    "egress-gateway": "absent",
    "eastwest-gateway": "absent",
    "spire": "no bundle|no identity",
}
"""The only reasons a layer may have to refuse, as a pattern; OPA's stand in the question."""


@dataclass(frozen=True)
class Disagreement:
    """A layer that says something else than the settings, or for another reason."""

    layer: str
    question: str
    wanted: str
    found: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.layer}: {self.question}: {self.found}, expected {self.wanted}"


@dataclass(frozen=True)
class Report:
    """What was asked and what does not agree."""

    asked: Counter[str]
    """Questions by kind."""
    verdicts: Counter[tuple[str, bool]]
    """Answers by layer and whether it allows."""
    disagreements: tuple[Disagreement, ...]
    seconds: dict[str, float]

    @property
    def layers(self) -> frozenset[str]:
        """The layers that disagree."""
        return frozenset(each.layer for each in self.disagreements)


def check(
    tree: dict[str, Any],
    changed: dict[str, World] | None = None,
    engines: Engines | None = None,
    *,
    region: str | None = None,
    without: frozenset[str] = frozenset(),
) -> Report:
    """Asks every layer every question about a tree of settings.

    Args:
        tree: settings as plain data.
        changed: the compiled objects, where they are not what the settings compile to.
        engines: keeps certificates and answers from one check to the next.
        region: only what ends in this region; None is every region.
        without: layers that are not asked; refusals are counted only when all are.
    """
    engines = engines or Engines()
    begun = dict(engines.seconds)
    asked = questions(tree, region)
    seen = {each: {name: atoms(each, name, what) for name, what in sights(each).items() if name not in without} for each in asked}
    every = {atom for layers in seen.values() for several in layers.values() for atom in several}
    allowed = {a for q, layers in seen.items() if q.allowed for several in layers.values() for a in several}
    allowed |= {each for each in every if each.what == "federates" and oracle.federates(tree, *each.values)}
    answers, found = _answered(engines, changed if changed is not None else worlds(tree), every)
    for atom, answer in answers.items():
        if answer.allowed != (atom in allowed):
            found.append(
                Disagreement(
                    atom.layer, f"{atom.what} {atom.values}", _said(atom in allowed), f"{_said(answer.allowed)} {answer.why}"
                )
            )
    for question, layers in seen.items():
        found.extend(_reasons(tree, question, layers, answers))
        if not without:
            found.extend(_count(question, layers, answers))
    return Report(
        asked=Counter(each.kind for each in asked),
        verdicts=Counter((atom.layer, answer.allowed) for atom, answer in answers.items()),
        disagreements=tuple(dict.fromkeys(found)),
        seconds={name: spent - begun.get(name, 0.0) for name, spent in engines.seconds.items()},
    )


def _answered(engines: Engines, made: dict[str, World], every: set[Atom]) -> tuple[Answers, list[Disagreement]]:
    """The answers; an engine that refuses its objects answers nothing, and that is a disagreement of its own."""
    try:
        return engines.answers(made, every), []
    except RefusedError as refused:
        return {}, [Disagreement("istio", "objects", "accepted", str(refused))]
    except NetworkError as refused:
        return {}, [Disagreement("cilium", "objects", "accepted", str(refused))]


def _refusing(layers: dict[str, list[Atom]], answers: Answers) -> dict[str, list[Answer]]:
    refusing = {
        layer: [answers[a] for a in several if a in answers and not answers[a].allowed] for layer, several in layers.items()
    }
    return {layer: several for layer, several in refusing.items() if several}


def _count(question: Question, layers: dict[str, list[Atom]], answers: Answers) -> list[Disagreement]:
    """Too few refusals, or for what one layer alone decides another's as well."""
    if not answers or question.allowed:
        return []
    refusing = _refusing(layers, answers)
    if question.kind.startswith("context"):
        alone = {SINGLES[question.reason]}
        return [] if set(refusing) == alone else [Disagreement("count", str(question), f"{alone} alone", str(sorted(refusing)))]
    technologies = {TECHNOLOGY[layer] for layer in refusing if layer in TECHNOLOGY}
    return [] if len(technologies) > 1 else [Disagreement("count", str(question), "two layers", str(sorted(refusing)))]


def _reasons(tree: dict[str, Any], question: Question, layers: dict[str, list[Atom]], answers: Answers) -> list[Disagreement]:
    """Refusals for another reason than the expected one."""
    if question.allowed:
        return []
    return [
        Disagreement(layer, str(question), f"because of {wanted}", f"refused {each.why}")
        for layer, several in _refusing(layers, answers).items()
        if (wanted := _reason(tree, question, layer))
        for each in several
        if not re.fullmatch(wanted, each.why)
    ]


def _reason(tree: dict[str, Any], question: Question, layer: str) -> str:
    if layer == "opa":
        return re.escape(question.reason)
    if layer == "istio-inbound":
        if question.kind in {"impostor", "stranger"}:
            return "tls"
        if question.kind == "crossing" and not oracle.federates(tree, question.target, question.region, question.origin):
            return "tls"
    return DENIED[layer]


def _said(allowed: bool) -> str:  # noqa: FBT001 - the answer itself
    return "allowed" if allowed else "refused"


def table(report: Report) -> str:
    """The report for people."""
    lines = ["| layer | asked | allowed | refused | disagreements |", "| --- | ---: | ---: | ---: | ---: |"]
    wrong = Counter(each.layer for each in report.disagreements)
    for layer in [*TECHNOLOGY, "both"]:
        yes, no = report.verdicts[layer, True], report.verdicts[layer, False]
        lines.append(f"| {layer} | {yes + no} | {yes} | {no} | {wrong[layer]} |")
    lines.append("")
    lines += [f"- {count} questions of kind {kind}" for kind, count in sorted(report.asked.items())]
    lines += [f"- {seconds:.1f} s in {engine}" for engine, seconds in sorted(report.seconds.items())]
    return "\n".join(lines)


def tree_of(file: Path) -> dict[str, Any]:
    """The settings of a stack's file."""
    tree: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["config"][CONFIG_KEY]
    return tree


def main(arguments: list[str]) -> int:
    """Print the table of a stack; 1 when a layer disagrees."""
    parser = argparse.ArgumentParser(prog="tests.support.equivalence", description="Every layer asked every question.")
    parser.add_argument("--stack", default="dev", help="dev, prod, or a stack's file")
    named = str(parser.parse_args(arguments).stack)
    file = Path(named) if named.endswith(".yaml") else Path(__file__).parents[2] / f"Pulumi.{named}.yaml"
    begun = time.monotonic()
    report = check(tree_of(file))
    said = [
        table(report),
        f"- {time.monotonic() - begun:.1f} s in all",
        *(str(each) for each in report.disagreements[:MOST_SAID]),
    ]
    sys.stdout.write("\n".join(said) + "\n")
    return 1 if report.disagreements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


__all__ = ["Answer", "Disagreement", "Engines", "Report", "check", "table", "tree_of"]
