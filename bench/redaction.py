"""What the redaction costs: lines per second of one core by an agent, as a ratio to the same agent without its redaction.

Both runs are the real collector with an agent's whole configuration, from the container's log to OTLP on loopback, each three
times, the best counts. What is measured is the processor time that the collector used, less that of a run on a single line: what
else the machine does meanwhile changes nothing, and a start is paid once in a node's life. Writes build/bench/redaction.json.
Exit code 1 when a run does not end.
"""

import json
import random
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sandbox.otelcol import LOOPBACK, CollectorError, free_port, listening, quiet, running, wait_until, without
from sandbox.toolchain import build
from tests.support.telemetry import LAST, agent
from tests.support.telemetry_logs import FORMATS, write_pod
from tests.support.telemetry_secrets import secrets

LINES: Final = 100_000
SECRET_EVERY: Final = 100
RUNS: Final = 3
OUT: Final = Path(__file__).resolve().parent.parent / "build" / "bench" / "redaction.json"


def lines() -> list[str]:
    """Lines of every format in turn, one of a hundred with a secret."""
    dice = random.Random(1)  # noqa: S311 - picks cases, no secret
    planted = [one for _ in range(5) for one in secrets(dice) if "\n" not in one.phrase]
    forms = [form for name, form in FORMATS.items() if name != "java"]
    return [
        forms[place % len(forms)](
            planted[place % len(planted)].phrase if place % SECRET_EVERY == 0 else f"order {place} took {place % 97} ms"
        )
        for place in range(LINES)
    ]


def _receiving(port: int, out: Path) -> dict[str, Any]:
    return {
        "extensions": {},
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"{LOOPBACK}:{port}"}}}},
        "exporters": {"file": {"path": str(out), "flush_interval": "50ms"}},
        "service": {"pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["file"]}}},
    }


def measure(binary: Path, logs: Path, folder: Path, *, redacted: bool) -> float:
    """Processor seconds of an agent from its start to its end, the last line having arrived; CollectorError if it does not."""
    port, out = free_port(), folder / "out.json"

    def done() -> bool:
        if not out.is_file():
            return False
        with out.open("rb") as held:
            held.seek(max(0, out.stat().st_size - 8192))
            return LAST.encode() in held.read()

    config = agent(logs, folder / "flows", folder / "state", port)
    sink = running(binary, quiet(_receiving(port, out), folder / "sink"), folder / "sink")
    with sink as behind, listening(behind, folder / "sink", port):
        before = _used()
        with running(binary, config if redacted else without(config, "transform/redact"), folder / "agent") as process:
            wait_until(process, folder / "agent", done)
        return _used() - before


def _used() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _spent(binary: Path, folder: Path, texts: Sequence[str], *, redacted: bool) -> float:
    logs = folder / "logs"
    write_pod(logs, "bank-a", "api-ms", [*texts, LAST])
    return min(measure(binary, logs, folder / f"{redacted}-{run}", redacted=redacted) for run in range(RUNS))


def main() -> int:
    """Command line entry."""
    binary = build("otelcol", lambda line: print(line, file=sys.stderr))
    texts = lines()
    try:
        with tempfile.TemporaryDirectory() as all_of_them, tempfile.TemporaryDirectory() as none:
            spent = {
                redacted: _spent(binary, Path(all_of_them), texts, redacted=redacted)
                - _spent(binary, Path(none), (), redacted=redacted)
                for redacted in (False, True)
            }
    except CollectorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    result = {
        "lines": LINES,
        "lines_per_core_second": {"plain": round(LINES / spent[False]), "redacted": round(LINES / spent[True])},
        "ratio": round(spent[False] / spent[True], 3),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{json.dumps(result)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
