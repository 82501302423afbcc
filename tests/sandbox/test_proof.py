"""The platform, started on this machine and asked: `make sandbox && make prove`, and nothing of it left.

It ends a sandbox that runs. What each part asks, and when it holds, stands in docs/proof.md.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.local.__main__ import the_plan
from sandbox.proof.results import PARTS
from sandbox.toolchain import ROOT

pytestmark = pytest.mark.timeout(5400)  # the first start builds what runs


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    output = tmp_path_factory.mktemp("proof")
    try:
        started = _run("sandbox.local", "up")
        assert started.returncode == 0, started.stderr[-4000:]
        asked = _run("sandbox.proof", "--output", str(output))
        assert (output / "proof.json").is_file(), asked.stderr[-4000:]
        made: dict[str, Any] = json.loads((output / "proof.json").read_text(encoding="utf-8"))
        assert made["holds"] == (asked.returncode == 0)
        yield made
    finally:
        ended = _run("sandbox.local", "down")
    assert ended.returncode == 0, ended.stderr
    assert not the_plan().home.exists()


@pytest.mark.parametrize("part", PARTS)
def test_what_a_part_of_the_proof_found_holds(proof: dict[str, Any], part: str) -> None:
    assert proof[part], f"{part}: {proof['failed'].get(part, 'nothing was found')}"
    assert [one for one in proof[part] if not one["holds"]] == []


def test_the_proof_holds(proof: dict[str, Any]) -> None:
    assert proof["holds"], proof["failed"]


def test_it_stays_within_the_memory_that_the_readme_asks_for(proof: dict[str, Any]) -> None:
    most = max(proof["figures"][name] for name in ("memory_gib", "sandbox_memory_gib"))
    assert 1 < most < 12, f"{most} GiB"
