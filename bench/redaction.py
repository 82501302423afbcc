"""What the redaction costs: lines per second of an agent's real statements, as a ratio to the same pipeline without them.

Both runs are the real collector on the same file, one after the other in one process, each three times, the best counts. Writes
build/bench/redaction.json. Exit code 1 when a run does not end.
"""

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from components.observability.telemetry import redaction
from sandbox.otelcol import CollectorError, quiet, running, wait_until
from sandbox.toolchain import build
from tests.support.telemetry_logs import FORMATS
from tests.support.telemetry_secrets import secrets

LINES: Final = 20_000
SECRET_EVERY: Final = 100
RUNS: Final = 3
LAST: Final = "the last line"
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


def _config(source: Path, out: Path, *, redacted: bool) -> dict[str, Any]:
    return {
        "extensions": {},
        "receivers": {"file_log": {"include": [str(source)], "start_at": "beginning", "poll_interval": "50ms"}},
        "processors": {"transform": redaction.agent_processor()} if redacted else {},
        "exporters": {"file": {"path": str(out), "flush_interval": "50ms"}},
        "service": {
            "pipelines": {
                "logs": {"receivers": ["file_log"], "processors": ["transform"] if redacted else [], "exporters": ["file"]}
            }
        },
    }


def measure(binary: Path, source: Path, folder: Path, *, redacted: bool) -> float:
    """Seconds from the collector's start to the last line; CollectorError when it does not come."""
    out = folder / "out.json"
    config = quiet(_config(source, out, redacted=redacted), folder)
    started = time.monotonic()

    def done() -> bool:
        if not out.is_file():
            return False
        with out.open("rb") as held:
            held.seek(max(0, out.stat().st_size - 4096))
            return LAST.encode() in held.read()

    with running(binary, config, folder) as process:
        wait_until(process, folder, done)
        return time.monotonic() - started


def main() -> int:
    """Command line entry."""
    binary = build("otelcol", lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "lines.log"
        source.write_text("\n".join((*lines(), LAST)) + "\n", encoding="utf-8")
        best: dict[bool, float] = {}
        try:
            for run in range(RUNS):
                for redacted in (False, True):
                    spent = measure(binary, source, Path(scratch) / f"{run}-{redacted}", redacted=redacted)
                    best[redacted] = min(spent, best.get(redacted, spent))
        except CollectorError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    result = {
        "lines": LINES,
        "lines_per_second": {"plain": round(LINES / best[False]), "redacted": round(LINES / best[True])},
        "ratio": round(best[False] / best[True], 3),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{json.dumps(result)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
