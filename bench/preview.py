"""What a preview costs, as ratios within one run: `python -m bench.preview`, result in `build/bench/bench.json`.

Per stack and round, in turn: the program with the policy pack, without it, and the floor (`bench/floor`) with as many
resources. Whole processes, from outside. Quoted are medians of the per-round ratios; seconds are for orientation only.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
STACKS = ("dev", "prod")
ROUNDS = int(os.environ.get("ROUNDS", "5"))


def timed(*arguments: str) -> tuple[float, float]:
    """Wall seconds, and MiB at the peak of the largest single process, of one preview. Raises when the preview fails."""
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "sandbox.preview", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - started
    if status != 0:
        msg = f"preview {' '.join(arguments)} failed; run it by hand"
        raise RuntimeError(msg)
    return seconds, usage.ru_maxrss / 1024


def resources(stack: str) -> int:
    """How many resources the last preview of a stack counted."""
    total: int = json.loads((BUILD / "preview" / f"{stack}.json").read_text(encoding="utf-8"))["resources"]["total"]
    return total


def floor_project(stack: str, count: int) -> tuple[str, ...]:
    """Write the floor's project for a count; returns the arguments that preview it."""
    project = BUILD / "bench" / f"floor-{stack}"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(Path(__file__).parent / "floor", project)
    (project / f"Pulumi.floor-{stack}.yaml").write_text(yaml.safe_dump({"config": {"floor:count": count}}), encoding="utf-8")
    return "--stack", f"floor-{stack}", "--project", str(project), "--no-policy"


def ratios(above: list[float], below: list[float]) -> dict[str, float]:
    """Least, median and greatest of the ratios taken round by round."""
    pairs = sorted(a / b for a, b in zip(above, below, strict=True))
    return {"min": round(pairs[0], 3), "median": round(statistics.median(pairs), 3), "max": round(pairs[-1], 3)}


def measure(stack: str) -> dict[str, Any]:
    """Measure one stack, after a warm-up of each form."""
    timed("--stack", stack)
    count = resources(stack)
    floor = floor_project(stack, count - 1)  # the floor's own provider is the last one
    timed(*floor)
    series: dict[str, list[tuple[float, float]]] = {"with_pack": [], "without_pack": [], "floor": []}
    for round_ in range(ROUNDS):
        print(f"{stack}: round {round_ + 1} of {ROUNDS}", flush=True)
        series["with_pack"].append(timed("--stack", stack))
        series["without_pack"].append(timed("--stack", stack, "--no-policy"))
        series["floor"].append(timed(*floor))
    seconds = {name: [run[0] for run in runs] for name, runs in series.items()}
    return {
        "resources": count,
        "program_over_floor": ratios(seconds["without_pack"], seconds["floor"]),
        "with_pack_over_without": ratios(seconds["with_pack"], seconds["without_pack"]),
        "seconds_median": {name: round(statistics.median(runs), 2) for name, runs in seconds.items()},
        "peak_mib": {name: round(max(run[1] for run in runs), 1) for name, runs in series.items()},
    }


def main() -> None:
    """Measure every stack and write the result."""
    result = {"rounds": ROUNDS, "stacks": {stack: measure(stack) for stack in STACKS}}
    file = BUILD / "bench" / "bench.json"
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
