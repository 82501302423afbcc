"""Jaeger's configuration in the real Jaeger: accepted whole, each tenant answered its own traces alone, and its objects judged.

It runs with a folder in place of the volume and takes spans by HTTP; the mesh's rules before it are not proven here. That a trace
is gone after days is the database's word; here it is after seconds.
"""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.admission.constraints import region_constraints, region_templates, tenant_constraints
from components.assembly.guardrails import decision_points
from components.graph.names import OBSERVABILITY_NAMESPACE
from components.graph.traces import trace_names
from components.observability.jaeger import jaeger_config, jaeger_objects
from components.observability.stores import mesh_objects
from components.tenancy.namespace import platform_namespaces
from sandbox import gator
from sandbox.apiclient import ApiServer
from sandbox.jaeger import Jaeger, refusal, running
from tests.support.jaeger import jaeger_graph
from tests.support.objects import pods_of, settled
from tests.support.objects import refusal as refused

GRAPH = jaeger_graph()
SETTINGS = GRAPH.settings.observability.traces
CONFIG = jaeger_config(SETTINGS, "bank-a")
OURS, THEIRS, PLATFORMS = (f"{number:032x}" for number in (0xA1, 0xB2, 0xC3))


def changed(path: str, value: Any, config: dict[str, Any] = CONFIG) -> dict[str, Any]:
    """The configuration with one value set; `...` removes it."""
    made = copy.deepcopy(config)
    *parents, last = path.split("/")
    here = made
    for part in parents:
        here = here[part]
    if value is ...:
        here.pop(last)
    else:
        here[last] = value
    return made


@pytest.fixture(scope="module")
def jaegers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Jaeger]]:
    """Two tenants' Jaegers and the platform's, each with one trace."""
    folder = tmp_path_factory.mktemp("jaeger")
    with (
        running(jaeger_config(SETTINGS, "bank-a"), folder / "a") as a,
        running(jaeger_config(SETTINGS, "bank-b"), folder / "b") as b,
        running(jaeger_config(SETTINGS, "platform"), folder / "p") as p,
    ):
        assert [a.send(OURS, "api-ms"), b.send(THEIRS, "trans-ms"), p.send(PLATFORMS, "ingress-gateway")] == [200] * 3
        yield {"bank-a": a, "bank-b": b, "platform": p}


def test_jaeger_accepts_the_configuration_of_every_name_as_its_pod_is_given_it(tmp_path: Path):
    given = {
        one["metadata"]["name"]: yaml.safe_load(one["data"]["jaeger.yaml"])
        for one in jaeger_objects(GRAPH, "encrypted")
        if one["kind"] == "ConfigMap"
    }
    assert set(given) == {f"jaeger-{name}" for name in trace_names(GRAPH)}
    assert {name: refusal(config, tmp_path) for name, config in given.items()} == dict.fromkeys(given)


@pytest.mark.parametrize(
    "wrong",
    [
        changed("extensions/jaeger_query/multi_tenancy/tenants", ["bank-a"]),
        changed("extensions/jaeger_storage/backends/traces/badger/ttl/span", "1h"),
        changed("extensions/jaeger_query/storage/traces", ...),
        changed("service/pipelines/traces/exporters", ["otlp"]),
        changed("service/extensions", ["jaeger_storages"]),
    ],
    ids=["tenants-in-small-letters", "unknown-time-to-live", "queries-nothing", "exporter-of-nobody", "extension-of-nobody"],
)
def test_a_configuration_with_one_thing_wrong_is_refused(wrong: dict[str, Any], tmp_path: Path):
    assert refusal(wrong, tmp_path)


@pytest.mark.parametrize("name", ["bank-a", "bank-b", "platform"])
def test_each_name_is_answered_its_own_traces_and_nobody_elses(jaegers: dict[str, Jaeger], name: str):
    own = {"bank-a": ("api-ms", OURS), "bank-b": ("trans-ms", THEIRS), "platform": ("ingress-gateway", PLATFORMS)}
    service, trace = own[name]
    assert jaegers[name].services(name) == {service}
    assert jaegers[name].ask(f"/api/traces/{trace}", tenant=name)[0] == 200
    others = [other for _, other in own.values() if other != trace]
    assert [jaegers[name].ask(f"/api/traces/{other}", tenant=name)[0] for other in others] == [404, 404]


@pytest.mark.parametrize("bears", ["bank-b", "platform", "bank-a,bank-b", "bank-a|bank-b", "BANK-A", None])
@pytest.mark.parametrize("path", ["/api/services", f"/api/traces/{OURS}", "/api/v3/services", "/", "/api/dependencies"])
def test_a_request_that_bears_another_name_or_none_is_refused_by_jaeger_itself(
    jaegers: dict[str, Jaeger], path: str, bears: str | None
):
    assert jaegers["bank-a"].ask(path, tenant=bears)[0] == 401


def test_without_the_check_a_jaeger_would_answer_whoever_comes(tmp_path: Path):
    """What the cases above rest on: it is the configuration that refuses."""
    with running(changed("extensions/jaeger_query/multi_tenancy/Enabled", False), tmp_path) as open_to_all:
        assert open_to_all.send(OURS, "api-ms") == 200
        assert open_to_all.services("bank-b") == {"api-ms"}


def test_what_is_stored_survives_a_restart_and_a_trace_is_gone_after_its_time(tmp_path: Path):
    with running(CONFIG, tmp_path) as before:
        assert before.send(OURS, "api-ms") == 200
    with running(CONFIG, tmp_path) as after:
        assert after.ask(f"/api/traces/{OURS}", tenant="bank-a")[0] == 200
    short = changed("extensions/jaeger_storage/backends/traces/badger/ttl/spans", "2s")
    with running(short, tmp_path / "short") as server:
        assert server.send(OURS, "api-ms") == 200
        assert server.ask(f"/api/traces/{OURS}", tenant="bank-a")[0] == 200
        deadline = time.monotonic() + 60
        while server.ask(f"/api/traces/{OURS}", tenant="bank-a")[0] != 404 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert server.ask(f"/api/traces/{OURS}", tenant="bank-a")[0] == 404


def test_the_alert_asks_for_a_metric_that_it_exports(jaegers: dict[str, Jaeger]):
    assert {"otelcol_exporter_send_failed_spans_total", "otelcol_receiver_refused_spans_total"} <= jaegers["bank-a"].metrics()


def test_the_server_accepts_jaegers_objects_and_the_meshs_rules_about_it(api_server: ApiServer):
    spaces = [one for one in platform_namespaces(GRAPH.settings) if one["metadata"]["name"] == OBSERVABILITY_NAMESPACE]
    settled(api_server, spaces)
    objects = [*jaeger_objects(GRAPH, "encrypted"), *mesh_objects(GRAPH, GRAPH.regions[0])]
    assert {one["metadata"]["namespace"] for one in objects} == {OBSERVABILITY_NAMESPACE}
    assert [said for one in objects if (said := refused(api_server, one))] == []
    wrong = next(copy.deepcopy(one) for one in objects if one["kind"] == "StatefulSet")
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privilege"] = False
    assert refused(api_server, wrong)


def test_its_pods_pass_admission_and_one_weakened_field_does_not(api_server: ApiServer):
    spaces = [one for one in platform_namespaces(GRAPH.settings) if one["metadata"]["name"] == OBSERVABILITY_NAMESPACE]
    objects = jaeger_objects(GRAPH, "encrypted")
    settled(api_server, [*spaces, *objects[:1]])
    pods = [copy.deepcopy(one) for one in pods_of(objects)]
    for pod in pods:  # as its controller does
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": f"data-{pod['metadata']['name']}-0"}}
        pod["spec"]["volumes"].append(claim)
    assert len(pods) == len(trace_names(GRAPH))
    region = GRAPH.regions[0]
    deciders = {tenant: decision_points(GRAPH, region, tenant) for tenant in GRAPH.tenants}
    own = [one for tenant, each in deciders.items() for one in tenant_constraints(GRAPH, region, tenant, each)]
    rules = [*region_templates(), *region_constraints(GRAPH), *own]
    assert gator.judge(rules, [*spaces, *objects, *pods]) == ()
    assert [said for one in pods if (said := refused(api_server, one))] == []
    weak = copy.deepcopy(pods[0])
    weak["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert gator.judge(rules, [*spaces, weak])
    assert refused(api_server, weak)
