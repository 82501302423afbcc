"""What the data path costs: `python -m bench.datapath` against the running sandbox, result in `build/bench/datapath.json`.

`chain`: requests a second, and the times that half and all but a hundredth of the requests took, of the whole chain as ratios
to a bare Envoy before the same application and to the chain without OPA (`bench.chain` says what they are). Rounds are
interleaved; quoted are medians of the ratios within a round, with the least and the greatest. Processor time per request says
the same with less noise, and who used it. Seconds and requests are for orientation only: the machine is shared by both ends.

`sidecars`: memory and configuration of every sidecar of the sandbox's tenants. `tenants`: the same of one sidecar among 200
tenants, with its Sidecar object and without any (`bench.scoped`).
"""

import argparse
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from bench.chain import BARE, WAYS, WHOLE, WITHOUT_OPA, Chain, Counted, Run, measured
from bench.preview import ratios
from bench.scoped import TENANTS, apart
from bench.sidecars import running, summary
from sandbox.local.__main__ import STACK, the_plan
from sandbox.proof.world import World
from sandbox.toolchain import ROOT

OUT: Final = ROOT / "build" / "bench" / "datapath.json"
WITHOUT_SPIRE: Final = (
    "There is no ratio to Istio's own identities: istiod signs none on this platform. No ratio here contains SPIRE either: an "
    "identity is delivered before the first request and used in handshakes, of which the counted connections are all."
)
_FIGURES: Final = ("per_second", "p50", "p99")
Row = tuple[str, str, Run, Counted]


def chain_result(rows: Iterable[Row]) -> dict[str, Any]:
    """What the rounds come to."""
    runs: dict[str, dict[str, list[Run]]] = {}
    counted: dict[str, list[tuple[int, Counted]]] = {way: [] for way in WAYS}
    for way, form, run, count in rows:
        runs.setdefault(form, {name: [] for name in WAYS})[way].append(run)
        if form == "capacity":  # in the other form most of the time is nobody's request
            counted[way].append((run.requests, count))
    result: dict[str, Any] = {"without_spire": WITHOUT_SPIRE}
    for form, by_way in runs.items():
        figures = {name: {way: [getattr(run, name) for run in by_way[way]] for way in WAYS} for name in _FIGURES}
        told = _FIGURES if form == "capacity" else _FIGURES[1:]  # a paced run has the rate that it was given
        result[form] = {
            "whole_over_bare": {name: ratios(figures[name][WHOLE], figures[name][BARE]) for name in told},
            "whole_over_without_opa": {name: ratios(figures[name][WHOLE], figures[name][WITHOUT_OPA]) for name in told},
            "median": {way: {name: _short(statistics.median(figures[name][way])) for name in _FIGURES} for way in WAYS},
            "requests": {way: sum(run.requests for run in by_way[way]) for way in WAYS},
            "failed": {way: sum(run.failed for run in by_way[way]) for way in WAYS},
        }
    result["cpu_microseconds_per_request"] = {way: per_request(counted[way]) for way in WAYS}
    totals = {way: spent["all"] for way, spent in result["cpu_microseconds_per_request"].items()}
    result["cpu"] = {
        "whole_over_bare": round(totals[WHOLE] / totals[BARE], 3),
        "whole_over_without_opa": round(totals[WHOLE] / totals[WITHOUT_OPA], 3),
    }
    result["connections"] = {way: sum(count.connections for _, count in counted[way]) for way in WAYS}
    result["decisions"] = {way: sum(count.decisions for _, count in counted[way]) for way in WAYS}
    return result


def per_request(counted: Iterable[tuple[int, Counted]]) -> dict[str, float]:
    """Microseconds of processor time per request, by who used them and of `all` together."""
    total, spent = 0, dict[str, float]()
    for requests, count in counted:
        total += requests
        for who, seconds in count.cpu.items():
            spent[who] = spent.get(who, 0.0) + seconds
    found = {who: round(1e6 * seconds / total, 1) for who, seconds in spent.items()}
    return {**found, "all": round(sum(found.values()), 1)}


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _chain(wanted: argparse.Namespace, world: World) -> dict[str, Any]:
    found: list[Row] = []
    for row in measured(Chain(world), wanted.rounds, seconds=wanted.seconds, rate=wanted.rate, connections=wanted.connections):
        way, form, run, _ = row
        print(f"{way} {form}: {run.per_second:.0f}/s, p50 {1000 * run.p50:.2f} ms, p99 {1000 * run.p99:.2f} ms", flush=True)
        found.append(row)
    asked = {name: getattr(wanted, name) for name in ("rounds", "seconds", "rate", "connections")}
    return {"asked": {**asked, "processors": os.cpu_count()}, **chain_result(found)}


def _sidecars(_wanted: argparse.Namespace, world: World) -> dict[str, Any]:
    return summary(running(world, sorted(world.graph.tenants)))


def _tenants(_wanted: argparse.Namespace, _world: World) -> dict[str, Any]:
    return apart(TENANTS)


PARTS: Final[Mapping[str, Callable[[argparse.Namespace, World], dict[str, Any]]]] = {
    "chain": _chain,
    "sidecars": _sidecars,
    "tenants": _tenants,
}


def main() -> int:
    """Measures and writes the result; what is not asked for stays as it was. Exit code 1 with one sentence when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m bench.datapath", description=__doc__)
    parser.add_argument("part", nargs="*", choices=(*PARTS, []), help="all unless said")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each run; six of them are a round")
    parser.add_argument("--rate", type=float, default=50, help="requests a second of the paced runs")
    parser.add_argument("--connections", type=int, default=4, help="of the runs that take as many requests as are answered")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is lifted or off is put back then as well
    result = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    try:
        world = World(the_plan(), ROOT / f"Pulumi.{STACK}.yaml")
        for part in wanted.part or PARTS:
            result[part] = PARTS[part](wanted, world)
    except Exception as error:
        if not getattr(error, "user_facing", False):
            raise
        print(error, file=sys.stderr)
        return 1
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
