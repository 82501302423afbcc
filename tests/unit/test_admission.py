"""Admission's compilers: who enforces what, for whom not, what follows from the graph. Engines are asked elsewhere."""

import copy
import datetime as dt
import itertools
import json
from typing import Any

import pytest
import yaml

from components.admission import constraints, floor, gatekeeper, kyverno
from components.admission.controls import admission_table, controls, excepted, exempt, host_paths, of_engine
from components.assembly.guardrails import decision_points
from components.graph.model import Graph
from components.graph.names import GATEKEEPER_NAMESPACE, PLATFORM_NAMESPACES, SYSTEM_NAMESPACE
from components.manifests import object_key
from components.settings import CONFIG_KEY, guardrails, load
from components.settings.errors import SettingsError
from components.tenancy.namespace import platform_namespaces
from tests.support.program import ROOT

REGION = "eu-west-1"
END = dt.date(2027, 11, 30)


def data(stack: str = "prod") -> dict[str, Any]:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    return copy.deepcopy(yaml.safe_load(text)["config"][CONFIG_KEY])


def graph(changed: dict[str, Any] | None = None) -> Graph:
    return Graph.of(load(changed or data()))


def of_tenant(one: Graph, tenant: str) -> tuple[Any, ...]:
    return constraints.tenant_constraints(one, REGION, tenant, decision_points(one, REGION, tenant))


def everything(one: Graph) -> list[dict[str, Any]]:
    return [
        *floor.region_objects(one),
        *constraints.region_templates(),
        *constraints.region_constraints(one),
        *kyverno.region_objects(one),
        *(each for tenant in one.tenants for each in of_tenant(one, tenant)),
        *(each for tenant in one.tenants for each in floor.tenant_objects(one, REGION, tenant)),
    ]


def test_no_control_is_held_by_both_engines_and_kyverno_refuses_nothing():
    held = {engine: {one.id for one in of_engine(engine)} for engine in ("gatekeeper", "kyverno", "floor")}
    assert all(held.values())
    assert not any(one & other for one, other in itertools.combinations(held.values(), 2))
    assert {one["kind"] for one in kyverno.region_objects(graph())} == {"GeneratingPolicy", "MutatingPolicy"}
    assert {one["apiVersion"] for one in kyverno.region_objects(graph())} == {"policies.kyverno.io/v1"}


def test_every_control_of_gatekeeper_has_samples_of_both_verdicts_and_refuses():
    for control in of_engine("gatekeeper"):
        for verdict in ("allowed", "refused"):
            text = (control.folder / "samples" / f"{verdict}.yaml").read_text(encoding="utf-8")
            assert [one for one in yaml.safe_load_all(text) if one], control.id
        assert set(control.sample) == set(control.parameters), control.id
    made = [one for one in everything(graph()) if one["apiVersion"].startswith("constraints.")]
    assert {one["spec"]["enforcementAction"] for one in made} == {"deny"}
    assert {one["kind"] for one in made} == {control.kind for control in of_engine("gatekeeper")}


def test_every_policy_fails_closed():
    found = [one for one in everything(graph()) if "failurePolicy" in json.dumps(one)]
    assert {one["kind"] for one in found} == {"MutatingPolicy", "ValidatingAdmissionPolicy"}
    assert {one["spec"]["failurePolicy"] for one in found} == {"Fail"}
    assert gatekeeper.chart_values()["validatingWebhookFailurePolicy"] == "Fail"
    assert kyverno.chart_values()["features"]["forceFailurePolicyIgnore"] == {"enabled": False}
    bindings = [one for one in everything(graph()) if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert all(one["spec"]["validationActions"] == ["Deny", "Audit"] for one in bindings)


def test_the_webhook_is_asked_about_every_kind_that_a_constraint_matches_and_nothing_by_wildcard():
    asked = {(rule["apiGroups"][0], one) for rule in constraints.webhook_rules() for one in rule["resources"]}
    for control in of_engine("gatekeeper"):
        for group, kinds, resources in (entry for name in control.match for entry in constraints.MATCHES[name]):
            assert {(group, one) for one in resources} <= asked
            # A Scale is what its resources' subresource is told.
            assert {one.lower()[:3] for one in kinds if one != "Scale"} == {one[:3] for one in resources if "/" not in one}
    assert ("", "pods/ephemeralcontainers") in asked
    assert {("apps", f"{one}/scale") for one in ("deployments", "replicasets", "statefulsets")} <= asked
    assert not any("*" in one for pair in asked for one in pair)


def test_only_what_would_lock_the_cluster_is_never_asked_about():
    assert set(gatekeeper.UNASKED) == {SYSTEM_NAMESPACE, GATEKEEPER_NAMESPACE}
    (rule,) = kyverno.NOT_THE_PLATFORMS["matchExpressions"]
    assert set(PLATFORM_NAMESPACES) < set(rule["values"])
    assert kyverno.chart_values()["config"]["webhooks"]["namespaceSelector"] == kyverno.NOT_THE_PLATFORMS


def test_a_tenant_is_in_no_general_object_so_a_new_one_changes_none():
    changed = data()
    changed["tenants"]["bank-c"] = {"display_name": "Bank C", "services": {}}

    def general(one: Graph) -> dict[str, Any]:
        named = ("-bank-a", "-bank-b", "-bank-c", "-shared")
        return {object_key(each): each for each in everything(one) if not object_key(each).endswith(named)}

    assert general(graph()) == general(graph(changed))
    assert "bank" not in json.dumps(list(general(graph()).values()))


def test_a_tenants_names_are_its_own():
    (identity,) = (one for one in of_tenant(graph(), "bank-a") if one["kind"] == "Registered")
    assert identity["spec"]["match"]["namespaces"] == ["bank-a"]
    assert identity["spec"]["parameters"]["services"] == ["api-ms", "auth-ms", "frontend", "trans-ms"]
    assert identity["spec"]["parameters"]["databases"] == ["ledger"]
    (images,) = (one for one in of_tenant(graph(), "bank-a") if one["kind"] == "DeclaredImages")
    assert not any("bank-b" in one for one in images["spec"]["parameters"]["repositories"])


def test_an_image_more_is_a_tenants_by_setting_alone():
    changed = data()
    changed["guardrails"]["extra_images"] = {"bank-a": ["reg.example/tools/probe"]}
    for tenant in ("bank-a", "bank-b"):
        (images,) = (one for one in of_tenant(graph(changed), tenant) if one["kind"] == "DeclaredImages")
        assert ("reg.example/tools/probe" in images["spec"]["parameters"]["repositories"]) == (tenant == "bank-a")


@pytest.mark.parametrize("wrong", ["reg.example/a:1", "reg.example/a@sha256:00", "reg.example/*", "nginx"])
def test_an_extra_image_is_a_whole_repository(wrong):
    changed = data()
    changed["guardrails"]["extra_images"] = {"bank-a": [wrong]}
    with pytest.raises(SettingsError, match="without tag, digest or wildcard"):
        load(changed)


def test_an_exemption_takes_its_accounts_out_of_its_controls_and_of_no_other():
    made = {one["kind"]: one["spec"] for one in constraints.region_constraints(graph())}
    driver = {"namespace": "spire-system", "account": "spire-spiffe-csi-driver"}
    assert made["NoPrivileged"]["match"]["excludedNamespaces"] == ["kube-system"]
    assert driver in made["NoPrivileged"]["parameters"]["accounts"]
    assert driver not in made["NoHostNamespaces"]["parameters"]["accounts"]
    assert "excludedNamespaces" not in made["NoOpenServices"]["match"]
    assert "accounts" not in made["NoOpenServices"].get("parameters", {})


def test_a_folder_of_the_node_is_an_accounts_and_no_namespaces():
    (made,) = (one["spec"]["parameters"] for one in constraints.region_constraints(graph()) if one["kind"] == "NoHostFiles")
    of_agent = [one for one in made["paths"] if one["account"] == "spire-agent"]
    sockets = {"namespace": "spire-system", "account": "spire-agent", "path": "/run/spire/agent-sockets", "access": "write"}
    assert of_agent == [sockets]


def needs() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / "tests" / "data" / "exemptions.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_account_is_exempt_from_exactly_what_its_chart_needs(stack):
    one = graph(data(stack))
    found: dict[str, dict[str, Any]] = {}
    for control in of_engine("gatekeeper"):
        if control.scope == "everywhere":
            for each in excepted(one, control.id):
                mine = found.setdefault(f"{each.namespace}/{each.account}", {"controls": [], "host_paths": {}})
                mine["controls"].append(control.id)
    for given in host_paths(one):
        found[f"{given['namespace']}/{given['account']}"]["host_paths"][given["path"]] = given["access"]
    assert found == needs()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_exempt_namespace_is_privileged_by_pod_security_or_kubernetes_own(stack):
    one = graph(data(stack))
    level = {
        each["metadata"]["name"]: each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for each in platform_namespaces(one.settings)
    }
    everywhere = [control.id for control in of_engine("gatekeeper") if control.scope == "everywhere"]
    assert {name for control in everywhere for name in exempt(one, control)} == {SYSTEM_NAMESPACE}
    named = {each.namespace for control in everywhere for each in excepted(one, control)}
    assert {name for name, said in level.items() if said == "privileged"} == named


def test_an_exemption_that_is_over_refuses_to_load_in_production_and_is_dropped_elsewhere(monkeypatch):
    monkeypatch.setattr(guardrails, "today", lambda: END + dt.timedelta(days=1))
    monkeypatch.setattr("components.settings.root.today", guardrails.today)
    monkeypatch.setattr("components.admission.controls.today", guardrails.today)
    with pytest.raises(SettingsError, match=r"guardrails\.exemptions\.cluster-network\.expires.*is over"):
        load(data())
    aged = data("dev")
    del aged["delivery"]["runners"]  # theirs has a last day of its own
    one = graph(aged)
    assert exempt(one, "privileged") == ()
    assert excepted(one, "privileged") == ()
    assert host_paths(one) == []
    assert one.settings.guardrails.over(guardrails.today()) == tuple(sorted(data("dev")["guardrails"]["exemptions"]))


def test_an_exemption_holds_on_its_last_day(monkeypatch):
    monkeypatch.setattr("components.settings.root.today", lambda: END)
    monkeypatch.setattr("components.admission.controls.today", lambda: END)
    assert exempt(graph(), "privileged")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"namespaces": ["bank-a"]}, "a tenant's are never exempt"),
        ({"namespaces": ["falco", "falco"]}, "name each once"),
        # Two days more, not one: midnight may pass between here and the test.
        ({"expires": (guardrails.today() + dt.timedelta(days=402)).isoformat()}, "at most 400 days ahead"),
        ({"reason": "because"}, "reason"),
        ({"approver": ""}, "approver"),
        ({"accounts": []}, "name the service accounts; only kube-system is exempt as a whole"),
        ({"controls": ["host-files"]}, "give accounts their host_paths"),
        ({"host_paths": {"/var/lib/../etc": "read"}}, "host_paths"),
        ({"host_paths": {"/etc/": "read"}}, "host_paths"),
        ({"host_paths": {"etc": "read"}}, "host_paths"),
        ({"host_paths": {"/etc": "all"}}, "host_paths"),
    ],
)
def test_an_exemption_without_argument_approver_or_bound_does_not_load(change, sentence):
    changed = data()
    changed["guardrails"]["exemptions"]["identity-driver"] |= change
    with pytest.raises(SettingsError, match=sentence):
        load(changed)


@pytest.mark.parametrize("control", ["registries", "sidecars", "no-such", "open-services"])
def test_nobody_is_exempt_from_what_holds_for_tenants_or_does_not_exist(control):
    changed = data()
    changed["guardrails"]["exemptions"]["identity-driver"]["controls"] = [control]
    with pytest.raises(ValueError, match=rf"exemptions\.identity-driver\.controls: {control}"):
        constraints.region_constraints(graph(changed))


def test_a_roles_sessions_are_named_as_eks_names_them():
    assert floor.session_prefix("arn:aws:iam::1:role/a/b/deployer") == "arn:aws:sts::1:assumed-role/deployer/"
    assert floor.session_prefix("arn:aws-us-gov:iam::1:role/deployer") == "arn:aws-us-gov:sts::1:assumed-role/deployer/"
    assert "assumed-role/platform-deployer/'" in floor.trusted(graph())
    assert "auditors" not in floor.trusted(graph())


def test_the_limits_of_unclaimed_namespaces_are_the_settings():
    changed = data()
    changed["guardrails"]["unclaimed"] = {"cpu": "100m", "memory": "128Mi", "pods": 1}
    (policy,) = (one for one in kyverno.region_objects(graph(changed)) if one["metadata"]["name"] == kyverno.UNCLAIMED)
    said = {one["name"]: one["expression"] for one in policy["spec"]["variables"]}
    assert (said["cpu"], said["memory"], said["pods"]) == ("'100m'", "'128Mi'", "'1'")


def test_the_table_has_a_row_for_every_control_whose_files_are_there():
    rows = admission_table(graph())
    assert len(rows) == len(controls()) == len({row[0] for row in rows})
    assert all((ROOT / row[4]).exists() for row in rows)
    assert any("falco" in row[5] for row in rows)


@pytest.mark.parametrize("archived", [True, False])
def test_what_runs_beside_a_tenants_containers_is_declared_where_it_runs_and_asked_for_no_probe(archived):
    changed = data()
    if not archived:
        changed["assurance"] = "standard"
        del changed["images"]["backup"]
    one = graph(changed)
    made = {each["kind"]: each["spec"]["parameters"] for each in of_tenant(one, "bank-a")}
    general = {each["kind"]: each["spec"].get("parameters") for each in constraints.region_constraints(one)}
    beside = {constraints.repository(each) for each in constraints.helper_images(one)}
    stores = (each for store in made["DeclaredImages"]["stores"] for each in store["repositories"])
    assert beside <= {*made["DeclaredImages"]["repositories"], *stores}
    assert beside == set(general["Probed"]["helpers"])
    assert any("plugin-barman-cloud" in each for each in general["PinnedImages"]["installed"]) == (not archived)
