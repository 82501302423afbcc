"""The program with Jaeger in Tempo's place: one store of traces, and everything that speaks of a store speaks of it.

What Jaeger does with its configuration is judged in tests/manifests/test_jaeger.py.
"""

import json
import re
from functools import cache
from typing import Any

import pytest

from components.graph.names import OBSERVABILITY_NAMESPACE
from components.graph.traces import trace_hosts, trace_names
from components.observability.grafana import data_sources
from components.observability.jaeger import jaeger_objects
from tests.support.jaeger import IMAGE, jaeger_graph, jaeger_settings
from tests.support.monitor import Recording, plain
from tests.support.program import STACKS, record_settings, record_stack
from tests.unit.test_network_policies import graph_of, shipped

GRAPH = jaeger_graph("dev")
NAMES = trace_names(GRAPH)
STORES = ("Tempo", "Jaeger")


@cache
def recording(store: str) -> Recording:
    """The development stack with either store."""
    return record_stack("dev") if store == "Tempo" else record_settings(jaeger_settings("dev"), "dev")


def made(store: str, kind: str) -> list[dict[str, Any]]:
    """Inputs of every resource of a kind, the type's last part."""
    return [plain(one.inputs) for one in recording(store).resources if one.type.rpartition(":")[2] == kind]


@pytest.mark.parametrize("store", STORES)
def test_exactly_one_of_the_two_stores_exists_in_each_region(store: str):
    types = [one.type for one in recording(store).resources]
    counts = {name: types.count(f"zerotrust:observability:{name}") for name in STORES}
    assert counts == {name: len(GRAPH.regions) if name == store else 0 for name in STORES}


@pytest.mark.parametrize("store", STORES)
def test_nothing_that_is_made_for_one_store_names_the_other(store: str):
    """But alerts and pages, which know both, and the bucket, which stays."""
    other = next(name.lower() for name in STORES if name != store)
    said = re.compile(rf'"{other}"|\b{other}(-({"|".join(NAMES)}))?[.]{OBSERVABILITY_NAMESPACE}\b')
    named = {one.urn for one in recording(store).resources if other in one.name}
    read = ("PrometheusRule", "ConfigMap", "BucketPolicy")
    spoken = {
        one.urn
        for one in recording(store).resources
        if not one.type.endswith(read) and said.search(json.dumps(plain(one.inputs), default=str))
    }
    assert named | spoken == set()


def test_each_name_has_a_jaeger_with_a_volume_and_a_header_of_its_own():
    sets = [one for one in made("Jaeger", "StatefulSet") if one["metadata"]["name"].startswith("jaeger-")]
    assert sorted(one["metadata"]["name"] for one in sets) == sorted([f"jaeger-{name}" for name in NAMES] * len(GRAPH.regions))
    for one in sets:
        pod = one["spec"]["template"]["spec"]
        assert one["spec"]["replicas"] == 1
        assert [each["image"] for each in pod["containers"]] == [IMAGE]
        assert one["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "encrypted"
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]


def test_no_two_jaegers_are_chosen_by_one_selector():
    objects = jaeger_objects(GRAPH, "encrypted")
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in objects if one["kind"] == "StatefulSet"
    }
    for one in (one for one in objects if one["kind"] == "Service"):
        chosen = [name for name, labels in pods.items() if one["spec"]["selector"].items() <= labels.items()]
        assert chosen == [one["metadata"]["name"]]


@pytest.mark.parametrize("store", STORES)
def test_each_name_is_written_to_and_asked_for_at_the_same_host_under_the_same_name(store: str):
    graph = GRAPH if store == "Jaeger" else shipped("dev")
    gateways = [one["values"] for one in made(store, "Release") if one["name"] == "telemetry-gateway"]
    assert len(gateways) == len(graph.regions)
    for values in gateways:
        exporters = values["alternateConfig"]["exporters"]
        written = {
            one["headers"]["X-Scope-OrgID"]: one["endpoint"].rpartition(":")[0]
            for name, one in exporters.items()
            if name.startswith("otlp_grpc/traces-")
        }
        asked = {
            one["secureJsonData"]["httpHeaderValue1"]: one["url"].removeprefix("http://").rpartition(":")[0]
            for one in data_sources(graph)
            if one["type"] == store.lower()
        }
        assert written == asked == dict(trace_hosts(graph))


def test_jaeger_has_no_role_and_no_way_out_of_the_cluster():
    roles = [one["serviceAccount"] for one in made("Jaeger", "PodIdentityAssociation")]
    assert "loki" in roles
    assert not {"tempo", "jaeger"} & set(roles)
    own = [
        one["spec"]
        for one in made("Jaeger", "CiliumNetworkPolicy")
        if one["spec"].get("endpointSelector", {}).get("matchLabels", {}).get("k8s:app.kubernetes.io/name") == "jaeger"
    ]
    assert own
    assert not [rule for spec in own for rule in spec.get("egress", ()) if "toFQDNs" in rule or "toCIDRSet" in rule]


@pytest.mark.parametrize("stack", STACKS)
def test_a_tenant_that_is_added_moves_nobodys_traces(stack: str):
    before = {one["metadata"]["name"]: one for one in jaeger_objects(jaeger_graph(stack), "encrypted")}
    data = jaeger_settings(stack)
    data["tenants"]["aaa"] = {**data["tenants"]["bank-a"], "display_name": "first of all", "services": {}}

    after = {one["metadata"]["name"]: one for one in jaeger_objects(graph_of(data), "encrypted")}
    assert {name: one for name, one in after.items() if name in before} == before
    assert set(after) - set(before) == {"jaeger-aaa"}
