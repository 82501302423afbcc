"""The commands of a proof: what they refuse, what they write, and when they end well. By hand-made results, no sandbox."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.local.plan import plan
from sandbox.proof import __main__ as command
from sandbox.proof.attacks import ATTACKS
from sandbox.proof.refusals import FAILURES, LAYERS
from sandbox.proof.report import __main__ as reports
from sandbox.proof.report import figures, readme
from sandbox.proof.report.techniques import TECHNIQUES
from sandbox.proof.results import PARTS, Evidence, Proof, Step

STEP = Step(number=1, title="SVID", holds=True, evidence=(Evidence(source="SPIRE", words="spiffe://"),))
SEEN = Proof(began="2026-11-21T20:00:00Z", seconds=4.0, revision="7c41fa8", asked=("steps",), steps=(STEP,))


def run(monkeypatch: pytest.MonkeyPatch, main: Callable[[], int], *arguments: str) -> int:
    """The command's exit code."""
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    return main()


def test_parts_are_made_in_the_order_of_the_proof_however_they_are_asked_for():
    assert command.chosen_parts("attacks, steps") == ("steps", "attacks")
    assert command.chosen_parts(",".join(PARTS)) == PARTS


@pytest.mark.parametrize("told", ["steps,matrix", "", ","])
def test_a_part_that_there_is_not_is_refused_with_those_there_are(told):
    with pytest.raises(argparse.ArgumentTypeError, match="the parts are steps, cells, attacks, outages, rotations"):
        command.chosen_parts(told)


def test_without_root_nothing_is_begun(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(monkeypatch, command.main) == 1
    assert capsys.readouterr().err.strip() == "a proof enters the pods' namespaces and needs root: run it as root"


def test_without_a_sandbox_one_sentence_says_how_to_have_one(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(command, "the_plan", lambda: plan({"eu-west-1": ("10.1.0.0/16", "172.30.0.0/20")}, tmp_path))
    assert run(monkeypatch, command.main) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"there is no sandbox in {tmp_path}: start it with `make sandbox`"


def test_every_part_has_somebody_who_makes_it(monkeypatch):
    class Nobody:
        def __init__(self, _world):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(command, "Tokens", Nobody)
    monkeypatch.setattr(command, "wait_for_keys", lambda _world, _tokens: None)
    with command.ExitStack() as stack:
        assert tuple(command.parts(None, stack)) == PARTS


def test_the_report_is_two_files_and_ends_with_one_line(tmp_path, capsys):
    command.report(SEEN, LAYERS, tmp_path / "proof")
    assert Proof.read(tmp_path / "proof" / "proof.json") == SEEN
    assert "What was asked of the proof holds" in (tmp_path / "proof" / "proof.html").read_text()
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last == f"holds (1 of 5 parts) after 4 s. A call's life: 1 of 1 step seen. {tmp_path}/proof/proof.html"


def test_every_layer_is_of_a_stage_of_the_maturity_matrix():
    assert set(figures.STAGE_OF) == set(LAYERS) - FAILURES


def test_every_attack_is_of_a_known_technique_and_of_a_layer_that_the_report_can_name():
    assert ATTACKS
    assert {technique for one in ATTACKS for technique in one.techniques} <= set(TECHNIQUES)
    assert all(one.techniques for one in ATTACKS)
    assert {one.expected for one in ATTACKS} <= set(LAYERS)


def test_the_page_is_made_again_from_what_was_written(monkeypatch, tmp_path):
    command.report(SEEN, LAYERS, tmp_path)
    again = tmp_path / "again.html"
    assert run(monkeypatch, reports.main, "page", str(tmp_path / "proof.json"), "--into", str(again)) == 0
    assert again.read_text() == (tmp_path / "proof.html").read_text()


def test_a_proof_that_is_none_to_publish_leaves_the_readme_alone(monkeypatch, capsys, tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"{readme.BEGIN}\n{readme.END}\n")
    replace(SEEN, asked=PARTS).write(tmp_path / "proof.json")
    assert run(monkeypatch, reports.main, "readme", str(tmp_path / "proof.json"), "--into", str(file)) == 1
    assert "does not hold and is not published" in capsys.readouterr().err
    assert file.read_text() == f"{readme.BEGIN}\n{readme.END}\n"


def test_a_proof_that_is_not_there_is_one_sentence(monkeypatch, capsys):
    assert run(monkeypatch, reports.main, "page", str(Path("nowhere") / "proof.json")) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{}", '{"holds": true, "other": 1}'])
def test_a_file_that_is_no_proof_is_one_sentence(monkeypatch, capsys, tmp_path, text):
    file = tmp_path / "proof.json"
    file.write_text(text)
    assert run(monkeypatch, reports.main, "readme", str(file)) == 1
    assert f"{file} is no proof that this program wrote" in capsys.readouterr().err
