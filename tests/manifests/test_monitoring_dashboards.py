"""Every query of every dashboard, read by the engine that will be asked: promtool for metrics, a running Loki for lines."""

import pytest

from components.observability.dashboards import queries
from components.observability.dashboards_pages import pages
from components.observability.loki import loki_config, runtime_config
from sandbox.loki import running
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_panels_and_each_asks_something(page):
    assert page.panels
    assert all(panel.queries and all(panel.queries) for panel in page.panels)
