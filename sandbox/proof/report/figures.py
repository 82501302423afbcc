"""The figures of a proof: its sums, part by part, and what they say of the documents' threats and of their maturity matrix."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.proof.report.techniques import SUPPLY_CHAIN
from sandbox.proof.results import PARTS, Attack, Attempt, Proof

TITLES: Final = {
    "steps": "A call's life",
    "cells": "Who may call what",
    "attacks": "Attacks",
    "outages": "Outages under load",
    "rotations": "Rotations under load",
}
THREATS: Final = (
    "Man-in-the-Middle",
    "Service Spoofing",
    "Lateral Movement",
    "Credential Theft",
    "Runtime Attacks",
    "Data Exfiltration",
    "Privilege Escalation",
    "Supply Chain Attacks",
    "Denial of Service",
)
"""The documents' landscape, and the one it leaves out."""
THREAT_OF: Final = {
    "wire": "Man-in-the-Middle",
    "identity": "Service Spoofing",
    "path": "Lateral Movement",
    "token": "Credential Theft",
    "secrets": "Credential Theft",
    "runtime": "Runtime Attacks",
    "egress": "Data Exfiltration",
    "admission": "Privilege Escalation",
    "limits": "Denial of Service",
}
"""A family's threat, unless an attack's technique is one of the supply chain."""
STAGES: Final = ("Basic K8s", "+ mTLS", "+ SPIFFE/SPIRE", "+ Istio", "+ Falco/eBPF", "+ what the documents leave out")
STAGE_OF: Final = {
    "kubernetes-authentication": 0,
    "kubernetes-rbac": 0,
    "pod-security": 0,
    "admission-policy": 0,
    "network-policy": 0,
    "mesh-mtls": 1,
    "spire": 2,
    "mesh-authorization": 3,
    "request-authentication": 3,
    "gateway": 3,
    "proxy": 3,
    "rate-limit": 3,
    "egress": 3,
    "opa": 5,
    "gatekeeper": 5,
    "vault": 5,
    "postgres": 5,
    "valkey": 5,
}
"""The stage of the documents' matrix that brings a layer; a layer that is not here is of the last."""
ASPECTS: Final[Mapping[str, tuple[str, ...] | str]] = {
    "Identity Verification": ("identity", "token"),
    "Data Encryption": ("wire",),
    "Access Control": ("path", "secrets", "egress", "limits"),
    "Threat Detection": "no attack measures it: Falco does not run here, its rules are judged in `make test`",
    "Incident Response": ("runtime",),
    "Compliance": "no attack measures it: docs/reference/controls.md",
    "Runtime Protection": ("admission",),
    "Observability": "no attack measures it: the last step of the call's life does",
}
"""The documents' aspects: the families of attacks that are against each, or why there are none."""


@dataclass(frozen=True, kw_only=True)
class Sum:
    """What a part of the proof comes to."""

    part: str
    title: str
    words: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Threat:
    """What was tried for a threat, and the layers that answered."""

    name: str
    attacks: int
    stopped: int
    """By the layer that must."""
    again: int
    """Those that have a second layer."""
    again_stopped: int
    """Of these, those that it stopped with the first one off."""
    same: int
    """Of these, those that another control of the same layer stopped."""
    closed: int
    """Of these, those that it stopped because it lets nothing pass without the first."""
    singles: int
    """Those that have no second layer."""
    through: int
    """Of these, those that were seen to go through with the first one off."""
    unswitchable: int
    """Those made once, since their layer cannot be turned off here."""
    layers: tuple[str, ...]
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Maturity:
    """One aspect: for each stage how many of its attacks a layer of that stage or an earlier one was seen to stop."""

    aspect: str
    attacks: int
    stopped: tuple[int, ...]
    unmeasured: str


def sums(proof: Proof) -> tuple[Sum, ...]:
    """One for each part, in order; a part that was not asked for has none."""
    told = {"steps": _steps, "cells": _cells, "attacks": _attacks, "outages": _outages, "rotations": _rotations}
    found = []
    for part in proof.asked:
        results = getattr(proof, part)
        if part in proof.failed:
            words, holds = f"not made to its end: {proof.failed[part]}", False
        elif not results:
            words, holds = "nothing was found", False
        else:
            words, holds = told[part](proof), all(one.holds for one in results)
        found.append(Sum(part=part, title=TITLES[part], words=words, holds=holds))
    return tuple(found)


def summary(proof: Proof) -> str:
    """The proof in one line."""
    parts = "; ".join(f"{one.title}: {one.words}" for one in sums(proof))
    some = "" if proof.asked == PARTS else f" ({len(proof.asked)} of {plural(len(PARTS), 'part')})"
    return f"{'holds' if proof.holds else 'DOES NOT HOLD'}{some} after {proof.seconds:.0f} s. {parts}"


def plural(count: int, noun: str) -> str:
    """`1 attack`, `2 attacks`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def again(attack: Attack) -> Iterator[Attempt]:
    """The attempts with a layer off."""
    return (one for one in attack.attempts if one.without)


def threat_of(attack: Attack) -> str:
    """The threat of the documents' landscape that an attack is of; its family's name if none."""
    if SUPPLY_CHAIN.intersection(attack.techniques):
        return "Supply Chain Attacks"
    return THREAT_OF.get(attack.family, attack.family)


def threats(proof: Proof) -> tuple[Threat, ...]:
    """Every threat that was tried or that the documents name, in their order."""
    known = dict.fromkeys([*THREATS, *sorted(threat_of(one) for one in proof.attacks)])
    return tuple(_threat(name, [one for one in proof.attacks if threat_of(one) == name]) for name in known)


def _threat(name: str, attacks: list[Attack]) -> Threat:
    singles = [one for one in attacks if one.single]
    repeated = [one for one in attacks if not one.single and not one.unswitchable]
    behind = [one for one in repeated if one.is_stopped_again]
    return Threat(
        name=name,
        attacks=len(attacks),
        stopped=sum(one.is_stopped for one in attacks),
        again=len(repeated),
        again_stopped=len(behind),
        same=sum(any(made.by == one.expected for made in again(one)) for one in behind),
        closed=sum(bool(one.closed) for one in behind),
        singles=len(singles),
        through=sum(one.is_through for one in singles),
        unswitchable=sum(bool(one.unswitchable) for one in attacks),
        layers=tuple(sorted({made.by for one in attacks for made in one.attempts if made.by})),
        holds=all(one.holds for one in attacks),
    )


def maturity(proof: Proof) -> tuple[Maturity, ...]:
    """The documents' matrix. A lower bound: a layer that nobody switched off hides those behind it."""
    return tuple(_maturity(aspect, families, proof) for aspect, families in ASPECTS.items())


def _maturity(aspect: str, families: tuple[str, ...] | str, proof: Proof) -> Maturity:
    if isinstance(families, str):
        return Maturity(aspect=aspect, attacks=0, stopped=(), unmeasured=families)
    attacks = [one for one in proof.attacks if one.family in families]
    if not attacks:
        return Maturity(aspect=aspect, attacks=0, stopped=(), unmeasured="none of its attacks was made")
    earliest = [min((_stage(made.by) for made in one.attempts if made.stopped), default=len(STAGES)) for one in attacks]
    stopped = tuple(sum(first <= stage for first in earliest) for stage in range(len(STAGES)))
    return Maturity(aspect=aspect, attacks=len(attacks), stopped=stopped, unmeasured="")


def _stage(layer: str) -> int:
    return STAGE_OF.get(layer, len(STAGES) - 1)


def _steps(proof: Proof) -> str:
    return f"{sum(one.holds for one in proof.steps)} of {plural(len(proof.steps), 'step')} seen"


def _cells(proof: Proof) -> str:
    declared = [one for one in proof.cells if one.edge]
    answered = sum(one.allowed for one in declared)
    others = len(proof.cells) - len(declared)
    refused = sum(not one.allowed for one in proof.cells if not one.edge)
    differences = sum(not one.holds for one in proof.cells)
    return (
        f"{plural(len(proof.cells), 'request')}: {answered:,} of {len(declared):,} declared answered, "
        f"{refused:,} of {others:,} undeclared refused, {plural(differences, 'difference')}"
    )


def _attacks(proof: Proof) -> str:
    total = _threat("", list(proof.attacks))
    others = total.again_stopped - total.same - total.closed
    return (
        f"{total.stopped} of {total.attacks} stopped by the layer that must; without it {total.again_stopped} of {total.again} "
        f"stopped again ({others} by the next layer, {total.same} by another control of the same, {total.closed} since the next "
        f"lets nothing pass then), {total.through} of {total.singles} with no second layer seen to go through; "
        f"{total.unswitchable} made once, since their layer cannot be turned off"
    )


def _outages(proof: Proof) -> str:
    kept = [one for one in proof.outages if one.promise == "kept"]
    recovered = max((one.recovered for one in proof.outages if one.recovered is not None), default=0.0)
    return (
        f"{plural(len(proof.outages), 'outage')}: {sum(one.answered for one in proof.outages)} of "
        f"{sum(one.forbidden for one in proof.outages):,} unauthorised requests answered, {sum(one.lost for one in kept)} of "
        f"{sum(one.allowed for one in kept):,} authorised lost where none may be, slowest recovery {recovered:.1f} s"
    )


def _rotations(proof: Proof) -> str:
    return (
        f"{plural(len(proof.rotations), 'rotation')}: {sum(one.failed for one in proof.rotations)} of "
        f"{sum(one.requests for one in proof.rotations):,} requests failed"
    )
