"""What a proof's report says follows from its results alone: sums, matrices, page, README. By hand-made results, no sandbox."""

import dataclasses
import io
import json
import re

import pytest
from rich.console import Console

from sandbox.proof.attacks.registry import FAMILIES
from sandbox.proof.report import figures, readme, tables, terminal
from sandbox.proof.report.page import page
from sandbox.proof.report.techniques import named
from sandbox.proof.results import PARTS, Proof, Step
from tests.support.proofs import HOSTILE, NAMES, attack, attempt, cell, proof


def test_a_proof_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "new" / "proof.json"
    proof().write(file)
    assert Proof.read(file) == proof()
    written = json.loads(file.read_text())
    assert written["holds"] is True
    assert {one["holds"] for part in PARTS for one in written[part]} == {True}


WRONG = {
    "a step": {"steps": (Step(number=1, title="", holds=False, evidence=()),)},
    "an undeclared request is answered": {"cells": (cell("a/b", "c/d", allowed=True),)},
    "a declared request is refused": {"cells": (cell("a/b", "c/d", edge="pay"),)},
    "another layer refuses than the one that must": {"cells": (cell("a/b", "c/d", stopped_by="request-authentication"),)},
    "nobody says that he refused": {"cells": (cell("a/b", "c/d", stopped_by=""),)},
    "an attack is not stopped": {"attacks": (attack("x", attempt("", stopped=False), attempt("opa", "mesh-mtls")),)},
    "nothing stands behind the first": {"attacks": (attack("x", attempt("opa"), attempt("", "opa", stopped=False)),)},
    "the second layer was never asked": {"attacks": (attack("x", attempt("opa")),)},
    "the same layer refuses again": {"attacks": (attack("x", attempt("opa"), attempt("opa", "opa")),)},
    "the same control refuses again": {
        "attacks": (attack("x", attempt("opa", words="one"), attempt("opa", "opa", words="one"), behind="two"),)
    },
    "another control refuses first": {
        "attacks": (attack("x", attempt("opa", words="one"), attempt("mesh-mtls", "opa"), control="two"),)
    },
    "the second refusal is nobody's": {"attacks": (attack("x", attempt("opa"), attempt("", "opa")),)},
    "the second attempt fails": {"attacks": (attack("x", attempt("opa"), attempt("", "opa", stopped=False, failed=True)),)},
    "a single is not made again": {"attacks": (attack("x", attempt("opa"), single="alone"),)},
    "a single fails without its layer": {
        "attacks": (attack("x", attempt("opa"), attempt("", "opa", stopped=False, failed=True), single="alone"),)
    },
    "a single is stopped again": {"attacks": (attack("x", attempt("opa"), attempt("mesh-mtls", "opa"), single="alone"),)},
    "what cannot be switched is not stopped": {"attacks": (attack("x", attempt("", stopped=False), unswitchable="a flag"),)},
    "what cannot be switched was": {
        "attacks": (attack("x", attempt("opa"), attempt("mesh-mtls", "opa"), unswitchable="a flag"),)
    },
    "a part that found nothing": {"rotations": ()},
    "a part that was not made to its end": {"failed": {"outages": "no load"}},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG.keys())
def test_one_thing_that_does_not_hold_is_said_everywhere(changed):
    wrong = dataclasses.replace(proof(), **changed)
    assert proof().holds
    assert not wrong.holds
    assert figures.summary(wrong).startswith("DOES NOT HOLD")
    assert [one.part for one in figures.sums(wrong) if not one.holds] == [{"failed": "outages"}.get(one, one) for one in changed]
    assert "<title>The proof does not hold</title>" in page(wrong, NAMES)
    with pytest.raises(readme.ReadmeError, match="does not hold"):
        readme.block(wrong)


def test_a_part_that_was_not_asked_for_is_not_judged_and_named_as_left_out():
    some = dataclasses.replace(proof(), asked=("steps",), cells=(), attacks=(), outages=(), rotations=())
    assert some.holds
    assert [one.part for one in figures.sums(some)] == ["steps"]
    assert figures.summary(some).startswith("holds (1 of 5 parts)")
    assert "<title>What was asked of the proof holds</title>" in page(some, NAMES)
    left_out = [row.cells[0] for row in tables.left_out(some).rows]
    assert [title for title in figures.TITLES.values() if title in left_out] == [*figures.TITLES.values()][1:]
    with pytest.raises(readme.ReadmeError, match="leaves out Who may call what, Attacks, Outages under load"):
        readme.block(some)


def test_what_failed_is_shown_with_its_reason_even_when_part_of_it_was_seen():
    failed = dataclasses.replace(proof(), failed={"attacks": f"Vault is sealed {HOSTILE}"})
    shown = page(failed, NAMES)
    assert shown.count("Vault is sealed") == 2
    assert "plain &lt;script&gt;" in shown


def test_sums_count_what_was_asked_and_what_came_of_it():
    words = {one.part: one.words for one in figures.sums(proof())}
    assert words["cells"] == "2 requests: 1 of 1 declared answered, 1 of 1 undeclared refused, 0 differences"
    assert words["attacks"] == (
        "2 of 2 stopped by the layer that must; without it 1 of 1 stopped again (1 by the next layer, 0 by another control of "
        "the same, 0 since the next lets nothing pass then), 1 of 1 with no second layer seen to go through; 0 made once, "
        "since their layer cannot be turned off"
    )
    assert "0 of 300 unauthorised requests answered, 0 of 1,200 authorised lost" in words["outages"]


def test_a_second_control_of_a_layer_a_closed_next_and_what_is_made_once_are_counted_apart():
    more = (
        attack("same", attempt("vault", words="a"), attempt("vault", "vault", words="b"), behind="b"),
        attack("closed", attempt("request-authentication"), attempt("opa", "request-authentication"), closed="nothing passes"),
        attack("once", attempt("opa"), unswitchable="a flag"),
        attack("elsewhere", attempt("opa"), attempt("mesh-mtls", "opa"), control="never said"),
    )
    changed = dataclasses.replace(proof(), attacks=(*proof().attacks, *more))
    assert [one.holds for one in more] == [True, True, True, False]
    words = {one.part: one.words for one in figures.sums(changed)}["attacks"]
    assert words.startswith(
        "5 of 6 stopped by the layer that must; without it 4 of 4 stopped again (2 by the next layer, 1 by another"
    )
    assert "1 since the next lets nothing pass then), 1 of 1 with no second layer" in words
    assert "; 1 made once" in words
    threat = next(one for one in tables.threats(changed, NAMES).rows if one.cells[0] == "Man-in-the-Middle")
    assert threat.holds is False
    shown = {row.cells[0].split()[0]: row.cells[-1] for row in tables.attacks(changed, NAMES).rows}
    assert shown["once"] == "cannot be turned off: a flag"
    assert shown["closed"].endswith("fails closed: nothing passes")


def test_a_proof_of_a_tree_that_is_not_committed_is_not_published():
    with pytest.raises(readme.ReadmeError, match="commit first"):
        readme.block(dataclasses.replace(proof(), revision="7c41fa8+"))


def test_a_declared_request_that_is_refused_is_a_difference_and_no_refusal_that_must_be():
    wrong = dataclasses.replace(proof(), cells=(*proof().cells, cell("a/b", "c/d", edge="pay")))
    assert figures.sums(wrong)[1].words == ("3 requests: 1 of 2 declared answered, 1 of 1 undeclared refused, 1 difference")
    (found,) = tables.differences(wrong, NAMES)
    assert [row.cells for row in found.rows] == [("a/b in eu-west-1", "c/d", "POST /transfer", "pay", "403: OPA")]
    assert not tables.differences(proof(), NAMES)


def test_a_request_says_how_it_went_where_it_did_not_go_as_applications_send_it():
    plain, *_ = proof().cells
    assert tables.request(plain, NAMES)[1:3] == ("bank-b/trans-ms", "POST /transfer")
    other = dataclasses.replace(plain, way="direct", callee_region="eu-central-1", lacking="token")
    assert tables.request(other, NAMES)[1:3] == (
        "bank-b/trans-ms in eu-central-1",
        "POST /transfer (around its sidecar, without token)",
    )
    shown = page(dataclasses.replace(proof(), cells=(other, plain)), NAMES)
    pictures = re.findall(r"<caption>(Callers in .*?): ", shown)
    assert pictures == ["Callers in eu-west-1", "Callers in eu-west-1, callees in eu-central-1"]


def test_a_threat_is_told_by_family_and_the_supply_chain_by_technique():
    found = {one.name: one for one in figures.threats(proof())}
    assert (found["Man-in-the-Middle"].attacks, found["Man-in-the-Middle"].again_stopped) == (1, 1)
    assert found["Man-in-the-Middle"].layers == ("mesh-authorization", "mesh-mtls")
    assert (found["Supply Chain Attacks"].singles, found["Privilege Escalation"].attacks) == (1, 0)
    assert set(figures.THREAT_OF.values()) <= set(figures.THREATS)


def test_every_family_of_attacks_is_of_a_threat_and_against_one_aspect():
    assert set(figures.THREAT_OF) == set(FAMILIES)
    against = [family for families in figures.ASPECTS.values() if not isinstance(families, str) for family in families]
    assert sorted(against) == sorted(FAMILIES)


def test_the_evidence_of_an_attack_says_what_was_off():
    plain = next(row for row in tables.attacks(proof(), NAMES).rows if row.cells[0].startswith("plain"))
    assert [one.source for one in plain.evidence] == ["with every layer on: Envoy", "without Istio mTLS: Envoy"]


def test_a_part_of_a_layer_is_told_with_the_layers_name():
    assert tables.called("mesh-mtls", NAMES) == "Istio mTLS"
    assert tables.called("mesh-mtls (port 8080 alone)", NAMES) == "Istio mTLS (port 8080 alone)"


def test_a_stage_of_maturity_counts_an_attack_once_any_layer_up_to_it_stopped_it():
    twice = attack("other", attempt("opa"), attempt("pod-security", "opa"))
    never = attack("never", attempt("", stopped=False))
    changed = dataclasses.replace(proof(), attacks=(*proof().attacks, twice, never))
    found = {one.aspect: one for one in figures.maturity(changed)}
    assert found["Data Encryption"].stopped == (1, 2, 2, 2, 2, 2)
    assert found["Data Encryption"].attacks == 3
    assert found["Runtime Protection"].stopped == (0, 0, 0, 0, 0, 1)
    assert found["Identity Verification"].unmeasured == "none of its attacks was made"
    assert found["Compliance"].unmeasured


def test_each_table_has_a_cell_for_each_column_and_is_drawn_with_what_was_said_as_it_was_said():
    wrong = dataclasses.replace(proof(), cells=(*proof().cells, cell("a/b", "c/d", allowed=True)))
    out = Console(file=io.StringIO(), width=300)
    for table in (*(one for found in tables.tables(wrong, NAMES).values() for one in found), tables.left_out(wrong)):
        assert {len(row.cells) for row in table.rows} == {len(table.head)}, table.key
        terminal.show(table, out)
    drawn = out.file.getvalue()
    assert f"plain {HOSTILE} (A25)" in drawn
    assert "T1525 Implant Internal Image" in drawn
    assert "Differences" in drawn
    assert "MITRE ATT&CK" in drawn
    assert "Man-in-the-Middle" not in drawn.split("Attacks by threat")[1].split("Threats")[0]
    assert "cilium in eu-central-1, eu-west-1" in drawn


def test_the_readme_gets_the_numbers_between_its_markers_and_keeps_the_rest(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    readme.update(file, proof())
    text = file.read_text()
    assert text.startswith(f"before\n{readme.BEGIN}\nSeen on 2026-11-21 at revision `7c41fa8`")
    assert text.endswith(f"{readme.END}\nafter\n")
    assert "| Time | 183 s, after a start of 260 s |" in text
    assert "| Most memory in use on the machine | 7.2 GiB |" in text
    assert "old" not in text
    readme.update(file, proof())
    assert file.read_text() == text


@pytest.mark.parametrize("text", ["nothing", f"{readme.BEGIN}\n{readme.END}\n" * 2], ids=["no place", "two places"])
def test_a_readme_without_one_place_for_the_numbers_is_left_alone(tmp_path, text):
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(readme.ReadmeError, match="one pair of"):
        readme.update(file, proof())
    assert file.read_text() == text


def test_a_technique_that_nobody_named_is_shown_by_its_number():
    assert named("T1557") == "T1557 Adversary-in-the-Middle"
    assert named("T9999") == "T9999"
