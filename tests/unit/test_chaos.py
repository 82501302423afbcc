"""Game days: where a fault may be, what ends it, and that the runbook tells all of them.

Not proven here: what Chaos Mesh does with a Workflow; Prometheus's own verdict on a gate is asked in tests/manifests.
"""

import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from components.chaos import chart
from components.chaos.game_days import every_game_day, game_days
from components.chaos.table import table
from components.chaos.workflow import PROMETHEUS_SERVICE, gate, region_objects, violated, workflow
from components.cni import policies_backup, policies_observability
from components.graph.model import Graph
from components.settings import SettingsError, load
from tests.support.charts import unknown
from tests.support.program import changed, stack_settings

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"


def opened(stack: str = "dev", **namespaces: dict[str, str]) -> Graph:
    """The stack with faults allowed in these namespaces."""
    settings = changed(stack)
    settings["chaos"] = {
        "enabled": True,
        "namespaces": {name.replace("_", "-"): {"approved_by": "operations", **days} for name, days in namespaces.items()},
    }
    return Graph.of(load(settings))


def test_chaos_mesh_speaks_to_containerd_touches_opted_in_namespaces_alone_and_has_no_page():
    values = chart.chart_values(load(stack_settings("prod")).images.chaos)
    assert values["chaosDaemon"]["runtime"] == "containerd"
    assert values["chaosDaemon"]["socketPath"] == "/run/containerd/containerd.sock"
    assert values["controllerManager"]["enableFilterNamespace"] is True
    assert values["dashboard"]["create"] is False
    assert values["webhook"]["FailurePolicy"] == "Fail"
    assert values["controllerManager"]["image"]["repository"].endswith("@sha256")
    assert unknown("chaos-mesh", values) == []


def test_production_has_no_faults_and_nothing_is_compiled_without_an_opt_in():
    settings = load(stack_settings("prod"))
    assert not settings.chaos.enabled
    assert region_objects(Graph.of(settings), REGION) == ()
    nobody = opened()
    assert game_days(nobody, REGION) == ()


def test_a_game_day_touches_opted_in_namespaces_alone():
    graph = opened(bank_a={})
    days = game_days(graph, REGION)
    assert {day.name for day in days} >= {"opa-loss-bank-a", "dns-loss-bank-a", "zone-loss"}
    for day in days:
        [fault] = [each for each in workflow(day)["spec"]["templates"] if each["name"] == "fault"]
        [chaos] = [value for value in fault.values() if isinstance(value, dict)]
        ends = [chaos["selector"], *([chaos["target"]["selector"]] if "target" in chaos else [])]
        assert {space for end in ends for space in end["namespaces"]} == {"bank-a"}


def test_every_fault_runs_under_a_watch_that_ends_it_and_between_two_looks():
    for day in every_game_day(opened(bank_a={}), REGION):
        templates = {each["name"]: each for each in workflow(day)["spec"]["templates"]}
        assert templates["day"]["children"] == ["steady-before", "under-watch", "steady-after"]
        assert templates["under-watch"]["children"] == ["watch", "fault"]
        asked = {
            name: unquote(templates[name]["statusCheck"]["http"]["url"].split("query=")[1]) for name in ("watch", "steady-before")
        }
        assert asked == {"watch": gate(day.abort), "steady-before": gate(violated(day.steady))}
        for name in ("watch", "steady-before", "steady-after"):
            assert templates[name]["abortWithStatusCheck"] is True
        assert templates["watch"]["statusCheck"]["mode"] == "Continuous"
        assert templates["fault"]["deadline"] == f"{day.minutes}m"


def test_the_book_has_every_game_day_and_starts_none():
    graph = opened(bank_a={})
    objects = region_objects(graph, REGION)
    assert "Workflow" not in {each["kind"] for each in objects}
    book = objects[0]["data"]
    assert {json.loads(page)["metadata"]["name"] for page in book.values()} == {day.name for day in game_days(graph, REGION)}


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"first_day": "2026-01-01"},
        {"first_day": "2026-01-01", "last_day": "2026-01-10"},
        {"first_day": "2090-01-01", "last_day": "2090-03-01"},
    ],
)
def test_with_assurance_high_a_tenant_is_open_to_faults_for_a_dated_window_only(window):
    with pytest.raises(SettingsError):
        opened("prod", bank_a=window)
    opened("prod", bank_a={"first_day": "2090-01-01", "last_day": "2090-01-10"})


def test_the_runbooks_table_is_the_game_days():
    text = (ROOT / "docs/runbooks/game-day.md").read_text(encoding="utf-8")
    shown = text.split("<!-- game days -->\n")[1].split("\n<!-- /game days -->")[0]
    assert shown == table(Graph.of(load(stack_settings("prod"))), REGION)


def test_the_one_that_is_asked_is_the_one_that_may_be_looked_up_and_the_one_that_stands():
    assert PROMETHEUS_SERVICE == policies_backup.PROMETHEUS_SERVICE == policies_observability.PROMETHEUS_SERVICE
