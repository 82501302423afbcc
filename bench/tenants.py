"""What one more tenant costs: `python -m bench.tenants`, result in `build/bench/tenants.json`.

Two things for 2, 20 and 200 tenants: compiling the access graph into every layer (pure), and an offline preview of the whole
program on the real engine, beside the floor (`bench/floor`) with as many resources. Quoted is the growth: the cost of a tenant
at the large size over that at the middle one. Compiling counts CPU seconds; a preview wall and CPU seconds of every process it
started, and the most memory they held together. A preview that needs more time or memory than it is given is ended and named;
then it is measured with one region, and if that does not fit either, it is left out, with the reason.
"""

import argparse
import json
import shutil
from typing import Any, Final

import yaml

from bench.compiling import growth, measure
from bench.preview import BUILD, floor_project, resources
from bench.processes import LimitError, Limits, watched
from bench.synthetic import ROOT, tree
from components.settings import CONFIG_KEY

COUNTS: Final = (2, 20, 200)


def project(count: int, regions: int) -> tuple[str, ...]:
    """Writes a project with synthetic settings around the program itself; returns the arguments that preview it."""
    stack = f"tenants-{count}-{regions}"
    folder = BUILD / "bench" / stack
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shipped = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    above = "/".join([".."] * len(folder.relative_to(ROOT).parts))
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({**shipped, "main": above}), encoding="utf-8")
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    settings = {"config": {**config, CONFIG_KEY: tree(count, regions=regions)}}
    (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return "--stack", stack, "--project", str(folder), "--no-policy"


def previewed(count: int, regions: int, limits: Limits) -> dict[str, Any]:
    """One preview and its floor.

    Raises:
        LimitError: it needed more than it was given.
        RuntimeError: it failed.
    """
    arguments = project(count, regions)
    used = watched(("-m", "sandbox.preview", *arguments), limits)
    total = resources(arguments[1])
    floor = watched(("-m", "sandbox.preview", *floor_project(arguments[1], total - 1)), limits)
    return {"regions": regions, "resources": total, "program": used.as_json(), "floor": floor.as_json()}


def preview(count: int, limits: Limits, most: int = 2) -> dict[str, Any]:
    """The preview with `most` regions, or with fewer, or the reason why with none."""
    refused: list[str] = []
    for regions in range(most, 0, -1):
        try:
            return {**previewed(count, regions, limits), **({"refused": refused} if refused else {})}
        except LimitError as error:
            refused.append(f"{count} tenants in {regions} regions: {error}")
            print(refused[-1], flush=True)
    return {"refused": refused}


def compared(previews: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """How the cost of a tenant grows, where every size was measured with as many regions; else what could not be compared."""
    if len({found.get("regions") for found in previews.values()}) != 1 or any(
        "program" not in each for each in previews.values()
    ):
        return {"growth": None, "reason": "not every size was measured in the same regions"}
    small, middle, large = sorted(previews)
    return {
        "growth": {
            key: growth({count: previews[count]["program"][key] for count in previews}, small, middle, large)
            for key in ("cpu_seconds", "peak_mib")
        },
        "program_over_floor": {
            str(count): round(found["program"]["cpu_seconds"] / found["floor"]["cpu_seconds"], 3)
            for count, found in previews.items()
        },
    }


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.tenants", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of compiling")
    parser.add_argument("--minutes", type=float, default=10, help="longest time a preview may take")
    parser.add_argument("--mib", type=int, default=6 * 1024, help="most memory that all processes of a preview may hold")
    parser.add_argument("--regions", type=int, choices=(1, 2), default=2, help="preview in as many regions at most")
    parser.add_argument("--compile-only", action="store_true", help="no previews")
    wanted = parser.parse_args()
    print("compiling", flush=True)
    result: dict[str, Any] = {"compile": measure(COUNTS, wanted.rounds)}
    file = BUILD / "bench" / "tenants.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not wanted.compile_only:
        limits = Limits(seconds=60 * wanted.minutes, mib=wanted.mib)
        found: dict[int, dict[str, Any]] = {}
        regions = wanted.regions
        # The largest first: what it fits in, the others are measured in as well, or nothing could be compared.
        for count in sorted(COUNTS, reverse=True):
            print(f"preview of {count} tenants", flush=True)
            found[count] = preview(count, limits, regions)
            regions = found[count].get("regions", regions)
            result["preview"] = {"limits": limits.as_json(), "tenants": {str(key): each for key, each in found.items()}}
            file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        result["preview"] |= compared(found)
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
