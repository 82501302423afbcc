"""GitOps before the real judges: Argo CD's own code on projects, applications and requests, the API server on what is written.

Not proven here: that Argo CD's controller asks these functions, and that its repository server checks signatures.
"""

import copy
import sys
import time
from typing import Any

import pytest

from components.delivery import projects
from components.graph.model import Graph
from components.manifests import LABELS
from components.settings import load
from sandbox.apiclient import ApiServer
from sandbox.argocd import ArgoCDError, Job, Kind, Request, verdicts
from tests.support.objects import refusal
from tests.support.program import stack_settings

OWNED_BY_THE_PROGRAM = (
    Kind(group="rbac.authorization.k8s.io", kind="Role"),
    Kind(group="rbac.authorization.k8s.io", kind="RoleBinding"),
    Kind(group="networking.k8s.io", kind="NetworkPolicy"),
    Kind(group="cilium.io", kind="CiliumNetworkPolicy"),
    Kind(group="security.istio.io", kind="AuthorizationPolicy"),
    Kind(group="networking.istio.io", kind="ServiceEntry"),
    Kind(group="argoproj.io", kind="Application"),
    Kind(group="", kind="ServiceAccount"),
    Kind(group="", kind="Secret"),
    Kind(group="", kind="ResourceQuota"),
    Kind(group="", kind="Pod"),
)
OF_THE_CLUSTER = (
    Kind(group="", kind="Namespace", namespaced=False, name="bank-a"),
    Kind(group="rbac.authorization.k8s.io", kind="ClusterRole", namespaced=False),
    Kind(group="spire.spiffe.io", kind="ClusterSPIFFEID", namespaced=False),
)


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="module")
def graph() -> Graph:
    """The shipped stack, with a repository for each tenant."""
    settings = copy.deepcopy(stack_settings("prod"))
    tenants = settings["delivery"]["gitops"]["tenants"]
    for tenant in settings["tenants"]:
        own = copy.deepcopy(tenants["bank-a"])
        own["repository"] = f"https://git.clearing.example/{tenant}/deploy"
        own["deployers"], own["readers"] = [f"{tenant}-releases"], [f"{tenant}-developers"]
        tenants[tenant] = own
    return Graph.of(load(settings))


def of(graph: Graph, tenant: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A tenant's project and its application."""
    objects = projects.tenant_objects(graph, tenant)
    [project] = [one for one in objects if one["kind"] == "AppProject"]
    [application] = [one for one in objects if one["kind"] == "Application"]
    return project, application


def test_each_tenants_own_application_is_permitted_and_delivers_what_it_may(graph):
    kinds = [Kind(group=group, kind=kind) for group, kind in projects.WRITTEN]
    for verdict in verdicts([Job(project=p, application=a, kinds=kinds) for p, a in (of(graph, t) for t in graph.tenants)], say):
        assert (verdict.source, verdict.destination) == (True, True)
        assert all(verdict.kinds)


def test_no_project_takes_another_tenants_application_wherever_it_points(graph):
    pairs = [(one, other) for one in graph.tenants for other in graph.tenants if one != other]
    jobs = [Job(project=of(graph, one)[0], application=of(graph, other)[1]) for one, other in pairs]
    assert len(jobs) >= 2
    assert {(said.source, said.destination) for said in verdicts(jobs, say)} == {(False, False)}


@pytest.mark.parametrize(
    "destination",
    [
        {"server": projects.IN_CLUSTER, "namespace": "kube-system"},
        {"server": projects.IN_CLUSTER, "namespace": "argocd"},
        {"server": projects.IN_CLUSTER, "namespace": "bank-a-2"},
        {"server": projects.IN_CLUSTER, "namespace": ""},
        {"server": "https://elsewhere.example", "namespace": "bank-a"},
        {"name": "elsewhere", "namespace": "bank-a"},
    ],
)
def test_a_tenant_cannot_deliver_outside_its_namespace(graph, destination):
    project, application = of(graph, "bank-a")
    application["spec"]["destination"] = destination
    [said] = verdicts([Job(project=project, application=application)], say)
    assert said.destination is False


@pytest.mark.parametrize(
    "repository", ["https://git.clearing.example/bank-a/other", "https://git.clearing.example/bank-a/deploy/x"]
)
def test_a_tenant_cannot_deliver_from_a_repository_that_no_setting_names(graph, repository):
    project, application = of(graph, "bank-a")
    application["spec"]["source"]["repoURL"] = repository
    [said] = verdicts([Job(project=project, application=application)], say)
    assert said.source is False


def test_no_kind_of_the_program_or_of_the_cluster_is_delivered(graph):
    project, application = of(graph, "bank-a")
    [said] = verdicts([Job(project=project, application=application, kinds=(*OWNED_BY_THE_PROGRAM, *OF_THE_CLUSTER))], say)
    assert not any(said.kinds)


def test_a_group_has_its_own_tenants_role_and_nobody_has_more(graph):
    policy = projects.access_policy(graph)
    allowed = {
        *((f"{tenant}-releases", tenant, action) for tenant in graph.tenants for action in ("get", "sync")),
        *((f"{tenant}-developers", tenant, "get") for tenant in graph.tenants),
        *(("platform-operators", tenant, "get") for tenant in graph.tenants),
    }
    groups = sorted({group for group, _, _ in allowed} | {"admin", "role:admin", "role:readonly", "strangers"})
    asked = [
        (group, tenant, action)
        for group in groups
        for tenant in sorted(graph.tenants)
        for action in ("get", "sync", "create", "update", "delete", "override", "action/apps/Deployment/restart")
    ]
    jobs = []
    for group, tenant, action in asked:
        project, application = of(graph, tenant)
        request = Request(
            subject=group, resource="applications", action=action, object=f"{tenant}/{application['metadata']['name']}"
        )
        jobs.append(Job(project=project, application=application, policy=policy, request=request))
    said = {one for one, verdict in zip(asked, verdicts(jobs, say), strict=True) if verdict.request}
    assert said == allowed


@pytest.mark.parametrize("resource", ["exec", "clusters", "repositories", "accounts", "gpgkeys", "projects"])
def test_nobody_may_change_argo_cd_itself(graph, resource):
    project, application = of(graph, "bank-a")
    policy = projects.access_policy(graph)
    requests = [
        Request(subject=group, resource=resource, action=action, object="bank-a/some" if resource != "projects" else "bank-a")
        for group in ("bank-a-releases", "platform-operators")
        for action in ("create", "update", "delete")
    ]
    jobs = [Job(project=project, application=application, policy=policy, request=one) for one in requests]
    assert {said.request for said in verdicts(jobs, say)} == {False}


def test_a_project_that_argo_cd_does_not_take_is_an_error(graph):
    project, application = of(graph, "bank-a")
    project["spec"]["roles"][0]["policies"] = ["p, proj:bank-b:deployer, applications, sync, bank-b/*, allow"]
    with pytest.raises(ArgoCDError, match="bank-a"):
        verdicts([Job(project=project, application=application)], say)


@pytest.fixture(scope="module")
def server(api_server: ApiServer, graph: Graph) -> ApiServer:
    for name in ("argocd", *graph.tenants):
        api_server.namespace(name)
    return api_server


def test_the_server_takes_every_object_of_gitops(server, graph):
    wanted = [*projects.region_objects(graph)]
    wanted += [one for tenant in sorted(graph.tenants) for one in projects.tenant_objects(graph, tenant)]
    server.prepare(wanted)
    assert [said for one in wanted if (said := refusal(server, one))] == []


def may(server: ApiServer, account: str, verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:  # noqa: PLR0917
    """What the API server's own authorizer says about an account, `<namespace>:<name>`."""
    asked = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": f"system:serviceaccount:{account}", "resourceAttributes": asked},
    }
    said = server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(said["status"]["allowed"])


@pytest.fixture(scope="module")
def granted(server: ApiServer, graph: Graph) -> ApiServer:
    for tenant in sorted(graph.tenants):
        for one in projects.tenant_objects(graph, tenant):
            if one["metadata"]["namespace"] == tenant:
                server.apply(one)
    return server


def test_the_writing_account_writes_in_its_own_namespace_alone(granted, graph):
    own, others = "bank-a", ["argocd", "kube-system", *sorted(set(graph.tenants) - {"bank-a"})]
    account = f"{own}:{projects.ACCOUNT}"
    for group, kind in projects.WRITTEN:
        resource = f"{kind.lower()}s"
        assert may(granted, account, "create", group, resource, own)
        assert not [place for place in others if may(granted, account, "create", group, resource, place)]
    for group, resource in (("", "secrets"), ("", "serviceaccounts"), ("", "pods"), ("networking.k8s.io", "networkpolicies")):
        assert not may(granted, account, "create", group, resource, own)
    assert not may(granted, account, "get", "", "secrets", own)


def test_argo_cds_controller_writes_nothing_itself_and_acts_as_no_other_account(granted):
    controller = "argocd:argocd-application-controller"
    assert may(granted, controller, "list", "apps", "deployments", "bank-a")
    assert may(granted, controller, "impersonate", "", "serviceaccounts", "bank-a", projects.ACCOUNT)
    assert not may(granted, controller, "create", "apps", "deployments", "bank-a")
    assert not may(granted, controller, "impersonate", "", "serviceaccounts", "bank-a", "api-ms")
    assert not may(granted, controller, "impersonate", "", "serviceaccounts", "kube-system", projects.ACCOUNT)
    assert not may(granted, controller, "list", "", "secrets", "bank-a")
    assert not may(granted, "argocd:argocd-server", "impersonate", "", "serviceaccounts", "bank-a", projects.ACCOUNT)
    assert not may(granted, "argocd:argocd-repo-server", "get", "", "configmaps", "bank-a")


def settings_map(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "bank-a", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def delivered(kind: str, **pod: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "registry.example/app@sha256:" + "0" * 64}
    labels = pod.pop("labels", {})
    template = {
        "metadata": {"labels": {"app": "settle", **labels}},
        "spec": {"restartPolicy": "Always" if kind == "Deployment" else "Never", "containers": [container], **pod},
    }
    spec: dict[str, Any] = {"template": template}
    if kind == "Deployment":
        spec["selector"] = {"matchLabels": {"app": "settle"}}
    if kind == "CronJob":
        spec = {"schedule": "0 1 * * *", "jobTemplate": {"spec": spec}}
    group = "apps/v1" if kind == "Deployment" else "batch/v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "settle", "namespace": "bank-a"}, "spec": spec}


@pytest.fixture
def writer(granted: ApiServer, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    """The server under the guard, asked by the writing account: the connection carries who is meant."""
    guard = copy.deepcopy(projects.region_objects(graph))
    granted.apply(settings_map("of-the-platform", **dict(LABELS)))
    for one in guard:
        granted.apply(one)
    plain = granted._connection.request
    who = {"Impersonate-User": f"system:serviceaccount:bank-a:{projects.ACCOUNT}"}

    def request(method: str, where: str, body: Any = None, headers: Any = None) -> None:
        plain(method, where, body, {**(headers or {}), **who})

    monkeypatch.setattr(granted._connection, "request", request)
    deadline = time.monotonic() + 60
    # A policy is compiled some time after it is stored.
    while not refusal(granted, settings_map("claims", **dict(LABELS))) and time.monotonic() < deadline:
        time.sleep(0.2)
    return granted


def test_what_stands_beside_the_tenants_services_is_taken(writer):
    wanted = [settings_map("flags"), *(delivered(kind) for kind in ("Deployment", "Job", "CronJob"))]
    assert [said for one in wanted if (said := refusal(writer, one))] == []


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob"])
def test_what_is_delivered_takes_no_services_identity_and_no_services_name(writer, kind):
    assert "has no account" in refusal(writer, delivered(kind, serviceAccountName="api-ms"))
    assert "names a service or store" in refusal(writer, delivered(kind, labels={"app.kubernetes.io/name": "api-ms"}))
    assert refusal(writer, delivered(kind, labels={"app.kubernetes.io/name": "nightly"})) == ""


def test_the_platforms_own_objects_are_not_overwritten_or_claimed(writer):
    assert "change the settings" in refusal(writer, settings_map("of-the-platform"))
    assert "to the platform" in refusal(writer, settings_map("new", **dict(LABELS)))
