"""The gates of game days on a real Prometheus: what Chaos Mesh would be answered, by the very address that it asks.

Chaos Mesh ends a game day whose check is answered with anything but 200. Not proven here: Chaos Mesh itself, and the mesh between
the two, whose rule is held to this address below.
"""

import json
from urllib.parse import urlsplit

import pytest

from components.chaos.game_days import every_game_day
from components.chaos.mesh import mesh_objects as chaos_objects
from components.chaos.workflow import region_objects as chaos_book
from components.chaos.workflow import workflow
from components.cni.policies_backup import backup_policies
from components.graph.model import Graph
from components.graph.names import CHAOS_NAMESPACE, FAULT_CONTROLLER, OBSERVABILITY_NAMESPACE, PROMETHEUS
from components.identity.registration import region_objects as registrations
from components.observability.dashboards import queries
from components.observability.dashboards_pages import pages
from components.observability.stores import mesh_objects
from components.settings import load
from components.tenancy.namespace import namespace_objects, platform_namespaces
from sandbox.apiclient import ApiServer
from sandbox.prometheus import running
from tests.support.objects import refusal, settled
from tests.support.program import changed

REGION = "eu-west-1"
SERVED = (
    'istio_requests_total{{reporter="source",source_workload="ingress-gateway",'
    'destination_workload_namespace="other",response_code="{}"}}'
)


def counted(good: int, bad: int) -> dict[str, list[float]]:
    """Requests of the last three minutes: so many each quarter of a minute answered, and so many failed."""
    return {SERVED.format(code): [float(each * number) for number in range(13)] for code, each in (("200", good), ("503", bad))}


WELL, BURNING, SILENT = counted(100, 0), counted(100, 50), {"up": [1.0] * 13}


@pytest.fixture(scope="module")
def graph() -> Graph:
    data = changed("dev")
    data["chaos"] = {"enabled": True, "namespaces": {"bank-a": {"approved_by": "operations"}}}
    return Graph.of(load(data))


def addresses(graph: Graph, check: str) -> set[str]:
    """Every address that a check of this name asks in any game day."""
    templates = [each for day in every_game_day(graph, REGION) for each in workflow(day)["spec"]["templates"]]
    return {each["statusCheck"]["http"]["url"] for each in templates if each["name"] == check}


@pytest.mark.parametrize(
    ("samples", "watch", "steady"),
    [(WELL, 200, 200), (BURNING, 422, 422), (SILENT, 200, 422)],
    ids=["all-well", "requests-fail", "nothing-is-known"],
)
def test_prometheus_answers_a_gate_with_200_while_it_may_go_on_and_with_422_when_not(graph, samples, watch, steady):
    with running(samples) as server:
        assert {url: server.get(url)[0] for url in addresses(graph, "watch")} == dict.fromkeys(addresses(graph, "watch"), watch)
        for check in ("steady-before", "steady-after"):
            answers = {server.get(url) for url in addresses(graph, check)}
            assert {status for status, _ in answers} == {steady}
            refused = [json.loads(text) for status, text in answers if status != 200]
            assert all("duplicate series" in answer["error"] for answer in refused)


def test_every_query_of_a_dashboard_is_answered_and_one_that_cannot_be_read_is_not(graph):
    wanted = {query for page in pages(graph) for query in queries(page, "promql")}
    with running({}) as server:
        assert {query: answer for query in wanted if (answer := server.query(query))[0] != 200} == {}
        assert server.query("sum(rate(up[5m])")[0] == 400
    assert wanted


def test_the_server_takes_what_a_cluster_with_game_days_has_more(api_server: ApiServer, graph):
    wanted = [
        *(each for each in platform_namespaces(graph.settings) if each["metadata"]["name"] == CHAOS_NAMESPACE),
        *(each for each in namespace_objects(graph, REGION, "bank-a") if each["kind"] == "Namespace"),
        *chaos_objects(graph),
        *chaos_book(graph, REGION),
        *(each for each in registrations(graph, REGION) if CHAOS_NAMESPACE in each["metadata"]["name"]),
    ]
    settled(api_server, wanted)
    kinds = {each["kind"] for each in wanted}
    assert kinds >= {
        "AuthorizationPolicy",
        "ClusterSPIFFEID",
        "ConfigMap",
        "Namespace",
        "PeerAuthentication",
        "PodMonitor",
        "Sidecar",
    }
    assert [said for each in wanted if (said := refusal(api_server, each))] == []


def test_the_mesh_the_network_and_the_identities_let_the_controller_ask_exactly_this(graph):
    [url] = {urlsplit(each)._replace(query="").geturl() for each in addresses(graph, "watch")}
    asked = urlsplit(url)
    [rules] = [
        each["spec"]["rules"]
        for each in mesh_objects(graph, REGION)
        if each["kind"] == "AuthorizationPolicy" and each["metadata"]["name"] == PROMETHEUS
    ]
    who = f"{graph.trust_domain(REGION)}/ns/{CHAOS_NAMESPACE}/sa/{FAULT_CONTROLLER}"
    [operation] = [rule["to"][0]["operation"] for rule in rules if who in rule["from"][0]["source"]["principals"]]
    assert operation == {"methods": ["GET"], "paths": [asked.path], "ports": [str(asked.port)]}
    [scope] = [each for each in chaos_objects(graph) if each["kind"] == "Sidecar"]
    assert f"{OBSERVABILITY_NAMESPACE}/{asked.hostname}" in scope["spec"]["egress"][0]["hosts"]
    named = {
        name for policy in backup_policies(graph, REGION) for flow in policy.egress for name in getattr(flow.peer, "names", ())
    }
    assert asked.hostname in named
    assert f"{CHAOS_NAMESPACE}.{FAULT_CONTROLLER}" in {each["metadata"]["name"] for each in registrations(graph, REGION)}
