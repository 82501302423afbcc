"""A real Prometheus on loopback that holds given samples, or scrapes given programs: what its HTTP interface answers.

Samples are written as OpenMetrics with times, made into blocks by promtool, and read by the server. What it scrapes it asks every
second, and itself with it.
"""

import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from sandbox.loki import free_port
from sandbox.toolchain import build

READY_SECONDS: Final = 120
STEP_SECONDS: Final = 15


class PrometheusError(Exception):
    """Prometheus did not start, or its blocks could not be made; the message has the last lines."""

    user_facing = True


class Prometheus:
    """A running Prometheus."""

    def __init__(self, base: str) -> None:
        self.base = base

    def get(self, url: str) -> tuple[int, str]:
        """Status and text of a GET of `url`'s path and query, whatever host it names: this server answers for it."""
        asked = urllib.parse.urlsplit(url)
        address = f"{self.base}{asked.path}" + (f"?{asked.query}" if asked.query else "")
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def query(self, expression: str) -> tuple[int, Any]:
        """Status, and the result of an instant query; the error's text where there is none."""
        status, text = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        answer = json.loads(text)
        return status, answer["data"]["result"] if answer["status"] == "success" else answer["error"]


def open_metrics(series: Mapping[str, list[float]], *, end: float) -> str:
    """Samples as OpenMetrics: of each series its values, STEP_SECONDS apart, the last at `end` (seconds since 1970)."""
    families: dict[str, list[str]] = {}
    for name, values in sorted(series.items()):
        lines = families.setdefault(name.partition("{")[0], [])
        first = end - STEP_SECONDS * (len(values) - 1)
        lines += [f"{name} {value} {first + STEP_SECONDS * number:.3f}" for number, value in enumerate(values)]
    # A family's type stays unsaid: a counter's would have to end in `_total` of another name.
    return "\n".join([*(line for lines in families.values() for line in lines), "# EOF", ""])


def _blocks(folder: Path, series: Mapping[str, list[float]], progress: Callable[[str], None]) -> None:
    source = folder / "samples.txt"
    source.write_text(open_metrics(series, end=time.time()), encoding="utf-8")
    command = [str(build("promtool", progress)), "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PrometheusError((done.stdout + done.stderr).strip()[-2000:])


def _configuration(own: str, scraped: Mapping[str, Mapping[str, str]], rules: Sequence[Path]) -> dict[str, Any]:
    targets = {own: {"job": "prometheus"}, **scraped} if scraped else {}
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [
            {
                "job_name": f"target-{number}",
                "static_configs": [{"targets": [address], "labels": dict(labels)}],
            }
            for number, (address, labels) in enumerate(sorted(targets.items()))
        ],
    }


@contextmanager
def running(
    series: Mapping[str, list[float]],
    progress: Callable[[str], None] = lambda _line: None,
    *,
    scraped: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    rules: Sequence[Path] = (),
) -> Iterator[Prometheus]:
    """A Prometheus that holds `series` up to now, ready, ended afterwards.

    Args:
        series: Samples.
        progress: Told while the programs are built.
        scraped: By address, the labels of what is asked for /metrics there; with any, the server asks itself as well.
        rules: Rules files.

    Raises:
        PrometheusError: when it ends or is not ready in time.
        ToolError: when it cannot be built.
    """
    tool, port = build("prometheus", progress), free_port()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = _configuration(f"127.0.0.1:{port}", scraped, rules)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (folder / "data").mkdir()
        if series:
            _blocks(folder, series, progress)
        command = [
            str(tool),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        with (folder / "log").open("w+", encoding="utf-8") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=scratch)
            try:
                server = Prometheus(f"http://127.0.0.1:{port}")
                _wait(server, process, folder / "log")
                yield server
            finally:
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if server.get("/-/ready")[0] == 200:  # noqa: PLR2004
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise PrometheusError("\n".join(log.read_text(encoding="utf-8").splitlines()[-15:]))
