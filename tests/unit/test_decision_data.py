"""What each pod's OPA knows: exactly the edges that end there, in objects that other edges do not change."""

import json

import pytest

from components.decision.container import HEALTH_PORT, opa_container, opa_volumes
from components.decision.data import workload_data
from components.decision.objects import region_objects, tenant_objects, written_by_the_responder
from components.graph.model import Graph
from components.manifests import object_key
from components.settings import load
from tests.support.program import changed

STACKS = ("dev", "prod")
REGION = "eu-west-1"


def graph(tree):
    return Graph.of(load(tree))


def objects(wanted, tenant):
    return {object_key(one): one for one in tenant_objects(wanted, REGION, tenant)}


@pytest.mark.parametrize("stack", STACKS)
def test_a_workload_knows_the_edges_that_end_at_it_and_no_other(stack):
    tree = changed(stack)
    wanted = graph(tree)
    for ref, workload in wanted.workloads.items():
        data = workload_data(wanted, REGION, workload)
        assert set(data["calls"]) == {key for key, call in tree["access"]["calls"].items() if call["callee"] == ref}
        assert set(data["routes"]) == {key for key, route in tree["access"]["routes"].items() if route["service"] == ref}
        assert json.loads(json.dumps(data)) == data


def test_only_a_call_to_every_region_admits_another_regions_caller():
    wanted = graph(changed("dev"))
    calls = workload_data(wanted, REGION, wanted.workloads["bank-b/trans-ms"])["calls"]
    domains = {key: {principal.split("/")[2] for principal in edge["principals"]} for key, edge in calls.items()}
    home = "eu-west-1.dev.mycompany.internal"
    assert domains["bank-a-api-to-bank-b-trans"] == {home, "eu-central-1.dev.mycompany.internal"}
    assert domains["bank-b-worker-to-trans"] == domains["bank-b-auth-to-trans"] == {home}


def test_a_region_without_the_workload_has_no_data_for_it():
    tree = changed("dev")
    tree["tenants"]["bank-b"]["services"]["worker"]["regions"] = ["eu-central-1"]
    wanted = graph(tree)
    with pytest.raises(ValueError, match="bank-b/worker does not run in eu-west-1"):
        workload_data(wanted, REGION, wanted.workloads["bank-b/worker"])
    assert "configmap-bank-b-opa-data-worker" not in objects(wanted, "bank-b")


def test_a_new_edge_changes_its_callees_data_and_nothing_else():
    before, tree = graph(changed("dev")), changed("dev")
    tree["access"]["calls"]["a-first-by-name"] = {
        "caller": "bank-a/frontend",
        "callee": "bank-a/auth-ms",
        "operations": [{"methods": ["GET"], "paths": ["/session"]}],
    }
    after = graph(tree)
    differ = {
        key for tenant in before.tenants for key, one in objects(after, tenant).items() if objects(before, tenant).get(key) != one
    }
    assert differ == {"configmap-bank-a-opa-data-auth-ms"}


def test_a_new_tenant_changes_no_object_of_another():
    before, tree = graph(changed("dev")), changed("dev")
    tree["tenants"]["aaa-bank"] = json.loads(json.dumps(tree["tenants"]["bank-b"])) | {"display_name": "New"}
    after = graph(tree)
    for tenant in before.tenants:
        assert objects(before, tenant) == objects(after, tenant)
    assert region_objects(before, REGION) == region_objects(after, REGION)
    assert len(objects(after, "aaa-bank")) == 2 + len(tree["tenants"]["aaa-bank"]["services"])


def test_order_in_the_settings_changes_nothing():
    tree = changed("dev")
    turned = changed("dev")
    for part in (turned["tenants"], turned["access"]["calls"], turned["access"]["routes"]):
        for key in reversed(list(part)):
            part[key] = part.pop(key)
    for tenant in graph(tree).tenants:
        assert tenant_objects(graph(tree), REGION, tenant) == tenant_objects(graph(turned), REGION, tenant)


def test_only_the_risks_belong_to_the_responder():
    owned = {key for key, one in objects(graph(changed("dev")), "bank-a").items() if written_by_the_responder(one)}
    assert owned == {"configmap-bank-a-workload-risk"}


def test_every_mount_of_the_container_has_its_volume_and_every_config_map_exists():
    wanted = graph(changed("dev"))
    made = {one["metadata"]["name"] for one in tenant_objects(wanted, REGION, "bank-a")}
    for workload in wanted.workloads_of("bank-a", REGION):
        container, volumes = opa_container("opa@sha256:0", workload), opa_volumes(workload)
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in volumes}
        assert {volume["configMap"]["name"] for volume in volumes if "configMap" in volume} <= made
        assert not any("subPath" in mount for mount in container["volumeMounts"]), "a subPath mount never sees new data"


def test_the_container_has_no_privilege_and_listens_to_nobody_but_envoy_and_the_kubelet():
    wanted = graph(changed("dev"))
    container = opa_container("opa@sha256:0", wanted.workloads["bank-a/api-ms"])
    security = container["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["runAsUser"] not in {0, 1337}, "traffic of 1337 is not redirected to the sidecar"
    assert {probe["httpGet"]["port"] for name, probe in container.items() if name.endswith("Probe")} == {HEALTH_PORT}
    listening = [argument for argument in container["args"] if "addr=" in argument]
    assert listening == [
        "--addr=unix:///run/opa/api.sock",
        "--diagnostic-addr=0.0.0.0:8282",
        "--set=plugins.envoy_ext_authz_grpc.addr=127.0.0.1:9191",
    ]
