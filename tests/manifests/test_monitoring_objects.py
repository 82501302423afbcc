"""Objects of metrics, logs and traces, judged by the real API server, and the mesh's rules by Istio's own analysis."""

import pytest

from components.graph.names import OBSERVABILITY_NAMESPACE
from components.observability.alert_rules import rule_objects
from components.observability.dashboards import dashboard_objects
from components.observability.dashboards_pages import pages
from components.observability.prometheus import core_monitors
from components.observability.stores import mesh_objects
from components.tenancy.namespace import platform_namespaces
from sandbox.apiclient import ApiServer
from tests.support.objects import refusal, settled
from tests.support.program import STACKS
from tests.unit.test_network_policies import shipped


@pytest.mark.parametrize("stack", STACKS)
def test_the_server_accepts_every_rule_monitor_and_page(api_server: ApiServer, stack):
    graph = shipped(stack)
    spaces = [one for one in platform_namespaces(graph.settings) if one["metadata"]["name"] == OBSERVABILITY_NAMESPACE]
    settled(api_server, spaces)
    for region in graph.regions:
        objects = [*rule_objects(graph), *core_monitors(graph), *dashboard_objects(pages(graph)), *mesh_objects(graph, region)]
        assert {one["metadata"]["namespace"] for one in objects} == {OBSERVABILITY_NAMESPACE}
        assert [said for one in objects if (said := refusal(api_server, one))] == []


def test_a_rule_with_a_field_of_another_kind_is_refused(api_server: ApiServer):
    graph = shipped("dev")
    settled(api_server, list(platform_namespaces(graph.settings)))
    wrong = rule_objects(graph)[0]
    wrong["spec"]["groups"][0]["rules"][0]["for"] = "soon"
    assert refusal(api_server, wrong)


@pytest.mark.parametrize("stack", STACKS)
def test_every_store_admits_the_callers_it_is_meant_for_and_nobody_else(stack):
    graph = shipped(stack)
    for region in graph.regions:
        found = {}
        for one in mesh_objects(graph, region):
            for rule in one["spec"].get("rules", []) if one["kind"] == "AuthorizationPolicy" else ():
                for source in rule["from"]:
                    assert all(who.startswith(f"{graph.trust_domain(region)}/ns/") for who in source["source"]["principals"])
                    for operation in rule["to"]:
                        assert operation["operation"]["methods"]
                        assert operation["operation"]["paths"]
                        assert operation["operation"]["ports"]
                    accounts = {who.rpartition("/")[2] for who in source["source"]["principals"]}
                    found.setdefault(one["metadata"]["name"], set()).update(accounts)
        assert found == {
            "loki": {"telemetry-gateway", "falcosidekick", "grafana"},
            "prometheus": {"grafana"},
            "tempo": {"telemetry-gateway", "grafana"},
        }


def test_the_side_kick_writes_under_its_own_name_alone():
    graph = shipped("prod")
    loki = next(one for one in mesh_objects(graph, graph.regions[0]) if one["metadata"]["name"] == "loki")
    rules = {rule["from"][0]["source"]["principals"][0].rpartition("/")[2]: rule for rule in loki["spec"]["rules"]}
    assert rules["falcosidekick"]["when"] == [{"key": "request.headers[x-scope-orgid]", "values": ["security"]}]
    writing = [
        path for rule in loki["spec"]["rules"] for one in rule["to"] for path in one["operation"]["paths"] if "push" in path
    ]
    assert len(writing) == 2
    assert not [
        path for one in rules["grafana"]["to"] for path in one["operation"]["paths"] if "push" in path or "delete" in path
    ]
