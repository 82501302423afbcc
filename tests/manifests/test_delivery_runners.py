"""The runners' pods before the judges of admission: the compiled constraints by Gatekeeper's own engine, and the API server.

The charts are not rendered here: no module carries them. The pods are put together from the values as the controller does it:
the runner's from its template, the listener's from its own template over the controller's image and account.
"""

import copy
from typing import Any

import pytest

from components.delivery import runners
from components.graph.model import Graph
from components.graph.names import RUNNER_CONTROLLER_NAMESPACE, RUNNER_NAMESPACE
from components.settings import load
from components.tenancy.namespace import platform_namespaces
from sandbox import gator
from sandbox.apiclient import ApiServer
from tests.manifests.test_guardrails import rules
from tests.support.objects import refusal, settled
from tests.support.program import stack_settings

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.of(load(stack_settings("prod")))


def pod(name: str, namespace: str, spec: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    about = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": copy.deepcopy(spec)}


def pods(graph: Graph) -> list[dict[str, Any]]:
    told, controller = runners.runner_values(graph, REGION), runners.controller_values(graph)
    template, image = told["template"], f"{controller['image']['repository']}:{controller['image']['tag']}"
    listening = copy.deepcopy(told["listenerTemplate"]["spec"])
    listening["containers"][0]["image"] = image
    manager = {"name": "manager", "image": image, "securityContext": controller["securityContext"]}
    managing = {
        "serviceAccountName": controller["serviceAccount"]["name"],
        "securityContext": controller["podSecurityContext"],
        "containers": [{**manager, "resources": controller["resources"]}],
    }
    return [
        pod("runner", RUNNER_NAMESPACE, template["spec"], template["metadata"]["labels"]),
        pod("listener", RUNNER_CONTROLLER_NAMESPACE, listening, dict(runners.LISTENER_LABELS)),
        pod("manager", RUNNER_CONTROLLER_NAMESPACE, managing, {"app.kubernetes.io/name": runners.CONTROLLER}),
    ]


def judged(graph: Graph, offered: list[dict[str, Any]]) -> set[tuple[str, str]]:
    said = gator.judge(rules(graph, REGION), [*platform_namespaces(graph.settings), *runners.region_objects(graph), *offered])
    return {(one.object.split("/")[-1], one.kind) for one in said}


def test_gatekeeper_takes_every_pod_of_the_runners_without_an_exemption(graph):
    assert judged(graph, pods(graph)) == set()


def test_a_container_engine_in_a_runner_is_refused(graph):
    runner, *_ = pods(graph)
    runner["spec"]["containers"].append(
        {"name": "dind", "image": "docker@sha256:" + "0" * 64, "securityContext": {"privileged": True, "runAsUser": 0}}
    )
    assert {kind for _, kind in judged(graph, [runner])} >= {"NoPrivileged"}


def test_the_server_takes_the_objects_and_admits_the_pods_where_they_stand(graph, api_server: ApiServer):
    settled(api_server, list(platform_namespaces(graph.settings)))
    objects = list(runners.region_objects(graph))
    api_server.prepare(objects)
    for one in objects:
        api_server.apply(one)
    listener_account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    api_server.apply(
        {**listener_account, "metadata": {"name": runners.CONTROLLER_ACCOUNT, "namespace": RUNNER_CONTROLLER_NAMESPACE}}
    )
    for one in pods(graph):
        one["spec"].setdefault("serviceAccountName", runners.CONTROLLER_ACCOUNT)
        assert refusal(api_server, one) == ""
    weak = pods(graph)[0]
    weak["spec"]["containers"][0]["securityContext"]["runAsNonRoot"] = False
    assert "restricted" in refusal(api_server, weak)
