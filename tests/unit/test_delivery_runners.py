"""Runners of GitHub Actions: what their pods may, whom they reach, what they become in AWS, and the one credential with an end.

Does not prove that the controller makes the pods it is told to make; `tests/manifests/test_delivery_runners.py` offers them to
the judges of admission.
"""

import copy
import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from components.cni.policies import Hosts, Networks, Pods
from components.cni.policies_delivery import (
    AWS_GLOBAL,
    AWS_SERVICES,
    GITHUB,
    LISTENERS,
    RUNNER_CONTROLLER,
    RUNNERS,
    SCRAPED,
    aws_hosts,
    chart_hosts,
    delivery_policies,
)
from components.cni.policies_observability import SCRAPED as EVERY_ROW
from components.delivery import runners
from components.graph.model import Graph
from components.graph.names import RUNNER, RUNNER_CONTROLLER_NAMESPACE, RUNNER_NAMESPACE
from components.identity.registration import region_objects as registrations
from components.settings import SettingsError, load
from components.settings.guardrails import today
from tests.support.charts import unknown
from tests.support.program import STACKS, stack_settings

REGION = "eu-west-1"
COMPONENTS = Path(__file__).parents[2] / "components"


def graph_of(stack: str) -> Graph:
    return Graph.of(load(stack_settings(stack)))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of("prod")


def changed(**fields: Any) -> dict[str, Any]:
    settings = copy.deepcopy(stack_settings("prod"))
    settings["delivery"]["runners"].update(fields)
    return settings


def credential(**fields: Any) -> dict[str, Any]:
    return {**stack_settings("prod")["delivery"]["runners"]["credential"], **fields}


@pytest.mark.parametrize("stack", STACKS)
def test_every_value_of_both_charts_is_one_they_take(stack):
    graph = graph_of(stack)
    assert unknown("gha-runner-scale-set-controller", runners.controller_values(graph)) == []
    assert unknown("gha-runner-scale-set", runners.runner_values(graph, REGION)) == []
    assert unknown("gha-runner-scale-set", {"minRunner": 1}) == ["minRunner"]


def test_a_runner_has_no_token_no_root_and_no_container_engine(graph):
    pod = runners.runner_values(graph, REGION)["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for one in (*pod["initContainers"], *pod["containers"]):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        }
        assert re.fullmatch(r".+@sha256:[0-9a-f]{64}", one["image"])
    assert "containerMode" not in runners.runner_values(graph, REGION)
    assert {key for volume in pod["volumes"] for key in volume} == {"name", "emptyDir", "csi"}
    assert pod["restartPolicy"] == "Never"


def test_no_secret_is_told_to_a_chart_but_the_name_of_one(graph):
    values = runners.runner_values(graph, REGION)
    assert values["githubConfigSecret"] == graph.settings.delivery.runners.credential.secret
    assert all("Secret" not in one["kind"] for one in runners.region_objects(graph))


def test_the_controller_watches_the_runners_namespace_alone_and_outlives_a_drain(graph):
    values = runners.controller_values(graph)
    assert values["flags"]["watchSingleNamespace"] == RUNNER_NAMESPACE
    [budget] = [one for one in runners.region_objects(graph) if one["kind"] == "PodDisruptionBudget"]
    assert budget["spec"]["minAvailable"] < values["replicaCount"]
    told = runners.runner_values(graph, REGION)["controllerServiceAccount"]
    assert told == {"namespace": RUNNER_CONTROLLER_NAMESPACE, "name": values["serviceAccount"]["name"]}
    assert RUNNER_CONTROLLER.service_account == told["name"]


def test_each_region_has_a_scale_set_of_its_own_name(graph):
    names = [runners.scale_set(graph, region) for region in graph.settings.regions]
    assert len(set(names)) == len(names)
    assert all(len(name) <= runners.LONGEST_NAME for name in names)


def test_a_runner_becomes_the_deployer_and_nothing_else_in_aws(graph):
    [statement] = runners.deployer_document(graph)["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Resource"] == [graph.settings.account.deployer_role]


def test_a_runner_is_registered_with_its_account_and_argo_cd_is_not(graph):
    found = [one["spec"] for one in registrations(graph, REGION) if one["metadata"]["name"].startswith(("arc", "argocd"))]
    assert [one["workloadSelectorTemplates"] for one in found] == [[f"k8s:ns:{RUNNER_NAMESPACE}", f"k8s:sa:{RUNNER}"]]
    assert found[0]["podSelector"]["matchLabels"] == dict(RUNNERS.labels)


def test_nobody_reaches_a_runner_and_a_runner_reaches_no_pod(graph):
    own = [policy for policy in delivery_policies(graph, REGION) if policy.subject == RUNNERS]
    assert {policy.name for policy in own} == {
        "runners-api",
        "runners-aws",
        "runners-charts",
        "runners-github",
        "runners-regions",
    }
    assert not any(policy.ingress for policy in own)
    assert not any(isinstance(flow.peer, Pods) for policy in own for flow in policy.egress)


def test_the_controller_and_its_listener_reach_github_and_the_api_server_alone(graph):
    for policy in delivery_policies(graph, REGION):
        if policy.subject in (RUNNER_CONTROLLER, LISTENERS):
            hosts = {name for flow in policy.egress if isinstance(flow.peer, Hosts) for name in flow.peer.names}
            assert hosts >= set(GITHUB)
            assert all(re.search(r"(^|\.)github(usercontent)?\.com$", host) for host in hosts), hosts
            assert not any(isinstance(flow.peer, Networks) for flow in policy.egress)


def test_every_part_of_aws_that_the_program_registers_is_reached_in_every_region(graph):
    sources = [path.read_text(encoding="utf-8") for path in COMPONENTS.rglob("*.py")]
    used = {part for text in sources for part in re.findall(r"\baws\.([a-z0-9]+)\.[A-Z]", text)}
    assert used == AWS_SERVICES.keys() | AWS_GLOBAL.keys()
    inside, others = aws_hosts(graph, REGION)
    assert not set(inside) & set(others)
    for code in graph.settings.regions:
        assert {f"sts.{code}.amazonaws.com", f"eks.{code}.amazonaws.com"} <= {*inside, *others}
    assert all(host.split(".")[1] == REGION for host in inside)


def test_every_chart_comes_from_a_host_that_a_runner_reaches():
    assert {"ghcr.io", "helm.cilium.io", "quay.io", "registry.istio.io"} <= set(chart_hosts())


def test_every_row_of_delivery_is_scraped():
    assert set(map(str, SCRAPED)) <= set(map(str, EVERY_ROW))
    assert {"runner-controller", "runner-listeners", "scanner", "gitops-server"} <= {name for name, _, _ in EVERY_ROW}


def test_without_the_setting_nothing_of_the_runners_is_compiled():
    settings = copy.deepcopy(stack_settings("prod"))
    del settings["delivery"]["runners"]
    graph = Graph.of(load(settings))
    assert runners.region_objects(graph) == ()
    assert not any(policy.subject.namespace.startswith("arc-") for policy in delivery_policies(graph, REGION))
    with pytest.raises(ValueError, match="no runners"):
        runners.controller_values(graph)


def test_a_key_whose_day_is_over_is_refused_and_the_days_before_it_are_not():
    yesterday, last = today() - dt.timedelta(days=1), today()
    load(changed(credential=credential(expires=last.isoformat())))
    with pytest.raises(SettingsError, match=r"delivery\.runners\.credential\.expires"):
        load(changed(credential=credential(expires=yesterday.isoformat())))


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "https://github.com/clearing-example"},
        {"repository": "https://github.com/clearing-example/*"},
        {"repository": "http://github.com/clearing-example/platform"},
        {"minimum": 5, "maximum": 4},
        {"hosts": ["*.example.com"]},
        {"hosts": ["a.example.com", "a.example.com"]},
        {"credential": {"secret": "github-app"}},
        {"credential": credential(expires=(dt.date(2026, 1, 1) + dt.timedelta(days=4000)).isoformat())},
        {"credential": credential(reason="because")},
        {"credential": credential(private_key="-----BEGIN")},
    ],
)
def test_runners_that_would_be_open_do_not_load(wrong):
    load(changed())
    with pytest.raises(SettingsError):
        load(changed(**wrong))
