"""The platform's own Loki configuration in a real Loki: judged as it stands, and run on loopback with a folder for its bucket.

What differs when it runs is said once, in `local`: where objects lie, how many instances there are, and where it listens.
"""

import copy
import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from sandbox.toolchain import build

READY_SECONDS: Final = 120
TENANT_HEADER: Final = "X-Scope-OrgID"


class LokiError(Exception):
    """Loki did not start; the message has its last lines."""

    user_facing = True


def verify(config: Mapping[str, Any], progress: Callable[[str], None] = lambda _line: None) -> tuple[bool, str]:
    """Whether Loki accepts a configuration, and its last lines. Raises ToolError when it cannot be built."""
    tool = build("loki", progress)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "loki.yaml"
        file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        done = subprocess.run(
            [str(tool), "-verify-config", f"-config.file={file}"], capture_output=True, text=True, check=False, cwd=scratch
        )
    return done.returncode == 0, (done.stdout + done.stderr).strip()[-2000:]


def free_port() -> int:
    """A port of loopback that nobody listens on right now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def local(config: Mapping[str, Any], folder: Path, runtime: Path, ports: tuple[int, int]) -> dict[str, Any]:
    """The configuration of one instance on loopback whose objects lie in a folder."""
    wanted = copy.deepcopy(dict(config))
    http, grpc = ports
    ring = {"kvstore": {"store": "inmemory"}, "instance_addr": "127.0.0.1"}
    listen = {"http_listen_address": "127.0.0.1", "http_listen_port": http}
    wanted["server"] |= {**listen, "grpc_listen_address": "127.0.0.1", "grpc_listen_port": grpc, "log_level": "warn"}
    wanted["common"] |= {
        "path_prefix": str(folder),
        "replication_factor": 1,
        "ring": ring,
        "instance_addr": "127.0.0.1",
        "compactor_grpc_address": f"127.0.0.1:{grpc}",
        "storage": {"filesystem": {"chunks_directory": str(folder / "chunks"), "rules_directory": str(folder / "rules")}},
    }
    for one in wanted["schema_config"]["configs"]:
        one["object_store"] = "filesystem"
    wanted["runtime_config"]["file"] = str(runtime)
    wanted["ingester"]["wal"]["dir"] = str(folder / "wal")
    wanted["compactor"] |= {"working_directory": str(folder / "compactor"), "delete_request_store": "filesystem"}
    # What it found is asked over its API, which the cluster's has not.
    wanted["ruler"] |= {"enable_api": True, "poll_interval": "1s", "alertmanager_url": ""}
    wanted["ruler"] |= {"rule_path": str(folder / "rule-path"), "ring": ring, "storage": {"type": "local", "local": {}}}
    wanted["ruler"]["storage"]["local"]["directory"] = str(folder / "rules")
    wanted["frontend"] = {"address": "127.0.0.1"}
    # Without other instances nothing is gossiped; the port would be open to the machine's network.
    wanted["memberlist"] = {"bind_addr": ["127.0.0.1"], "bind_port": 0}
    return wanted


class Loki:
    """A running Loki."""

    def __init__(self, base: str) -> None:
        self.base = base

    def ask(self, path: str, *, tenant: str | None, body: Mapping[str, Any] | None = None, **query: str) -> tuple[int, str]:
        """Status and text of a request under a tenant's name; a body makes it a POST of JSON."""
        url = f"{self.base}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(dict(body)).encode()
        headers = {"Content-Type": "application/json"} | ({TENANT_HEADER: tenant} if tenant else {})
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def push(self, tenant: str | None, line: str, **attributes: str) -> int:
        """Sends one line by OTLP over HTTP with resource attributes; the status (204 when it is taken)."""
        resource = [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()]
        record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": line}}
        scope = {"scope": {"name": "test"}, "logRecords": [record]}
        body = {"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [scope]}]}
        return self.ask("/otlp/v1/logs", tenant=tenant, body=body)[0]

    def lines(self, tenant: str, query: str) -> list[str]:
        """The lines that a query gives a tenant, sorted."""
        status, text = self.ask("/loki/api/v1/query_range", tenant=tenant, query=query, limit="100")
        if status != 200:  # noqa: PLR2004
            raise LokiError(text)
        return sorted(value[1] for stream in json.loads(text)["data"]["result"] for value in stream["values"])

    def alerts(self, tenant: str) -> dict[str, dict[str, Any]]:
        """The ruler's alerts by name: as its API has them, with `state` and what fires."""
        status, text = self.ask("/prometheus/api/v1/rules", tenant=tenant)
        if status != 200:  # noqa: PLR2004
            raise LokiError(text)
        return {rule["name"]: rule for group in json.loads(text)["data"]["groups"] for rule in group["rules"]}

    def refuses(self, query: str) -> str | None:
        """Why Loki cannot read a query of LogQL; None when it can."""
        status, text = self.ask("/loki/api/v1/format_query", tenant="reader", query=query)
        return None if status == 200 else text  # noqa: PLR2004


@contextmanager
def running(
    config: Mapping[str, Any],
    runtime: Mapping[str, Any],
    progress: Callable[[str], None] = lambda _line: None,
    rules: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Iterator[Loki]:
    """A Loki with the platform's configuration on loopback, ready, ended afterwards.

    Args:
        config: The configuration.
        runtime: Limits of the tenants.
        progress: Told while the program is built.
        rules: The ruler's files: by tenant, text by file name.

    Raises:
        LokiError: when it ends or is not ready in time.
        ToolError: when it cannot be built.
    """
    tool = build("loki", progress)
    with tempfile.TemporaryDirectory() as scratch:
        folder, ports = Path(scratch), (free_port(), free_port())
        (folder / "rules").mkdir()
        for tenant, files in rules.items():
            (folder / "rules" / tenant).mkdir()
            for name, text in files.items():
                (folder / "rules" / tenant / name).write_text(text, encoding="utf-8")
        (folder / "runtime.yaml").write_text(yaml.safe_dump(dict(runtime)), encoding="utf-8")
        file = folder / "loki.yaml"
        file.write_text(yaml.safe_dump(local(config, folder, folder / "runtime.yaml", ports)), encoding="utf-8")
        with (folder / "log").open("w+", encoding="utf-8") as log:
            process = subprocess.Popen([str(tool), f"-config.file={file}"], stdout=log, stderr=log, cwd=scratch)
            try:
                server = Loki(f"http://127.0.0.1:{ports[0]}")
                _wait(server, process, folder / "log")
                yield server
            finally:
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait(server: Loki, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if server.ask("/ready", tenant=None)[0] == 200:  # noqa: PLR2004
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise LokiError("\n".join(log.read_text(encoding="utf-8").splitlines()[-15:]))
