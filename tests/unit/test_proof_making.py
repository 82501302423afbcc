"""A proof is made of its parts whatever one of them does, and what was measured beside is what was."""

import io
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.local.__main__ import STARTED
from sandbox.memory import Peak, used_gib
from sandbox.progress import Steps
from sandbox.proof.making import orderly, prove, revision
from sandbox.proof.results import PARTS
from sandbox.proof.world import ProofError
from tests.support.proofs import HOSTILE, cell, proof

MEMINFO = "MemTotal:  8388608 kB\nMemFree: 10 kB\nMemAvailable: {} kB\nHugePages_Total: 0\n"


def test_memory_in_use_is_what_could_not_be_had():
    assert used_gib(MEMINFO.format(2 << 20)) == 6.0


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2)])
def test_the_most_that_was_seen_is_kept(tmp_path: Path, before: int, after: int) -> None:
    source = tmp_path / "meminfo"
    source.write_text(MEMINFO.format(before << 20))
    with Peak(source) as watched:
        source.write_text(MEMINFO.format(after << 20))
    assert watched.gib == 6.0


def quiet() -> Steps:
    steps = Steps()
    steps.console = Console(file=io.StringIO(), width=200)
    return steps


def making(**changed):
    """Parts that find what `proof` has, some of them replaced."""

    def found(name):
        return lambda said: said("one") or getattr(proof(), name)

    return {name: changed.get(name, found(name)) for name in PARTS}


def refuses(error: Exception):
    def part(_said):
        raise error

    return part


def test_a_proof_has_what_its_parts_found_and_what_was_measured_beside(tmp_path):
    (tmp_path / STARTED).write_text('{"seconds": 260.4, "memory_gib": 8.8}')
    (tmp_path / "not_installed.json").write_text('{"eu-west-1": {"cilium": "no network of its own"}}')
    left_out = {"cilium": "", "kyverno": "", "Deployment security/falcosidekick": "no program"}
    (tmp_path / "running.json").write_text(json.dumps({"regions": {"eu-west-1": {}, "eu-central-1": {}}, "left_out": left_out}))
    progress = quiet()
    made = prove(tmp_path, lambda _stack: making(), PARTS, progress)
    assert made.holds
    assert [getattr(made, name) for name in PARTS] == [getattr(proof(), name) for name in PARTS]
    sidekick = {"Deployment security/falcosidekick": "no program"}
    assert made.not_running == {"eu-central-1": sidekick, "eu-west-1": {**sidekick, "cilium": "no network of its own"}}
    assert (made.figures["sandbox_seconds"], made.figures["sandbox_memory_gib"]) == (260.4, 8.8)
    assert made.figures["memory_gib"] > 0
    assert {f"{name}_seconds" for name in PARTS} <= set(made.figures)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made.began)
    assert progress.console.file.getvalue().count("✓") == 1 + len(PARTS)


def test_a_part_that_cannot_be_made_is_named_and_the_others_are_made(tmp_path):
    progress = quiet()
    parts = making(cells=refuses(ProofError(f"no pod {HOSTILE}")), outages=refuses(KeyError("spire")))
    made = prove(tmp_path, lambda _stack: parts, PARTS, progress)
    assert made.failed == {"cells": f"no pod {HOSTILE}", "outages": "KeyError: 'spire'"}
    assert not made.holds
    assert made.attacks
    assert made.rotations
    said = progress.console.file.getvalue()
    assert f"✗ Who may call what: no pod {HOSTILE}" in said
    assert said.count("Traceback") == 1


def test_without_what_all_parts_need_none_is_made_and_each_says_why(tmp_path):
    def opened(_stack):
        msg = "Keycloak does not answer"
        raise ProofError(msg)

    made = prove(tmp_path, opened, ("steps", "cells"), quiet())
    assert made.failed == dict.fromkeys(("steps", "cells"), "Keycloak does not answer")
    assert not made.holds


def test_what_the_parts_opened_is_closed_also_when_one_fails(tmp_path):
    closed = []

    def opened(stack):
        stack.callback(closed.append, "tokens")
        return making(steps=refuses(ProofError("no")))

    prove(tmp_path, opened, PARTS, quiet())
    assert closed == ["tokens"]


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def number(request):
    """A signal that ends this process, also where the tests themselves were begun to outlive their terminal."""
    before = signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    signal.signal(request.param, before)


def test_a_proof_that_is_told_to_end_puts_back_what_it_changed(tmp_path, number):
    closed, before = [], signal.getsignal(number)

    def told(_said):
        os.kill(os.getpid(), number)

    def put_back():
        os.kill(os.getpid(), signal.SIGTERM)
        closed.append("put back")

    def opened(stack):
        stack.callback(put_back)
        return making(attacks=told)

    with pytest.raises(SystemExit) as ended, orderly():
        prove(tmp_path, opened, ("attacks",), quiet())
    assert ended.value.code == 128 + number
    assert closed == ["put back"]
    assert signal.getsignal(number) is before


def test_a_proof_that_was_begun_to_outlive_its_terminal_does():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with orderly():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("found", [(), (cell("a/b", "c/d", allowed=True),)], ids=["nothing", "a difference"])
def test_a_part_is_not_ticked_that_found_nothing_or_what_does_not_hold(tmp_path, found):
    progress = quiet()
    prove(tmp_path, lambda _stack: making(cells=lambda _said: found), ("cells",), progress)
    assert "✗ Who may call what" in progress.console.file.getvalue()


def test_a_revision_says_whether_the_tree_is_what_was_committed(tmp_path):
    assert revision(tmp_path) == "unknown"
    for command in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    clean = revision(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{12}", clean)
    (tmp_path / "new").touch()
    assert revision(tmp_path) == f"{clean}+"
