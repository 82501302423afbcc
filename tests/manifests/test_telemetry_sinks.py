"""The audit stream's sinks: one over HTTP receives records with the token of a file; the collector accepts all four kinds.

Not proven: that AWS takes what the S3 and Kinesis exporters and the signature send.
"""

import gzip
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.graph.model import Graph
from components.observability.telemetry import gateway
from components.observability.telemetry.sinks import exporters
from sandbox.otelcol import LOOPBACK, free_port, listening, refusal, running, wait_until
from sandbox.toolchain import build
from tests.manifests.test_telemetry_schema import SAMPLES
from tests.support.graphs import loaded
from tests.support.program import changed
from tests.support.telemetry import REGION, gate

TOKEN = "a-token-of-the-soc"  # noqa: S105
PIPELINE = "arn:aws:osis:eu-west-1:111122223333:pipeline/audit"
SINKS: dict[str, Any] = {
    "soc": {"kind": "http", "url": "https://siem.example.org/otlp/v1/logs"},
    "search": {"kind": "opensearch", "url": "https://audit-x.eu-west-1.osis.amazonaws.com/v1/logs", "pipeline_arn": PIPELINE},
    "archive": {"kind": "s3"},
    "stream": {"kind": "firehose"},
}
PLACES = {"archive": "clearing-dev-audit", "stream": "clearing-dev-eu-west-1-audit-stream"}


def known(*names: str) -> Graph:
    """The development stack with these sinks."""
    data = changed("dev")
    data["siem"] = {**data.get("siem", {}), "sinks": {name: SINKS[name] for name in names}}
    return Graph.of(loaded(data))


@contextmanager
def receiver() -> Iterator[tuple[int, list[tuple[str, str, bytes]]]]:
    """A port of loopback, and what came: path, authorization and body."""
    got: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            got.append((self.path, self.headers.get("Authorization", ""), gzip.decompress(body) if packed else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def collector() -> Path:
    return build("otelcol", lambda _line: None)


def test_a_sink_over_http_gets_audit_records_alone_redacted_and_with_its_token(collector: Path, tmp_path: Path):
    graph, port, events = known("soc"), free_port(), free_port()
    config = gate(graph, tmp_path / "out", tmp_path / "state", port)
    config["receivers"]["otlp/events"]["protocols"]["http"]["endpoint"] = f"{LOOPBACK}:{events}"
    authenticator = config["extensions"]["bearertokenauth/siem-soc"]
    assert authenticator["filename"] == "/vault/secrets/siem-soc"
    (tmp_path / "token").write_text(TOKEN)
    authenticator["filename"] = str(tmp_path / "token")
    alert = json.dumps({**SAMPLES["falco.alert"][2], "output": "curl -H password=correct-horse"})
    lines = [{"body": {"stringValue": one}} for one in (alert, "an ordinary line")]
    body = json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": lines}]}]}).encode()
    with receiver() as (sink, got):
        own = exporters(graph.settings.siem, REGION, {})["otlp_http/siem-soc"]
        config["exporters"]["otlp_http/siem-soc"] = {**own, "logs_endpoint": f"http://{LOOPBACK}:{sink}/otlp/v1/logs"}
        pipeline = config["service"]["pipelines"]["logs/audit"]
        pipeline["exporters"] = ["otlp_http/siem-soc" if "siem" in one else one for one in pipeline["exporters"]]
        config["exporters"].pop("file/otlp_http-siem-soc")
        with running(collector, config, tmp_path / "run") as process, listening(process, tmp_path / "run", events):
            url, told = f"http://{LOOPBACK}:{events}/v1/logs", {"Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(url, body, told), timeout=30).close()
            wait_until(process, tmp_path / "run", lambda: bool(got))
    ((path, authorization, sent),) = got
    assert (path, authorization) == ("/otlp/v1/logs", f"Bearer {TOKEN}")
    assert b"falco.alert" in sent
    assert b"[redacted:named]" in sent
    assert b"correct-horse" not in sent
    assert b"an ordinary line" not in sent


def test_the_collector_accepts_every_kind_of_sink_at_once_and_none_without_its_place(collector: Path, tmp_path: Path):
    assert refusal(collector, gateway.config(known(*SINKS), REGION, PLACES), tmp_path) is None
    with pytest.raises(KeyError):
        gateway.config(known("archive"), REGION, {})
    broken = gateway.config(known(*SINKS), REGION, PLACES)
    broken["exporters"]["awss3/siem-archive"]["s3uploader"].pop("region")
    broken["exporters"]["awss3/siem-archive"]["s3uploader"].pop("s3_bucket")
    assert "bucket" in str(refusal(collector, broken, tmp_path))


@pytest.mark.parametrize("name", sorted(SINKS))
def test_a_sink_has_a_queue_of_its_own_on_disk_and_holds_no_secret(name: str):
    (made,) = exporters(known(name).settings.siem, REGION, PLACES).values()
    assert made["sending_queue"]["storage"] == "file_storage"
    assert made["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert TOKEN not in json.dumps(made)
