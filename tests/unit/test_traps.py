"""The register of traps, and those that no other test holds: read from the values and objects that the program registers.

The register (tests/data/traps.yaml) says for each trap which file handles it and which tests fail when it does not; a trap of a
system that is not installed names its charts, and comes due with the first of them. Every check here is also run on a program in
which its trap was sprung. Values are what a chart is told; what it makes of them is the manifests tier's to say.
"""

import ast
from functools import cache
from typing import Any

import pytest
import yaml

from components.helm import pins
from tests.support import traps_identity, traps_platform
from tests.support.objects import releases_of
from tests.support.program import ROOT, STACKS
from tests.support.traps import CHECKS, HOME, another, world

PARTS = (traps_identity, traps_platform)
"""Importing them notes their checks."""
IDS = [
    *(f"integration 2.1.{number}" for number in range(1, 23)),
    *(f"integration 2.2.{number}" for number in range(1, 12)),
    *(f"integration 2.7.{number}" for number in range(1, 8)),
    *(f"integration 2.12.{number}" for number in range(1, 7)),
    *(f"charts 2.{number}" for number in range(1, 29)),
    *(f"charts 3.{number}" for number in range(1, 7)),
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("stack", STACKS)
def test_the_program_avoids_the_trap_that(stack, check):
    for region in sorted(releases_of(stack)):
        assert CHECKS[check][0](world(stack, region)), region


@pytest.mark.parametrize(
    ("check", "which"), [(name, index) for name, (_, breaks) in CHECKS.items() for index in range(len(breaks))]
)
def test_a_program_that_steps_into_it_is_seen(check, which):
    avoided, breaks = CHECKS[check]
    sprung = another("dev", HOME)
    breaks[which](sprung)
    assert not avoided(sprung)
    assert avoided(world("dev", HOME)), "the change reached what the other cases are about"


@cache
def register() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "data" / "traps.yaml").read_text(encoding="utf-8"))
    return found


@cache
def collected_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"))


def unfounded(node: str) -> bool:
    """Whether a node id names no test: of this file, a check in brackets as well."""
    file, _, case = node.partition("::")
    name, _, bracket = case.partition("[")
    ours = file == "tests/unit/test_traps.py" and name == "test_the_program_avoids_the_trap_that"
    return not (ROOT / file).is_file() or name not in collected_in(file) or (ours and bracket.removesuffix("]") not in CHECKS)


def test_every_trap_stands_in_the_register_once_and_in_order():
    assert list(register()) == IDS


@pytest.mark.parametrize("trap_id", IDS)
def test_what_the_register_names_exists(trap_id):
    entry = register()[trap_id]
    assert entry["trap"].endswith(".")
    if "due_with" in entry:
        assert entry.keys() == {"trap", "due_with"}
        assert not [pin for pin in pins() for name in entry["due_with"] if pin.startswith(name)], (
            "installed by now: answer the trap"
        )
    else:
        assert entry.keys() == {"trap", "handled_by", "proven_by"}
        assert [file for file in entry["handled_by"] if not (ROOT / file).is_file()] == []
        assert entry["handled_by"]
        assert entry["proven_by"]
        assert [node for node in entry["proven_by"] if unfounded(node)] == []


def test_a_test_that_is_not_there_is_noticed():
    assert unfounded("tests/unit/test_traps.py::test_nothing")
    assert unfounded("tests/unit/test_none.py::test_nothing")
    assert unfounded("tests/unit/test_traps.py::test_the_program_avoids_the_trap_that[nobody]")
    assert not unfounded("tests/unit/test_traps.py::test_what_the_register_names_exists")


def test_every_check_answers_a_trap_of_the_register():
    nodes = {node for entry in register().values() for node in entry.get("proven_by", ())}
    named = {node.partition("[")[2].removesuffix("]") for node in nodes if "avoids_the_trap_that[" in node}
    assert named == CHECKS.keys()
