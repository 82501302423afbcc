"""An exemption holds for what it names until it expires; anything wrong with one is a violation of its own."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy import catalogue, exemptions
from policy.engine import EXEMPT, Engine, Outcome, Verdict
from policy.model import Resource

TODAY = dt.date(2030, 1, 1)
CONTROLS = catalogue.load()
KNOWN = [control.id for control in CONTROLS]
URN = "urn:pulumi:prod::zerotrust::zerotrust:identity:Access$aws:iam/user:User::break-glass-1"
ENTRY: dict[str, Any] = {
    "control": "IAM-04",
    "urn": "urn:pulumi:prod::zerotrust::*$aws:iam/user:User::break-glass-*",
    "approver": "head of platform security",
    "reason": "the identity provider may itself be down",
    "expires": TODAY + dt.timedelta(days=90),
}


def register(tmp_path: Path, *entries: Any, text: str | None = None) -> exemptions.Register:
    file = tmp_path / "exemptions.yaml"
    file.write_text(yaml.safe_dump(list(entries)) if text is None else text)
    return exemptions.load(KNOWN, TODAY, file)


def judged(held: exemptions.Register, urn: str = URN) -> list[Outcome]:
    engine = Engine(CONTROLS, held)
    user = Resource(type="aws:iam/user:User", urn=urn, name="u", props={})
    own = [control for control in CONTROLS if control.id in ("IAM-04", "GEN-05")]
    return [
        *engine.judge_resource(user, own, lambda _: {}),
        *engine.judge_stack([user], own, lambda _: {}),
    ]


def test_the_register_is_empty_and_in_order() -> None:
    assert exemptions.load(KNOWN, TODAY) == exemptions.Register()


def test_an_exemption_turns_a_violation_into_a_line_that_says_who_and_until_when(tmp_path: Path) -> None:
    (line,) = judged(register(tmp_path, ENTRY))
    assert line.verdict is Verdict.EXEMPT
    assert line.message.startswith(f"{EXEMPT} IAM-04: break-glass-1: ")
    assert "until 2030-04-01, by head of platform security" in line.message


def test_an_exemption_covers_nothing_else(tmp_path: Path) -> None:
    held = register(tmp_path, ENTRY)
    other = URN.replace("break-glass-1", "operator")
    assert [line.verdict for line in judged(held, other)] == [Verdict.VIOLATION, Verdict.VIOLATION]
    wrong_control = register(tmp_path, {**ENTRY, "control": "IAM-01"})
    assert [line.verdict for line in judged(wrong_control)] == [Verdict.VIOLATION]


def test_an_exemption_that_matches_nothing_is_a_violation_in_its_own_stack_only(tmp_path: Path) -> None:
    held = register(tmp_path, ENTRY)
    elsewhere = URN.replace("break-glass-1", "operator")
    assert "matches no resource" in judged(held, elsewhere)[-1].message
    other_stack = elsewhere.replace("urn:pulumi:prod", "urn:pulumi:dev")
    assert [line.control.id for line in judged(held, other_stack)] == ["IAM-04"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"expires": TODAY - dt.timedelta(days=1)}, "expired on 2029-12-31"),
        ({"expires": TODAY + dt.timedelta(days=91)}, "more than 90 days"),
        ({"expires": "soon"}, "a date"),
        ({"expires": dt.datetime(2030, 1, 2, tzinfo=dt.UTC)}, "a date"),
        ({"expires": None}, "a date"),
        ({"control": "IAM-99"}, "not in the catalogue"),
        ({"approver": " "}, "empty field"),
        ({"reason": 3}, "no text"),
        ({"reason": "because"}, "reviewed"),
        ({"urn": "*"}, "of the form"),
        ({"urn": "urn:pulumi:*::zerotrust::aws:iam/user:User::break-glass-1"}, "in full"),
        ({"urn": "urn:pulumi:prod::zerotrust::aws:iam/*::break-glass-1"}, "in full"),
        ({"urn": "urn:pulumi:prod::zerotrust::aws:iam/user:User::*"}, "more of the resource's name"),
        ({"ticket": "1"}, "exactly the fields"),
    ],
    ids=str,
)
def test_an_entry_that_does_not_hold_has_no_effect_and_is_a_violation(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    held = register(tmp_path, {**ENTRY, **change})
    assert held.exemptions == ()
    lines = judged(held)
    assert [(line.control.id, line.verdict) for line in lines] == [
        ("IAM-04", Verdict.VIOLATION),
        ("GEN-05", Verdict.VIOLATION),
    ]
    assert says in lines[1].message


@pytest.mark.parametrize("text", ["a: 1", "- 3", "[", "- {control: IAM-04}", "\x00"])
def test_a_register_that_cannot_be_read_is_a_violation(tmp_path: Path, text: str) -> None:
    assert any(line.control.id == "GEN-05" for line in judged(register(tmp_path, text=text)))


def test_a_register_that_is_gone_is_a_violation(tmp_path: Path) -> None:
    held = exemptions.load(KNOWN, TODAY, tmp_path / "none.yaml")
    assert held.problems == ("the register cannot be read",)
