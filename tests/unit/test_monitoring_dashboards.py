"""Dashboards as Grafana takes them: unique, in folders, each panel with a data source that exists, each metric a known one."""

import json
import re
from pathlib import Path

import pytest

from components.observability.alert_rules import rule_files
from components.observability.dashboards import COLUMNS, LABEL, dashboard, dashboard_objects, queries
from components.observability.dashboards_pages import pages
from components.observability.grafana import data_sources, grafana_ini
from tests.support.program import STACKS
from tests.unit.test_network_policies import shipped

GRAPH = shipped("prod")
PAGES = pages(GRAPH)
METRICS = Path(__file__).parents[1] / "data/metrics"
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
RUN = ("loki_", "otelcol_", "prometheus_")
"""What these programs export is asked of the programs themselves (`test_monitoring_metrics`)."""
WORDS = {
    *("sum", "by", "rate", "increase", "max", "count", "histogram_quantile", "le", "time", "absent", "and", "unless", "vector"),
    *("changes", "label_replace", "without", "on", "offset", "min", "avg", "or", "group_left"),
}


def metrics_of(query: str) -> set[str]:
    """Names of metrics in a query: what stands outside of braces, strings, grouping, times and functions."""
    text = re.sub(r'"[^"]*"', "", query)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b[0-9]+[smhdwy]\b", "", text)
    text = re.sub(r"\b(by|without|on|group_left)\s*\([^)]*\)", "", text)
    return {name for name in NAME.findall(text) if name not in WORDS}


def asked() -> set[str]:
    """Every metric that a dashboard or a rule asks for."""
    rules = [rule for document in rule_files().values() for group in document["groups"] for rule in group["rules"]]
    of_pages = {name for page in PAGES for query in queries(page, "promql") for name in metrics_of(query)}
    return of_pages | {name for rule in rules for name in metrics_of(rule["expr"])}


def recorded() -> set[str]:
    """Every metric of the lists."""
    return {line for file in METRICS.glob("*.txt") for line in file.read_text().splitlines() if line and line[0] != "#"}


def test_every_metric_that_a_dashboard_or_rule_asks_for_is_one_that_somebody_exports():
    groups = [group for document in rule_files().values() for group in document["groups"]]
    known = recorded() | {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    assert sorted(name for name in asked() - known if not name.startswith(RUN)) == []
    # What runs here needs no list, but for the operator, which does not.
    assert [name for name in recorded() if name.startswith(RUN)] == ["prometheus_operator_managed_resources"]
    assert {name for name in asked() if name.startswith("prometheus_operator_")} <= recorded()


def test_the_lists_hold_no_metric_that_nobody_asks_for():
    assert sorted(recorded() - asked()) == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_panel_reads_from_a_data_source_that_grafana_is_given(stack):
    graph = shipped(stack)
    sources = {one["uid"] for one in data_sources(graph)}
    used = {panel.source for page in pages(graph) for panel in page.panels}
    assert used <= sources
    assert {f"loki-{tenant}" for tenant in graph.tenants} <= used


def test_a_tenants_source_bears_its_own_name_and_no_other():
    for one in data_sources(GRAPH):
        if one["type"] != "prometheus":
            assert one["uid"] == f"{one['type']}-{one['secureJsonData']['httpHeaderValue1']}"
            assert one["jsonData"] == {"httpHeaderName1": "X-Scope-OrgID"}


def test_pages_are_told_apart_by_name_and_panels_never_overlap():
    assert len({page.name for page in PAGES}) == len(PAGES)
    for page in PAGES:
        taken = set()
        for panel in dashboard(page)["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= COLUMNS
            cells = {(x, place["y"]) for x in range(place["x"], place["x"] + place["w"])}
            assert not cells & taken
            taken |= cells


def test_each_page_is_an_object_that_grafanas_reader_finds_in_its_folder():
    objects = dashboard_objects(PAGES)
    assert [one["metadata"]["labels"][LABEL] for one in objects] == ["1"] * len(PAGES)
    for one, page in zip(objects, PAGES, strict=True):
        (text,) = one["data"].values()
        assert json.loads(text)["uid"] == page.name
        assert one["metadata"]["annotations"]["grafana_folder"] == page.folder
        assert len(text) < 500_000


def test_a_tenants_page_asks_about_no_other_tenant():
    for page in PAGES:
        if page.name.startswith("tenant-"):
            own = page.name.removeprefix("tenant-")
            others = [tenant for tenant in GRAPH.tenants if tenant != own]
            text = " ".join([*queries(page, "promql"), *queries(page, "logql")])
            assert not [tenant for tenant in others if f'"{tenant}"' in text]
            assert {panel.source for panel in page.panels} == {"prometheus", f"loki-{own}"}


def test_nobody_gets_into_grafana_by_password_or_without_a_role():
    settings = grafana_ini(GRAPH)
    assert settings["auth"]["disable_login_form"]
    assert settings["auth.basic"] == settings["auth.anonymous"] == {"enabled": False}
    assert settings["security"]["disable_initial_admin_creation"]
    login = settings["auth.generic_oauth"]
    assert login["use_pkce"]
    assert login["role_attribute_strict"]
    assert "client_secret" not in login
    assert "password" not in json.dumps(settings)
