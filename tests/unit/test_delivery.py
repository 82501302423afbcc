"""Delivery's compilers: what a repository may bring, who may ask for it, what the charts are told, and who may speak with whom.

Does not prove that Argo CD or Trivy does what its values say; `tests/manifests/test_delivery.py` asks Argo CD's own code.
"""

import copy
import json

import pytest
import yaml
from pydantic import ValidationError

from components.cni.policies import Hosts, Pods
from components.cni.policies_delivery import delivery_policies, registry_hosts, repository_hosts
from components.delivery import argocd, projects, rights, trivy
from components.delivery.guard import IN_CLUSTER
from components.graph.model import Graph
from components.graph.names import GITOPS_NAMESPACE
from components.settings import SettingsError, load
from components.settings.delivery import FreezeSettings, GitOpsSettings, RootSettings, ScanningSettings, TenantDeliverySettings
from tests.support.charts import unknown
from tests.support.program import stack_settings

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.of(load(stack_settings("prod")))


def without(settings: dict, *path: str) -> dict:
    changed = copy.deepcopy(settings)
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


def test_every_value_of_both_charts_is_one_they_take(graph):
    assert unknown("argo-cd", argocd.chart_values(graph)) == []
    assert unknown("trivy-operator", trivy.chart_values(graph, "encrypted")) == []
    assert unknown("argo-cd", {"controller": {"replicass": 1}}) == ["controller.replicass"]


def test_nobody_logs_in_but_by_the_issuer_and_no_secret_is_told(graph):
    configured = argocd.chart_values(graph)["configs"]
    login = yaml.safe_load(configured["cm"]["oidc.config"])
    assert login["issuer"] == graph.settings.identity.issuer
    assert login["enablePKCEAuthentication"] is True
    assert "clientSecret" not in login
    assert configured["cm"]["admin.enabled"] is False
    assert configured["cm"]["exec.enabled"] is False
    assert configured["rbac"]["policy.default"] == ""
    assert "secret" not in configured


def test_argo_cd_knows_the_delivered_namespaces_alone_and_has_no_wildcard(graph):
    values = argocd.chart_values(graph)
    assert values["createClusterRoles"] is False
    delivered = sorted(graph.settings.delivery.gitops.tenants)
    cluster = values["configs"]["clusterCredentials"]["in-cluster"]
    assert cluster["namespaces"].split(",") == delivered
    assert values["configs"]["params"]["application.namespaces"].split(",") == delivered
    assert set(cluster["config"]) == {"tlsClientConfig"}
    roles = [one for one in (*projects.region_objects(graph), *projects.tenant_objects(graph, "bank-a")) if "rules" in one]
    assert {one["metadata"].get("namespace") for one in roles} == {None, "argocd", "bank-a"}
    rules = [rule for one in roles for rule in one["rules"]]
    assert "*" not in {word for rule in rules for key in ("apiGroups", "resources", "verbs") for word in rule[key]}
    assert all(rule.get("resourceNames") for rule in rules if "impersonate" in rule["verbs"])


def test_nothing_is_compared_in_the_name_of_a_controller_that_may_not_write(graph):
    assert argocd.chart_values(graph)["configs"]["params"]["controller.diff.server.side"] == "false"
    for one in projects.tenant_objects(graph, "bank-a"):
        if one["kind"] == "Role" and one["metadata"]["name"] == rights.READING:
            assert {verb for rule in one["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_what_argo_cd_watches_is_what_it_may_read(graph):
    listed = yaml.safe_load(argocd.chart_values(graph)["configs"]["cm"]["resource.inclusions"])
    watched = {(one["apiGroups"][0], f"{kind.lower()}s") for one in listed for kind in one["kinds"]}
    reading = next(one for one in projects.tenant_objects(graph, "bank-a") if one["metadata"]["name"] == rights.READING)
    assert watched == {(rule["apiGroups"][0], kind) for rule in reading["rules"] for kind in rule["resources"]}


def test_every_image_is_pinned_by_digest(graph):
    values, scanner = argocd.chart_values(graph), trivy.chart_values(graph, "encrypted")
    named = [values["global"]["image"], values["redis"]["image"], scanner["image"], scanner["trivy"]["image"]]
    assert all(one["repository"].endswith("@sha256") and len(one["tag"]) == 64 for one in named)


def test_the_charts_own_network_policies_are_off_and_every_parameter_is_said(graph):
    values = argocd.chart_values(graph)
    assert values["global"]["networkPolicy"] == {"create": False}
    parameters = values["configs"]["params"]
    assert parameters["server.insecure"] == parameters["server.disable.auth"] == "false"


def test_both_projects_take_one_repository_one_namespace_and_signed_commits(graph):
    wanted = graph.settings.delivery.gitops.tenants["bank-a"]
    own, above = (one["spec"] for one in projects.projects("bank-a", wanted))
    for spec in (own, above):
        assert spec["sourceRepos"] == [wanted.repository]
        assert [(one["server"], one["namespace"]) for one in spec["destinations"]] == [(IN_CLUSTER, "bank-a")]
        assert spec["clusterResourceWhitelist"] == []
        assert {one["keyID"] for one in spec["signatureKeys"]} == set(wanted.signing_keys)
    assert own["sourceNamespaces"] == ["bank-a"]
    assert "sourceNamespaces" not in above
    accounts = [one["defaultServiceAccount"] for spec in (own, above) for one in spec["destinationServiceAccounts"]]
    assert accounts == ["gitops.argocd", "argocd:gitops.root.bank-a"]
    assert set(argocd.chart_values(graph)["configs"]["gpg"]["keys"]) >= set(wanted.signing_keys)


def test_the_root_is_the_only_application_of_the_settings_and_removes_no_workload_with_itself(graph):
    [root] = [one for one in projects.tenant_objects(graph, "bank-a") if one["kind"] == "Application"]
    assert (root["metadata"]["namespace"], root["spec"]["project"]) == ("argocd", "bank-a.root")
    assert "finalizers" not in root["metadata"]
    assert root["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True, "allowEmpty": False}
    assert root["spec"]["source"]["directory"] == {"recurse": False}


def test_a_freeze_holds_for_the_root_and_for_every_application(graph):
    settings = graph.settings.delivery.gitops.tenants["bank-a"]
    wanted = settings.model_copy(update={"freezes": {"nights": FreezeSettings(schedule="0 20 * * *", hours=10)}})
    for one in projects.projects("bank-a", wanted):
        [window] = one["spec"]["syncWindows"]
        assert (window["kind"], window["applications"], window["duration"]) == ("deny", ["*"], "10h")


def test_a_tenant_without_an_entry_is_delivered_nothing(graph):
    assert projects.tenant_objects(graph, "bank-b") == ()


def test_the_scanner_fetches_nothing_from_a_registry_that_is_not_the_accounts(graph):
    values = trivy.chart_values(graph, "encrypted")
    own = f"{graph.settings.account.id}.dkr.ecr.{graph.settings.home_region}.amazonaws.com"
    assert values["trivy"]["dbRegistry"] == values["trivy"]["javaDbRegistry"] == own
    assert values["trivy"]["useEmbeddedRegoPolicies"] == "true"
    assert all(host.endswith(".amazonaws.com") for host in registry_hosts(graph))


def test_the_scanner_reads_no_secret_and_no_node(graph):
    wanted = trivy.chart_values(graph, "encrypted")["operator"]
    assert wanted["accessGlobalSecretsAndServiceAccount"] is False
    assert wanted["infraAssessmentScannerEnabled"] is False
    assert wanted["clusterComplianceEnabled"] is False


def test_the_scanners_role_reads_the_accounts_images_and_nothing_else(graph):
    statements = trivy.registry_document(graph)["Statement"]
    actions = {action for one in statements for action in one["Action"]}
    assert all(action.startswith("ecr:") and "*" not in action for action in actions)
    assert not [action for action in actions if "Put" in action or "Delete" in action or "Upload" in action]
    broad = [one["Action"] for one in statements if one["Resource"] == ["*"]]
    assert broad == [["ecr:GetAuthorizationToken"]]
    assert json.dumps(statements)


def test_the_repository_server_alone_reaches_a_repository(graph):
    hosts = {
        (policy.subject.labels.get("app.kubernetes.io/name"), name)
        for policy in delivery_policies(graph, REGION)
        for flow in policy.egress
        if isinstance(flow.peer, Hosts) and policy.subject.namespace == GITOPS_NAMESPACE
        for name in flow.peer.names
    }
    assert hosts == {
        *(("argocd-repo-server", name) for name in repository_hosts(graph)),
        ("argocd-server", graph.settings.identity.issuer_host),
    }


def test_each_connection_between_pods_is_allowed_at_both_ends(graph):
    policies = delivery_policies(graph, REGION)

    def name(pods: Pods) -> str:
        return f"{pods.namespace} {sorted(pods.labels.items())}"

    sent, taken = set(), set()
    for policy in policies:
        sent |= {(name(policy.subject), name(f.peer), f.ports) for f in policy.egress if isinstance(f.peer, Pods)}
        taken |= {(name(f.peer), name(policy.subject), f.ports) for f in policy.ingress if isinstance(f.peer, Pods)}
    assert sent == taken
    assert len(sent) == 6


def test_nothing_is_open_where_nothing_is_installed():
    settings = stack_settings("prod")
    settings = without(settings, "delivery")
    assert delivery_policies(Graph.of(load(settings)), REGION) == ()


def test_images_by_tag_are_refused_where_delivery_is_on():
    with pytest.raises(SettingsError, match=r"images\.delivery"):
        load(without(stack_settings("prod"), "images", "delivery"))


def test_a_repository_for_an_unknown_tenant_is_refused():
    settings = copy.deepcopy(stack_settings("prod"))
    gitops = settings["delivery"]["gitops"]
    gitops["tenants"]["bank-z"] = gitops["tenants"].pop("bank-a")
    with pytest.raises(SettingsError, match="there is no such tenant"):
        load(settings)


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "https://git.example/*"},
        {"repository": "https://user:password@git.example/a"},
        {"repository": "http://git.example/a"},
        {"root": None},
        {"root": {"path": "../other"}},
        {"root": {"path": "a", "revision": "HEAD"}},
        {"applications": {"a": {"path": "a"}}},
        {"signing_keys": {}},
        {"signing_keys": {"0123456789ABCDEF": "not a key"}},
        {"deployers": ["a, allow"]},
        {"deployers": ["a"], "readers": ["a"]},
    ],
)
def test_a_delivery_that_would_be_open_does_not_load(wrong):
    [good] = GitOpsSettings.model_validate(stack_settings("prod")["delivery"]["gitops"], strict=False).tenants.values()
    taken = good.model_dump()
    TenantDeliverySettings.model_validate(taken, strict=False)
    with pytest.raises(ValidationError):
        TenantDeliverySettings.model_validate({**taken, **wrong}, strict=False)


def test_a_scan_that_leaves_out_what_the_alert_rests_on_is_refused():
    with pytest.raises(ValidationError):
        ScanningSettings(severities=("HIGH",))
    assert RootSettings(path="a").revision == "main"
