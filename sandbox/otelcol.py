"""Runs the real OpenTelemetry collector on configurations of the program, with its files and addresses brought to one machine.

Only places change: where logs are read, where state lies, who is asked; statements, order of processors and pipelines stay as
the program compiled them. What has no counterpart here (the API server's labels, certificates of the cluster) is named by the
caller. Ports are loopback's and free ones.
"""

import contextlib
import copy
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

LOOPBACK: Final = "127.0.0.1"
_NOBODY: Final = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nobody",  # pragma: allowlist secret
}
"""What signs for AWS asks for credentials when it is checked; no address of a machine's metadata is asked."""
_ENVIRONMENT: Final = {"MY_POD_IP": LOOPBACK, "OTEL_K8S_NODE_NAME": "node-1", "GOMAXPROCS": "2", **_NOBODY}
_DEADLINE_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 0.05
_LAST_LINES: Final = 5
Config = dict[str, Any]


class CollectorError(Exception):
    """The collector refuses a configuration, or stopped, or did not say what it should; with its last lines."""

    user_facing = True


def refusal(binary: Path, config: Mapping[str, Any], folder: Path) -> str | None:
    """What the collector's own check says against a configuration; None when it accepts it."""
    path = _write(config, folder)
    ran = subprocess.run(
        [str(binary), "validate", "--config", f"file:{path}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_ENVIRONMENT},
    )
    return None if ran.returncode == 0 else (ran.stderr or ran.stdout).strip()


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def without(config: Mapping[str, Any], *components: str) -> Config:
    """A copy without these components, in the lists of the pipelines and of the service too."""
    made = copy.deepcopy(dict(config))
    for section in ("receivers", "processors", "exporters", "connectors", "extensions"):
        for name in components:
            made.get(section, {}).pop(name, None)
    service = made["service"]
    service["extensions"] = [name for name in service.get("extensions", []) if name not in components]
    for pipeline in service["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            pipeline[kind] = [name for name in pipeline.get(kind, []) if name not in components]
    return made


def quiet(config: Mapping[str, Any], state: Path) -> Config:
    """A copy that keeps its state in a folder, tells nobody of its health and serves no metrics."""
    made = without(config, "health_check")
    storage = made["extensions"].get("file_storage")
    if storage is not None:
        storage["directory"] = str(state)
    made["service"]["telemetry"] = {"logs": {"level": "warn"}, "metrics": {"level": "none"}}
    return made


@contextlib.contextmanager
def running(binary: Path, config: Mapping[str, Any], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The collector on a configuration. At the end it is asked to stop and flushes what it holds.

    Raises:
        CollectorError: when it ended by itself, or does not end.
    """
    path = _write(config, folder)
    with (folder / "collector.log").open("ab") as log:
        process = subprocess.Popen(
            [str(binary), "--config", f"file:{path}"], stdout=log, stderr=log, env={**os.environ, **_ENVIRONMENT}
        )
        try:
            yield process
            if process.poll() is not None:
                raise CollectorError(_said(folder))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise CollectorError(_said(folder)) from None


def wait_until(process: subprocess.Popen[bytes], folder: Path, done: Callable[[], bool]) -> None:
    """Returns when `done` says so.

    Raises:
        CollectorError: when the collector ends before, or nothing happens within two minutes.
    """
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not done():
        if process.poll() is not None or time.monotonic() > deadline:
            raise CollectorError(_said(folder))
        time.sleep(_TICK_SECONDS)


@contextlib.contextmanager
def listening(process: subprocess.Popen[bytes], folder: Path, port: int) -> Iterator[None]:
    """Waits until the collector answers at a port."""

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    wait_until(process, folder, answers)
    yield


def records(path: Path) -> list[dict[str, Any]]:
    """Log records of a file exporter: `body`, `attributes` and `resource`, as plain values. A half-written line is left out."""
    made = []
    for batch in _lines(path):
        for held in batch.get("resourceLogs", ()):
            resource = _map(held["resource"].get("attributes", ()))
            for scope in held["scopeLogs"]:
                made += [
                    {"body": _value(one.get("body", {})), "attributes": _map(one.get("attributes", ())), "resource": resource}
                    for one in scope["logRecords"]
                ]
    return made


def spans(path: Path) -> list[dict[str, Any]]:
    """Spans of a file exporter: as OTLP has them, with `attributes` and `resource` as plain values."""
    made = []
    for batch in _lines(path):
        for held in batch.get("resourceSpans", ()):
            resource = _map(held["resource"].get("attributes", ()))
            for scope in held["scopeSpans"]:
                made += [{**one, "attributes": _map(one.get("attributes", ())), "resource": resource} for one in scope["spans"]]
    return made


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)


def _map(pairs: Any) -> dict[str, Any]:
    return {pair["key"]: _value(pair["value"]) for pair in pairs}


def _value(value: Mapping[str, Any]) -> Any:
    match value:
        case {"kvlistValue": inner}:
            return _map(inner.get("values", ()))
        case {"arrayValue": inner}:
            return [_value(one) for one in inner.get("values", ())]
        case {"intValue": number}:
            return int(number)
        case _:
            return next(iter(value.values()), None)


def _write(config: Mapping[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def _said(folder: Path) -> str:
    log = folder / "collector.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return "the collector: " + (" | ".join(lines[-_LAST_LINES:]) or "said nothing")
