"""Game days: where a fault may be, what ends it, and that the runbook tells all of them.

Not proven here: what Chaos Mesh does with a Workflow; Prometheus's own verdict on a gate is asked in tests/manifests.
"""

import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from components.chaos import chart
from components.chaos.game_days import every_game_day, game_days
from components.chaos.mesh import mesh_objects
from components.chaos.table import table
from components.chaos.workflow import gate, region_objects, violated, workflow
from components.graph.model import Graph
from components.graph.names import CHAOS_NAMESPACE, PROMETHEUS_SERVICE
from components.identity import registration
from components.observability.prometheus import SERVICE
from components.settings import SettingsError, load
from components.tenancy.namespace import namespace_objects, platform_namespaces
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


def test_the_one_that_is_asked_is_the_one_that_stands():
    assert PROMETHEUS_SERVICE == SERVICE


def opted_in(graph: Graph) -> set[str]:
    """Namespaces that Chaos Mesh's own filter lets an experiment into."""
    spaces = [
        *platform_namespaces(graph.settings),
        *(each for tenant in graph.tenants for each in namespace_objects(graph, REGION, tenant) if each["kind"] == "Namespace"),
    ]
    wanted = ("chaos-mesh.org/inject", "enabled")
    return {each["metadata"]["name"] for each in spaces if wanted in each["metadata"].get("annotations", {}).items()}


def test_exactly_the_namespaces_of_the_settings_are_open_to_faults():
    graph = opened(bank_a={}, vault={})
    assert opted_in(graph) == {"bank-a", "vault"}
    touched = {space for day in game_days(graph, REGION) for space in day.namespaces}
    assert touched == opted_in(graph)
    assert opted_in(opened()) == opted_in(Graph.of(load(stack_settings("prod")))) == set()


def test_the_controller_has_an_identity_and_calls_nobody_but_prometheus():
    graph = opened(bank_a={})
    assert f"{CHAOS_NAMESPACE}.chaos-controller-manager" in {
        each["metadata"]["name"] for each in registration.region_objects(graph, REGION)
    }
    values = chart.chart_values(None)
    excluded = values["controllerManager"]["podAnnotations"]["traffic.sidecar.istio.io/excludeInboundPorts"].split(",")
    assert {str(chart.WEBHOOK_PORT), str(chart.METRICS_PORT)} == set(excluded)
    assert values["chaosDaemon"]["podAnnotations"] == {"sidecar.istio.io/inject": "false"}
    rules = {each["kind"]: each["spec"] for each in mesh_objects(graph)}
    assert rules["AuthorizationPolicy"] == {}
    assert rules["PeerAuthentication"] == {"mtls": {"mode": "STRICT"}}
    [hosts] = [one["hosts"] for one in rules["Sidecar"]["egress"]]
    assert [host.split("/")[1].split(".")[0] for host in hosts] == ["istiod", PROMETHEUS_SERVICE]
    assert mesh_objects(Graph.of(load(stack_settings("prod")))) == ()
