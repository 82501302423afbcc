"""What admission expects to decide in a service's pod, out of what the decision layer declares: nothing is left uncompared."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from components.admission.constraints import tenant_constraints
from components.admission.decisions import COMPARED, DecisionPoint, decision_parameters
from components.assembly.guardrails import decision_points
from tests.unit.test_admission import REGION, data, graph, of_tenant

SERVICES = ["api-ms", "auth-ms", "frontend", "trans-ms"]


def parameters(tenant: str = "bank-a", changed: dict[str, Any] | None = None) -> dict[str, Any]:
    (made,) = (one for one in of_tenant(graph(changed), tenant) if one["kind"] == "DecisionPoint")
    assert made["spec"]["match"]["namespaces"] == [tenant]
    return made["spec"]["parameters"]


def test_every_service_is_decided_about_by_an_opa_with_its_own_edges():
    said = parameters()
    assert said["image"] == graph().settings.images.opa
    assert [one["account"] for one in said["services"]] == SERVICES
    for one in said["services"]:
        assert {"volume": "opa-workload", "name": f"opa-data-{one['account']}"} in one["configMaps"]
        assert f"--set=labels.workload=bank-a/{one['account']}" in one["arguments"]
        assert {each["name"] for each in one["mounts"]} == {*(each["volume"] for each in one["configMaps"]), *one["empty"]}
        assert [each["name"] for each in one["mounts"] if not each["readOnly"]] == one["empty"]


def test_a_tenant_without_services_has_nobody_to_be_asked():
    changed = data()
    changed["tenants"]["bank-c"] = {"display_name": "Bank C", "services": {}}
    assert parameters("bank-c", changed) == {"name": "", "image": "", "services": []}


def test_another_tenants_service_changes_no_expectation():
    changed = data()
    changed["tenants"]["bank-c"] = {"display_name": "Bank C", "services": {}}
    assert parameters(changed=changed) == parameters()
    assert "bank-b" not in json.dumps(parameters())


@pytest.mark.parametrize(
    "given", [(), decision_points(graph(), REGION, "bank-b"), decision_points(graph(), REGION, "bank-a")[1:]]
)
def test_a_service_that_nobody_decides_about_is_no_constraint(given):
    with pytest.raises(ValueError, match=r"decision-point: bank-a in eu-west-1 has the services \['api-ms'"):
        tenant_constraints(graph(), REGION, "bank-a", given)


def container(**fields: Any) -> Callable[[dict[str, Any], list[dict[str, Any]]], object]:
    return lambda one, _volumes: one.update(fields)


def volumes(number: int, **fields: Any) -> Callable[[dict[str, Any], list[dict[str, Any]]], object]:
    return lambda _one, given: given.__setitem__(number, {"name": given[number]["name"], **fields})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (container(command=["opa"]), "command"),
        (container(envFrom=[]), "envFrom"),
        (container(env=[{"name": "A", "valueFrom": {}}]), "env A"),
        (lambda one, _: one["volumeMounts"][0].update(subPath="a"), "mount opa-policy"),
        (lambda one, _: one["volumeMounts"].pop(), "opa-socket"),
        (lambda _, given: given.append({"name": "more", "emptyDir": {}}), "more"),
        (volumes(0, configMap={"name": "opa-policy", "optional": True}), "volume opa-policy"),
        (volumes(0, configMap={"name": "opa-policy", "items": []}), "volume opa-policy"),
        (volumes(0, secret={"secretName": "a"}), "volume opa-policy"),
    ],
)
def test_what_the_control_would_not_compare_is_no_expectation(change, named):
    one = decision_points(graph(), REGION, "bank-a")[0]
    changed, mounted = copy.deepcopy(dict(one.container)), copy.deepcopy(list(one.volumes))
    change(changed, mounted)
    with pytest.raises(ValueError, match=rf"api-ms: cannot be compared: {named}$"):
        decision_parameters([DecisionPoint(account=one.account, container=changed, volumes=mounted)])


def test_services_of_a_tenant_ask_one_image():
    first, second, *_ = decision_points(graph(), REGION, "bank-a")
    other = DecisionPoint(account=second.account, container={**second.container, "image": "other"}, volumes=second.volumes)
    with pytest.raises(ValueError, match="several containers"):
        decision_parameters([first, other])


def test_every_compared_field_is_one_that_the_decision_layer_says():
    for one in decision_points(graph(), REGION, "bank-a"):
        assert set(one.container) >= COMPARED
