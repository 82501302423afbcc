"""Alerts, their runbooks and their tests stand together; what promtool makes of them is asked in tests/manifests."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.graph.names import OBSERVABILITY_NAMESPACE
from components.observability.alert_rules import LIMIT, LIMITS, alerts, problems, rule_files, rule_objects
from tests.support.program import STACKS, changed
from tests.unit.test_network_policies import graph_of, shipped

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks/alerts"
TESTS = ROOT / "tests/data/alerts"
LOG_ALERTS = ROOT / "components/observability/alerts-logs"
SECTIONS = ["What it means", "What it breaks", "Look", "Act"]
SYSTEMS = sorted(rule_files())


def cases(system: str) -> list[tuple[str, bool, list[str]]]:
    """Of a system's tests: the alert, whether it fires, the rules files it reads."""
    document = yaml.safe_load((TESTS / f"{system}_test.yaml").read_text())
    return [
        (one["alertname"], bool(one.get("exp_alerts")), document["rule_files"])
        for test in document["tests"]
        for one in test.get("alert_rule_test", ())
    ]


def test_there_are_alerts_of_every_core_system():
    assert {"certificates", "cilium", "databases", "kubernetes", "mesh", "monitoring", "platform", "spire"} <= set(SYSTEMS)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    of_logs = [yaml.safe_load(path.read_text()) for path in LOG_ALERTS.glob("*.yaml")]
    named = {rule["alert"] for document in of_logs for group in document["groups"] for rule in group["rules"]}
    assert {rule["alert"] for _, rule in alerts()} | named == {path.stem for path in RUNBOOKS.glob("*.md")}


@pytest.mark.parametrize("alert", sorted({rule["alert"] for _, rule in alerts()}))
def test_a_runbook_says_what_it_means_what_it_breaks_where_to_look_and_what_to_do(alert):
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    parts = dict(zip(SECTIONS, re.split(r"^## .+$", text, flags=re.MULTILINE)[1:], strict=True))
    assert all(part.strip() for part in parts.values())
    assert "```sh\n" in parts["Look"]
    assert 15 <= len(text.splitlines()) <= 40


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_alert_is_tested_firing_and_silent_on_the_file_that_is_installed(system):
    wanted = {rule["alert"]: rule["expr"] for name, rule in alerts() if name == system}
    found = cases(system)
    assert {name for name, fires, _ in found if fires} == set(wanted)
    # What always fires has no silent case.
    assert {name for name, fires, _ in found if not fires} == {name for name, expr in wanted.items() if expr != "vector(1)"}
    assert {tuple(files) for _, _, files in found} == {(f"../../../components/observability/alerts/{system}.yaml",)}


def broken(change: str) -> dict[str, Any]:
    """A good rules file with one thing wrong."""
    document: dict[str, Any] = copy.deepcopy(dict(rule_files()["spire"]))
    rule = document["groups"][0]["rules"][0]
    match change:
        case "severity":
            rule["labels"]["severity"] = "critical"
        case "summary":
            del rule["annotations"]["summary"]
        case "runbook":
            rule["annotations"]["runbook"] = "Another"
        case "name":
            document["groups"][0]["name"] = "others"
        case "kind":
            del rule["alert"]
        case "groups":
            document["groups"] = []
    return document


@pytest.mark.parametrize("change", ["severity", "summary", "runbook", "name", "kind", "groups"])
def test_a_file_that_breaks_a_rule_of_the_house_is_refused(change):
    assert problems("spire", rule_files()["spire"]) == ()
    assert len(problems("spire", broken(change))) == 1


@pytest.mark.parametrize("stack", STACKS)
def test_each_file_becomes_one_object_and_nothing_is_lost_on_the_way(stack):
    objects = rule_objects(shipped(stack))
    assert [one["metadata"]["name"] for one in objects] == SYSTEMS
    assert {one["metadata"]["namespace"] for one in objects} == {OBSERVABILITY_NAMESPACE}
    installed = [rule for one in objects for group in one["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert [rule["alert"] for rule in installed] == [rule["alert"] for _, rule in alerts()]


def limits(settings: dict[str, Any]) -> dict[str, str]:
    """The recording rules of limits as they are installed."""
    data = {**changed("dev"), **settings}
    rules = [rule for one in rule_objects(graph_of(data)) for group in one["spec"]["groups"] for rule in group["rules"]]
    return {rule["record"]: rule["expr"] for rule in rules if rule.get("record", "").endswith(LIMIT)}


@pytest.mark.parametrize(
    ("namespaces", "hours"),
    [
        ({}, 8),
        ({"schedule": "17 2 * * *", "every_hours": 24}, 26),
        ({"tenants": {"bank-a": {"schedule": "5 4 * * *"}}}, 26),
        ({"tenants": {"bank-a": {"keep_days": 7}}}, 8),
    ],
)
def test_a_backup_is_late_two_hours_after_its_schedule(namespaces, hours):
    assert limits({"backup": {"namespaces": namespaces}}) == {"backup:objects_age_seconds:limit": f"vector({hours * 3600})"}


def test_every_limit_of_the_settings_stands_in_a_file_and_an_alert_compares_with_it():
    rules = [rule for document in rule_files().values() for group in document["groups"] for rule in group["rules"]]
    assert {rule["record"] for rule in rules if rule.get("record", "").endswith(LIMIT)} == set(LIMITS)
    for limit in LIMITS:
        assert [rule["alert"] for rule in rules if "alert" in rule and limit in rule["expr"]]
    unknown = {"groups": [{"name": "backup", "rules": [{"record": "backup:other:limit", "expr": "vector(1)"}]}]}
    assert problems("backup", unknown) == ("backup: backup:other:limit: no setting gives this limit",)


def test_an_alert_carries_the_address_of_its_runbook_where_the_settings_publish_them():
    data = changed("dev")
    data["observability"] = {**data.get("observability", {}), "runbooks_url": "https://docs.clearing.example/alerts"}
    for one in rule_objects(graph_of(data)):
        for group in one["spec"]["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    assert rule["annotations"]["runbook_url"] == f"https://docs.clearing.example/alerts/{rule['alert']}.md"
    assert all("runbook_url" not in rule["annotations"] for _, rule in alerts())
