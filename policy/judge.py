"""Judges a recorded state with the pack: ``python -m policy.judge --stack prod [--state FILE]``.

Exit status: 0 clean, 1 with a violation of a mandatory control or one that could not run, 2 for a wrong call. A recorded
state holds no preview's unknowns, so whatever could not run there was not judged, and that is no pass.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from policy import catalogue, config, state
from policy.client import Line, Pack, Recorded
from policy.engine import COULD_NOT_RUN, EXEMPT

SHOWN = {"violation": 0, "could not run": 1, "exempt": 2}


def verdict(line: Line) -> str:
    """What a line of the pack means."""
    if line.message.startswith(COULD_NOT_RUN):
        return "could not run"
    return "exempt" if line.message.startswith(EXEMPT) else "violation"


def table(lines: Sequence[Line], controls: Mapping[str, catalogue.Control]) -> list[str]:
    """The lines as a table, worst first."""
    rows = [("control", "level", "verdict", "resource", "finding")]
    for line in sorted(lines, key=lambda one: (SHOWN[verdict(one)], one.level != "mandatory", one.policy, one.urn)):
        control = controls[line.policy]
        text = line.message.removeprefix(control.title).strip().removeprefix(f"{control.id}: ")
        rows.append((control.id, line.level, verdict(line), line.urn.rsplit("::", maxsplit=1)[-1], text))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows]


def failed(lines: Sequence[Line], resolved: Mapping[str, config.PolicyConfig]) -> bool:
    """Whether anything mandatory is broken or was not judged."""
    return any(resolved[line.policy].level == "mandatory" and verdict(line) != "exempt" for line in lines)


def _resources(stack: str, path: str | None) -> list[Recorded]:
    if path is not None:
        return state.read(Path(path))
    if shutil.which("pulumi") is None:
        msg = "there is no pulumi on PATH to export the state with; give an exported state by --state (make policy STATE=<file>)"
        raise state.StateError(msg)
    done = subprocess.run(["pulumi", "stack", "export", "--stack", stack], capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"the state of {stack} cannot be exported; give a file by --state"
        raise state.StateError(msg)
    return state.parse(json.loads(done.stdout))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="policy.judge", description="Judges a recorded state with the policy pack.")
    parser.add_argument("--stack", required=True, help="the stack, and the configuration of that name")
    parser.add_argument("--state", help="a state file; without it, the stack is exported")
    parser.add_argument("--config", help="another configuration file than config/STACK.json")
    options = parser.parse_args(arguments)
    controls = catalogue.load()
    try:
        path = Path(options.config) if options.config else config.file_for(options.stack)
        resolved = config.load(path, controls)
        resources = _resources(options.stack, options.state)
    except (config.ConfigError, state.StateError, OSError) as error:
        print(f"policy: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return 2
    with Pack() as pack:
        pack.configure(resolved)
        lines = pack.judge(resources)
    counts = {name: sum(verdict(line) == name for line in lines) for name in SHOWN}
    summary = ", ".join(f"{count} {name}" for name, count in counts.items())
    on = sum(one.level != "disabled" for one in resolved.values())
    report = [*(table(lines, {c.policy: c for c in controls}) if lines else []), ""] if lines else []
    print("\n".join([*report, f"{len(resources)} resources, {on} controls: {summary}"]))  # noqa: T201 a command speaks
    return int(failed(lines, resolved))


if __name__ == "__main__":
    sys.exit(main())
