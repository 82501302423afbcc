"""What alerts and dashboards ask of the collector, Loki and Prometheus, asked of these programs: a real Prometheus scrapes them.

The collectors run on the platform's own configurations, with stores that refuse for good and one that never answers; the rules
are the files that are installed. What is not proven: how long an alert waits (promtool's tests), and how the mesh's proxies merge
what they scrape with their own.
"""

import http.server
import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from components.observability.alert_rules import FOLDER, rule_files
from components.observability.dashboards import queries
from components.observability.loki import loki_config, runtime_config
from components.observability.telemetry.agents import chart_values as agent_values
from components.observability.telemetry.agents import config as agent_config
from components.observability.telemetry.gateway import config as gateway_config
from components.observability.telemetry.names import METRICS_PORT, own_telemetry
from components.observability.telemetry.releases import gateway_values, log_groups, reader_config, reader_values
from sandbox import loki, prometheus
from sandbox.otelcol import LOOPBACK, Config, free_port, listening, running
from sandbox.prometheus import Prometheus
from sandbox.toolchain import build
from tests.manifests.test_telemetry_schema import READ
from tests.manifests.test_telemetry_traces import send, span
from tests.support.telemetry import REGION, agent, gate, graph
from tests.support.telemetry_logs import write_pod
from tests.unit.test_monitoring_dashboards import PAGES, RUN, asked, metrics_of

DEADLINE_SECONDS = 90
REFUSED, FULL = "otlp_http/loki-audit", "otlp_http/siem-soc"
ELSEWHERE = {"prometheus_operator_managed_resources"}
"""Of a program that does not run here; held to its source (tests/data/metrics)."""
LABEL = re.compile(r'([a-z_]+)\s*(?:=~|!=|!~|=)\s*"')
GROUPING = re.compile(r"\b(?:by|on|without)\s*\(([^)]*)\)")


class Refusing(http.server.BaseHTTPRequestHandler):
    """A store that takes nothing, for good: 400."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: the test's output is no log."""


@contextmanager
def refusing() -> Iterator[str]:
    """The address of such a store."""
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def measured(config: Config, port: int) -> Config:
    """The configuration with its own telemetry as it is installed, at another port."""
    told: dict[str, Any] = own_telemetry()
    told["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]["port"] = port
    config["service"]["telemetry"] = told
    return config


def failing(config: Config, refusal: str) -> Config:
    """A gateway of which two outlets fail: the one is refused for good, the other never answers and its queue has one place."""
    store = gateway_config(graph(), REGION)["exporters"][REFUSED]
    small = {**store["sending_queue"], "queue_size": 1, "num_consumers": 1}
    outlets = {REFUSED: {**store, "endpoint": refusal}, FULL: {**store, "sending_queue": small}}
    outlets[FULL]["endpoint"] = f"http://{LOOPBACK}:{free_port()}"
    spans = {f"otlp_http/traces-{name}": one for name, one in zip(("refused", "full"), outlets.values(), strict=True)}
    config["exporters"] |= {**outlets, **spans}
    config["service"]["pipelines"]["logs/audit"]["exporters"] = list(outlets)
    incoming = config["service"]["pipelines"]["traces/in"]
    incoming["exporters"] += list(spans)
    incoming["processors"].append("batch")  # or a full queue is the sender's to hear of
    config["processors"]["batch"] = {"timeout": "100ms", "send_batch_size": 1, "send_batch_max_size": 1}
    return config


def record(port: int, origin: str) -> None:
    """One audit record as the reader sends it."""
    resource = {"attributes": [{"key": "zerotrust.origin", "value": {"stringValue": origin}}]}
    logs = [{"logRecords": [{"body": {"stringValue": json.dumps(READ[origin])}}]}]
    body = json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": logs}]}).encode()
    url = f"http://{LOOPBACK}:{port}/v1/logs"
    urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=30).close()


def old_line(server: loki.Loki) -> None:
    """A line that Loki refuses: of three years ago."""
    stamp = str(time.time_ns() - 3 * 365 * 86400 * 10**9)
    body = {"streams": [{"stream": {"service_name": "x"}, "values": [[stamp, "old"]]}]}
    assert server.ask("/loki/api/v1/push", tenant="bank-a", body=body)[0] == 400


def pending(server: Prometheus) -> set[tuple[str, str]]:
    """Alerts that wait or fire, each with its exporter."""
    _, found = server.query("ALERTS")
    return {(one["metric"]["alertname"], one["metric"].get("exporter", "")) for one in found}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the platform's rules that has seen a gateway, an agent and a Loki at work and in trouble."""
    folder, collector = tmp_path_factory.mktemp("measured"), build("otelcol", lambda _line: None)
    port, audit, proxies, of_gate, of_agent = (free_port() for _ in range(5))
    write_pod(folder / "logs", "bank-a", "api-ms", ["one line"], pod="api-ms-0")
    with ExitStack() as held:
        back = failing(gate(graph(), folder / "out", folder / "gate-state", port), held.enter_context(refusing()))
        back["receivers"]["otlp/audit"]["protocols"] = {"http": {"endpoint": f"{LOOPBACK}:{audit}"}}
        back["receivers"]["otlp/mesh"]["protocols"] = {"http": {"endpoint": f"{LOOPBACK}:{proxies}"}}
        front = agent(folder / "logs", folder / "flows", folder / "agent-state", port)
        behind = held.enter_context(running(collector, measured(back, of_gate), folder / "gate"))
        for wanted in (port, audit, proxies, of_gate):
            held.enter_context(listening(behind, folder / "gate", wanted))
        held.enter_context(running(collector, measured(front, of_agent), folder / "agent"))
        store = held.enter_context(loki.running(loki_config(region=REGION, bucket="b"), runtime_config(graph())))
        assert store.push("bank-a", "a line", service__name="x") == 204
        old_line(store)
        targets = {
            f"{LOOPBACK}:{of_gate}": {"namespace": "observability", "pod": "telemetry-gateway-0"},
            f"{LOOPBACK}:{of_agent}": {"namespace": "node-telemetry", "pod": "telemetry-agent-x"},
            store.base.removeprefix("http://"): {"namespace": "observability", "pod": "loki-0"},
        }
        rules = sorted(FOLDER.glob("*.yaml"))
        server = held.enter_context(prometheus.running({}, scraped=targets, rules=rules))
        loses = {("AuditSinkFails", REFUSED), ("AuditSinkFails", FULL)}
        loses |= {("TelemetryLost", f"otlp_http/traces-{name}") for name in ("refused", "full")}

        def work(number: int) -> None:
            record(audit, "kubernetes-audit")
            send(proxies, [span(number, "ordinary", {})], {})

        until(lambda: loses <= pending(server), work)
        yield server


def until(done: Callable[[], bool], work: Callable[[int], None]) -> None:
    """Works until something is so, or long enough: the tests say what is missing."""
    end, number = time.monotonic() + DEADLINE_SECONDS, 0
    while not done() and time.monotonic() < end:
        work(number)
        number += 1
        time.sleep(0.3)


def expressions() -> list[str]:
    """Every query of the pages and every rule that asks these programs alone."""
    rules = [rule["expr"] for document in rule_files().values() for group in document["groups"] for rule in group["rules"]]
    every = [*rules, *(query for page in PAGES for query in queries(page, "promql"))]
    return [one for one in every if (names := metrics_of(one)) and all(name.startswith(RUN) for name in names - ELSEWHERE)]


def labels_of(query: str) -> set[str]:
    """The labels that a query names."""
    grouped = (label.strip() for group in GROUPING.findall(query) for label in group.split(","))
    return {*LABEL.findall(query), *grouped} - {""}


def test_every_metric_that_is_asked_of_these_programs_is_one_that_they_export(scraped: Prometheus):
    status, text = scraped.get("/api/v1/label/__name__/values")
    assert status == 200
    exported = set(json.loads(text)["data"])
    wanted = {name for name in asked() if name.startswith(RUN)} - ELSEWHERE
    assert len(wanted) >= 15
    assert sorted(wanted - exported) == []


def test_every_label_by_which_they_are_asked_is_one_that_they_give(scraped: Prometheus):
    missing = {}
    for query in expressions():
        given = set()
        for name in metrics_of(query) - ELSEWHERE:
            _, found = scraped.query(name)
            given |= {label for one in found for label in one["metric"]}
        if metrics_of(query) - ELSEWHERE and (lacks := labels_of(query) - given):
            missing[query] = lacks
    assert missing == {}
    assert len(expressions()) >= 20


@pytest.mark.parametrize("exporter", [REFUSED, FULL])
def test_an_audit_outlet_that_refuses_or_never_answers_raises_its_alert(scraped: Prometheus, exporter: str):
    assert ("AuditSinkFails", exporter) in pending(scraped)
    assert ("TelemetryLost", exporter) not in pending(scraped)


@pytest.mark.parametrize("name", ["refused", "full"])
def test_spans_that_are_lost_raise_their_alert(scraped: Prometheus, name: str):
    assert ("TelemetryLost", f"otlp_http/traces-{name}") in pending(scraped)


def test_a_full_queue_is_told_and_an_agent_that_is_well_raises_nothing(scraped: Prometheus):
    assert ("CollectorQueueFills", FULL) in pending(scraped)
    _, found = scraped.query('ALERTS{pod="telemetry-agent-x"}')
    assert found == []


def served(config: Config) -> tuple[str, int]:
    """Where a collector serves its metrics."""
    (reader,) = config["service"]["telemetry"]["metrics"]["readers"]
    exporter = reader["pull"]["exporter"]["prometheus"]
    return exporter["host"], exporter["port"]


def test_a_collector_serves_its_metrics_where_it_is_asked_for_them():
    """In the mesh the one beside the proxy asks on loopback, by the pod's annotations; a node's agent is asked by its address."""
    image, groups = "registry/collector@sha256:" + "0" * 64, log_groups(graph(), REGION, "c", "t")
    meshed = {
        "gateway": (gateway_config(graph(), REGION), gateway_values(graph(), REGION, image)),
        "reader": (reader_config(groups, REGION), reader_values(image, groups, REGION)),
    }
    for config, values in meshed.values():
        assert served(config) == (LOOPBACK, METRICS_PORT)
        told = values["podAnnotations"]
        assert (told["prometheus.io/scrape"], told["prometheus.io/port"]) == ("true", str(METRICS_PORT))
        assert "podMonitor" not in values
    assert served(agent_config()) == ("${env:MY_POD_IP}", METRICS_PORT)
    assert agent_values(image)["podMonitor"]["enabled"]
    assert agent_values(image)["ports"]["metrics"] == {"enabled": True, "containerPort": METRICS_PORT}
