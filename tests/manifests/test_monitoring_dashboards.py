"""Every query of every dashboard, read by the engine that will be asked: promtool for metrics, a running Loki for lines."""

import json
import time

import pytest

from components.observability.dashboards import queries
from components.observability.dashboards_pages import pages
from components.observability.loki import loki_config, runtime_config
from sandbox.loki import Loki, running
from sandbox.promtool import refused_queries
from tests.unit.test_network_policies import shipped

GRAPH = shipped("prod")
PAGES = pages(GRAPH)


def test_prometheus_reads_every_query_of_metrics():
    asked = [query for page in PAGES for query in queries(page, "promql")]
    assert len(asked) > 40
    assert refused_queries(asked) == {}
    assert refused_queries([asked[0] + ")"])


def test_loki_reads_every_query_of_lines():
    asked = sorted({query for page in PAGES for query in queries(page, "logql")})
    assert len(asked) >= 4
    with running(loki_config(region=GRAPH.regions[0], bucket="b"), runtime_config(GRAPH)) as loki:
        assert [said for query in asked if (said := loki.refuses(query))] == []
        assert all(loki.refuses(f"{query} |") for query in asked)


def kick(server: Loki, event: dict[str, str]) -> None:
    """An event as the side-kick pushes it: labels of its own making, the event for a line (falcosidekick, outputs/loki.go)."""
    stream = {
        "stream": {"source": "syscall", "rule": "x", "priority": "Critical"},
        "values": [[str(time.time_ns()), json.dumps(event)]],
    }
    assert server.ask("/loki/api/v1/push", tenant="security", body={"streams": [stream]})[0] == 204


def test_each_page_of_lines_shows_what_it_is_for_and_leaves_out_the_rest():
    """Records with the names that collector and side-kick give them: a query that never finds anything fails here."""
    asked = {(panel.source, query) for page in PAGES for panel in page.panels if panel.form == "logs" for query in panel.queries}
    tenant = GRAPH.tenants[0]
    with running(loki_config(region=GRAPH.regions[0], bucket="b"), runtime_config(GRAPH)) as loki:
        for kind in ("denied", "info"):
            assert loki.push("audit", kind, service__name="audit", event__type=kind) == 204
        for status in (403, 200):
            line = json.dumps({"status": status})
            assert loki.push(tenant, line, service__name="api-ms", k8s__container__name="istio-proxy") == 204
        kick(loki, {"output": "a shell"})
        shown = {source: loki.lines(source.removeprefix("loki-"), query) for source, query in asked}
    assert shown["loki-audit"] == ["denied"]
    assert shown[f"loki-{tenant}"] == [json.dumps({"status": 403})]
    assert shown["loki-security"] == [json.dumps({"output": "a shell"})]
    assert set(shown) == {"loki-audit", "loki-security", *(f"loki-{name}" for name in GRAPH.tenants)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_panels_and_each_asks_something(page):
    assert page.panels
    assert all(panel.queries and all(panel.queries) for panel in page.panels)
