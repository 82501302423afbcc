"""The responder's objects and the network's rules about it, as pure functions. What the objects do is asked elsewhere."""

import copy
import json
from typing import Any

import pytest

from components.cni import policies_runtime
from components.cni.policies import Pods
from components.cni.policies_observability import PROMETHEUS_PODS, SIDE_KICK
from components.cni.policies_runtime import RESPONDING
from components.cni.policies_tenant import ISTIOD, control_plane
from components.decision.rights import responder_rights
from components.graph.model import Graph
from components.graph.names import RESPONDER, RESPONDER_PORT, RISK_CONFIG_MAP
from components.identity.registration import region_objects as registrations
from components.runtime.configuration import configuration
from components.runtime.responder import CONFIG_FILE, responder_objects
from components.settings import SettingsError, load
from tests.support.program import changed

REGION = "eu-west-1"


def graph(**responder: str | None) -> Graph:
    tree = changed("prod")
    tree["runtime"]["responder"] |= responder
    return Graph.of(load(tree))


def without() -> Graph:
    tree = changed("prod")
    del tree["runtime"]["responder"]
    return Graph.of(load(tree))


def made(wanted: Graph, kind: str) -> dict[str, Any]:
    (found,) = (one for one in responder_objects(wanted, REGION) if one["kind"] == kind)
    return found


def test_without_the_setting_there_is_nothing_of_it():
    wanted = without()
    assert responder_objects(wanted, REGION) == ()
    assert responder_rights(wanted, "bank-a") == ()
    assert "webhook" not in configuration(wanted.settings.runtime, secrets_mount="platform")
    policies = policies_runtime.runtime_policies(wanted, REGION)
    assert not [one for one in policies if RESPONDING in (one.subject, *(flow.peer for flow in (*one.ingress, *one.egress)))]
    assert f"security.{RESPONDER}" not in {one["metadata"]["name"] for one in registrations(wanted, REGION)}


@pytest.mark.parametrize(
    ("responder", "key", "word"),
    [
        ({"minimum_priority": "critical"}, "high_priority", "name critical or above"),
        ({"high_priority": "grave"}, "high_priority", "emergency"),
        ({"image": "registry.example/platform/risk-responder:latest"}, "image", "by digest"),
        ({"service": "responder"}, "service", ""),
        ({"image": None}, "image", ""),
    ],
)
def test_a_wrong_setting_is_one_sentence(responder, key, word):
    with pytest.raises(SettingsError) as refused:
        graph(**responder)
    (line,) = (line for line in str(refused.value).splitlines() if "runtime.responder" in line)
    assert f"runtime.responder.{key}" in line
    assert word in line


def test_it_knows_every_tenant_and_the_workloads_of_its_region_alone():
    wanted = graph(minimum_priority="notice")
    known = json.loads(made(wanted, "ConfigMap")["data"][CONFIG_FILE])
    assert known["tenants"] == sorted(wanted.tenants)
    assert {one["tenant"] + "/" + one["service_account"] for one in known["workloads"].values()} == {
        one.ref for one in wanted.workloads.values() if REGION in one.regions
    }
    assert all(key.startswith(f"spiffe://{wanted.trust_domain(REGION)}/ns/") for key in known["workloads"])
    told = configuration(wanted.settings.runtime, secrets_mount="platform")["webhook"]
    assert (told["minimumpriority"], known["minimum_priority"], known["high_priority"]) == ("notice", "notice", "error")
    assert told["address"] == f"http://{RESPONDER}.security.svc.cluster.local:{RESPONDER_PORT}{known['path']}"


def test_a_changed_configuration_restarts_it():
    def stamp(wanted: Graph) -> str:
        return str(made(wanted, "Deployment")["spec"]["template"]["metadata"]["annotations"]["zerotrust.dev/config"])

    assert stamp(graph()) == stamp(graph()) != stamp(graph(high_priority="critical"))


def test_the_token_is_in_its_own_container_and_no_other_gets_one():
    pod = made(graph(), "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is made(graph(), "ServiceAccount")["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    (projected,) = (volume["projected"]["sources"] for volume in pod["volumes"] if "projected" in volume)
    (token,) = (one["serviceAccountToken"] for one in projected if "serviceAccountToken" in one)
    assert (token["expirationSeconds"], "audience" in token) == (3600, False)


def test_one_identity_may_post_on_one_path():
    wanted = graph()
    (rule,) = made(wanted, "AuthorizationPolicy")["spec"]["rules"]
    assert rule["from"] == [{"source": {"principals": [f"{wanted.trust_domain(REGION)}/ns/security/sa/falcosidekick"]}}]
    assert rule["to"] == [{"operation": {"methods": ["POST"], "paths": ["/events"], "ports": [str(RESPONDER_PORT)]}}]


def test_it_reaches_the_api_server_and_istiod_and_the_side_kick_and_prometheus_reach_it():
    wanted = graph()
    policies = policies_runtime.runtime_policies(wanted, REGION)
    out = [flow.peer for one in policies if one.subject == RESPONDING for flow in one.egress]
    assert [peer for peer in out if isinstance(peer, Pods)] == [ISTIOD]
    assert control_plane(wanted, REGION) in out
    assert [flow.peer for one in policies if one.subject == RESPONDING for flow in one.ingress] == [SIDE_KICK, PROMETHEUS_PODS]


def test_its_rights_are_one_object_and_the_labels_of_pods():
    role, binding = responder_rights(graph(), "bank-a")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [RISK_CONFIG_MAP], "verbs": ["get", "update"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch"]},
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": RESPONDER, "namespace": "security"}]
    assert {one["metadata"]["namespace"] for one in (role, binding)} == {"bank-a"}


def test_one_pod_is_enough_where_the_cluster_may_be_down():
    tree = copy.deepcopy(changed("local"))
    assert made(Graph.of(load(tree)), "Deployment")["spec"]["replicas"] == 1
    assert made(graph(), "Deployment")["spec"]["replicas"] == 2
