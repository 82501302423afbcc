"""The platform's own Jaeger configuration in a real Jaeger: judged as it stands, and run on loopback with a folder for a volume.

What differs when it runs is said once, in `local`: where the database lies, which ports are free, and that spans come by HTTP.
"""

import copy
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sandbox.toolchain import build

LOOPBACK: Final = "127.0.0.1"
TENANT_HEADER: Final = "X-Scope-OrgID"
READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0
_ENVIRONMENT: Final = {"MY_POD_IP": LOOPBACK}
_LAST_LINES: Final = 8
_TICK_SECONDS: Final = 0.1


class JaegerError(Exception):
    """Jaeger did not start, ended, or did not end; the message has its last lines."""

    user_facing = True


def refusal(config: Mapping[str, Any], folder: Path, progress: Callable[[str], None] = lambda _line: None) -> str | None:
    """What Jaeger's own check says against a configuration; None when it accepts it. Raises ToolError when it cannot be built."""
    file = _written(config, folder)
    command = [str(build("jaeger", progress)), "validate", "--config", f"file:{file}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **_ENVIRONMENT})
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()[-2000:]


def free_port() -> int:
    """A port of loopback that nobody listens on right now."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        return int(held.getsockname()[1])


def local(config: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """The configuration on loopback: the database in a folder, free ports, spans by HTTP."""
    made = copy.deepcopy(dict(config))
    parts = made["extensions"]
    for backend in parts["jaeger_storage"]["backends"].values():
        backend["badger"]["directories"] = {"keys": str(data / "keys"), "values": str(data / "values")}
    for one in (parts["healthcheckv2"]["http"], parts["jaeger_query"]["http"], parts["jaeger_query"]["grpc"]):
        one["endpoint"] = f"{LOOPBACK}:{free_port()}"
    made["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"{LOOPBACK}:{free_port()}"}}
    for reader in made["service"]["telemetry"]["metrics"]["readers"]:
        reader["pull"]["exporter"]["prometheus"] = {"host": LOOPBACK, "port": free_port()}
    return made


class Jaeger:
    """A running Jaeger."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        query, health = (config["extensions"][name]["http"] for name in ("jaeger_query", "healthcheckv2"))
        reader = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
        self._query, self._health = f"http://{query['endpoint']}", f"http://{health['endpoint']}{health['status']['path']}"
        self._spans = f"http://{config['receivers']['otlp']['protocols']['http']['endpoint']}/v1/traces"
        self._metrics = f"http://{LOOPBACK}:{reader['port']}/metrics"

    def ask(self, path: str, *, tenant: str | None, **query: str) -> tuple[int, str]:
        """Status and text of a request under a tenant's name."""
        url = f"{self._query}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        return _asked(urllib.request.Request(url, headers={TENANT_HEADER: tenant} if tenant else {}))  # noqa: S310

    def send(self, trace: str, service: str, *, age_seconds: int = 0) -> int:
        """Sends one span of a trace (32 hex digits), as old as wanted; the status (200 when it is stored)."""
        began = time.time_ns() - age_seconds * 10**9
        span = {
            "traceId": trace,
            "spanId": trace[16:],
            "name": "call",
            "kind": 2,
            "startTimeUnixNano": str(began),
            "endTimeUnixNano": str(began + 10**6),
        }
        named = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        body = json.dumps({"resourceSpans": [{"resource": named, "scopeSpans": [{"spans": [span]}]}]}).encode()
        return _asked(urllib.request.Request(self._spans, body, {"Content-Type": "application/json"}))[0]  # noqa: S310

    def services(self, tenant: str) -> set[str]:
        """Services whose spans a tenant is answered."""
        status, text = self.ask("/api/services", tenant=tenant)
        if status != 200:  # noqa: PLR2004
            raise JaegerError(text)
        return set(json.loads(text)["data"] or ())

    def healthy(self) -> bool:
        """Whether it says so where the kubelet asks."""
        return _asked(urllib.request.Request(self._health))[0] == 200  # noqa: PLR2004, S310

    def metrics(self) -> set[str]:
        """Names of what it exports to Prometheus."""
        lines = _asked(urllib.request.Request(self._metrics))[1].splitlines()  # noqa: S310
        return {line.partition("{")[0].partition(" ")[0] for line in lines if line and not line.startswith("#")}


@contextmanager
def running(config: Mapping[str, Any], folder: Path, progress: Callable[[str], None] = lambda _line: None) -> Iterator[Jaeger]:
    """A Jaeger with a configuration on loopback, ready, ended afterwards; what it stored stays in the folder.

    Raises:
        JaegerError: when it ends, is not ready in time or does not end.
        ToolError: when it cannot be built.
    """
    tool, wanted = build("jaeger", progress), local(config, folder / "data")
    file = _written(wanted, folder)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(tool), "--config", f"file:{file}"], stdout=log, stderr=log, env={**os.environ, **_ENVIRONMENT}
        )
        try:
            server = Jaeger(wanted)
            _wait(server, process, folder / "log")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise JaegerError(_said(folder / "log")) from None


def _asked(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def _wait(server: Jaeger, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if server.healthy():
                return
        except OSError:
            pass
        time.sleep(_TICK_SECONDS)
    raise JaegerError(_said(log))


def _written(config: Mapping[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "jaeger.json"
    file.write_text(json.dumps(dict(config)), encoding="utf-8")
    return file


def _said(log: Path) -> str:
    return "Jaeger: " + " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])
