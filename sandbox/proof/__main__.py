"""`python -m sandbox.proof`: what the running sandbox does, asked by calling; tables, proof.json and proof.html."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from sandbox.local.__main__ import STACK, the_plan
from sandbox.progress import Steps
from sandbox.proof import attacks, lifecycle, matrix, outages, rotations
from sandbox.proof.journal import alone, noted
from sandbox.proof.making import Part, orderly, prove
from sandbox.proof.processors import pods_first
from sandbox.proof.refusals import LAYERS
from sandbox.proof.report.figures import summary
from sandbox.proof.report.page import page
from sandbox.proof.report.tables import Names
from sandbox.proof.report.terminal import show_all
from sandbox.proof.results import PARTS, Attack, Proof
from sandbox.proof.tokens import Tokens
from sandbox.proof.traffic import wait_for_keys
from sandbox.proof.world import ProofError, World
from sandbox.toolchain import ROOT

OUTPUT: Final = ROOT / "build" / "proof"
_FILE_WIDTH: Final = 160
"""Of a table's lines where no terminal says how wide it is."""


def parts(world: World, stack: ExitStack) -> Mapping[str, Part]:
    """Every part of the proof, by the name of its field."""
    tokens = stack.enter_context(Tokens(world))
    wait_for_keys(world, tokens)

    def attacked(said: Callable[[str], None]) -> tuple[Attack, ...]:
        with noted(world, "a layer that was off for an attack"):
            return attacks.run(world, tokens, said)

    return {
        "steps": lambda _said: lifecycle.steps(world, tokens),
        "cells": lambda said: matrix.cells(world, tokens, said),
        "attacks": attacked,
        "outages": lambda said: outages.outages(world, tokens, said),
        "rotations": lambda said: rotations.rotations(world, tokens, said),
    }


def chosen_parts(told: str) -> tuple[str, ...]:
    """The parts of a comma-separated list, in the proof's order.

    Raises:
        ArgumentTypeError: one is none of the proof's, or there is none.
    """
    names = {name.strip() for name in told.split(",") if name.strip()}
    if not names or names - {*PARTS}:
        msg = f"{', '.join(sorted(names - {*PARTS})) or 'nothing'}: the parts are {', '.join(PARTS)}"
        raise argparse.ArgumentTypeError(msg)
    return tuple(name for name in PARTS if name in names)


def the_world() -> World:
    """The running sandbox.

    Raises:
        ProofError: it does not run, or this is not root.
        SettingsError: its settings are not valid.
    """
    if os.geteuid() != 0:
        msg = "a proof enters the pods' namespaces and needs root: run it as root"
        raise ProofError(msg)
    return World(the_plan(), ROOT / f"Pulumi.{STACK}.yaml")


def report(proof: Proof, names: Names, output: Path) -> None:
    """Prints the tables and writes proof.json and proof.html."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    show_all(proof, names, console)
    proof.write(output / "proof.json")
    shown = output / "proof.html"
    shown.write_text(page(proof, names), encoding="utf-8")
    console.print(f"{summary(proof)}. {shown}", style="green" if proof.holds else "red", markup=False, soft_wrap=True)


def main() -> int:
    """Command line entry; exit code 1 when anything does not hold, could not be made, or cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.proof", description=__doc__)
    parser.add_argument("--only", type=chosen_parts, default=PARTS, help=f"some of {','.join(PARTS)}", metavar="PART,PART")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where proof.json and proof.html go")
    chosen = parser.parse_args()
    progress = Steps()
    try:
        world = the_world()
        with orderly(), alone(world), pods_first(world.plan):
            proof = prove(world.plan.home, lambda stack: parts(world, stack), chosen.only, progress)
    except Exception as error:
        if not getattr(error, "user_facing", False):
            raise
        progress.console.print(str(error), style="red", markup=False)
        return 1
    report(proof, LAYERS, chosen.output)
    return 0 if proof.holds else 1


if __name__ == "__main__":
    sys.exit(main())
