"""GitOps before Argo CD's own code: which project takes an application, and what an application and a request may.

Not proven here: that Argo CD's controller asks these functions, and that its repository server runs git and gpg. What the API
server says is in test_delivery_admission.py.
"""

import sys
from typing import Any

import pytest

from components.delivery import projects
from components.delivery.guard import IN_CLUSTER
from components.delivery.rights import APPLICATION, WRITTEN
from components.graph.model import Graph
from sandbox.argocd import ArgoCDError, Job, Kind, Request, Verdict, verdicts
from tests.support.delivery import all_projects, child_of, delivered_graph, root_of

WORKLOADS = tuple(Kind(group=group, kind=kind) for group, kind in WRITTEN)
AN_APPLICATION = Kind(group=APPLICATION[0], kind=APPLICATION[1])
OWNED_BY_THE_PROGRAM = (
    Kind(group="rbac.authorization.k8s.io", kind="Role"),
    Kind(group="rbac.authorization.k8s.io", kind="RoleBinding"),
    Kind(group="networking.k8s.io", kind="NetworkPolicy"),
    Kind(group="cilium.io", kind="CiliumNetworkPolicy"),
    Kind(group="security.istio.io", kind="AuthorizationPolicy"),
    Kind(group="networking.istio.io", kind="ServiceEntry"),
    Kind(group="argoproj.io", kind="ApplicationSet"),
    Kind(group="argoproj.io", kind="AppProject"),
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
ELSEWHERE = [
    {"server": IN_CLUSTER, "namespace": "kube-system"},
    {"server": IN_CLUSTER, "namespace": "argocd"},
    {"server": IN_CLUSTER, "namespace": "bank-b"},
    {"server": IN_CLUSTER, "namespace": "bank-a-2"},
    {"server": IN_CLUSTER, "namespace": ""},
    {"server": "https://elsewhere.example", "namespace": "bank-a"},
    {"name": "elsewhere", "namespace": "bank-a"},
]
LISTED, UNLISTED = "8B02A33562C51D04", "4AEE18F83AFDEB23"


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return delivered_graph()


def judged(graph: Graph, *applications: dict[str, Any], **job: Any) -> list[Verdict]:
    """Argo CD's verdict on each, among every project of the cluster."""
    known, namespaces = all_projects(graph), sorted(graph.settings.delivery.gitops.tenants)
    return verdicts([Job(projects=known, application=one, namespaces=namespaces, **job) for one in applications], say)


def test_each_tenants_root_is_taken_and_delivers_applications_and_nothing_else(graph):
    refused = (*WORKLOADS, *OWNED_BY_THE_PROGRAM, *OF_THE_CLUSTER)
    for said in judged(graph, *(root_of(graph, one) for one in graph.tenants), kinds=(AN_APPLICATION, *refused)):
        assert (said.refused, said.source, said.destination) == ("", True, True)
        assert said.kinds == (True, *(False for _ in refused))


def test_each_tenants_own_application_is_taken_and_delivers_workloads_and_no_further_application(graph):
    refused = (AN_APPLICATION, *OWNED_BY_THE_PROGRAM, *OF_THE_CLUSTER)
    for said in judged(graph, *(child_of(one) for one in graph.tenants), kinds=(*WORKLOADS, *refused)):
        assert (said.refused, said.source, said.destination) == ("", True, True)
        assert said.kinds == (*(True for _ in WORKLOADS), *(False for _ in refused))


def test_no_application_of_a_tenants_namespace_gets_into_any_project_but_the_tenants(graph):
    names = ["", "nowhere", *(one["metadata"]["name"] for one in all_projects(graph))]
    taken = {
        (tenant, name)
        for tenant in graph.tenants
        for name, said in zip(names, judged(graph, *(child_of(tenant, project=name) for name in names)), strict=True)
        if not said.refused
    }
    assert taken == {(tenant, tenant) for tenant in graph.tenants}
    assert len(names) > 2 * len(graph.tenants)


@pytest.mark.parametrize("namespace", ["kube-system", "security", "bank-a-2"])
def test_an_application_in_a_namespace_that_is_not_delivered_to_is_not_looked_at(graph, namespace):
    application = child_of("bank-a")
    application["metadata"]["namespace"] = namespace
    [said] = judged(graph, application)
    assert namespace in said.refused


def test_the_default_project_permits_nothing_not_even_in_argo_cds_namespace():
    application = child_of("bank-a", project="default")
    application["metadata"]["namespace"] = "argocd"
    declared = projects.default_project()
    # Argo CD drops empty lists when it writes the project.
    rewritten = {**declared, "spec": {key: value for key, value in declared["spec"].items() if value}}
    kinds = (AN_APPLICATION, *WORKLOADS, *OWNED_BY_THE_PROGRAM, *OF_THE_CLUSTER)
    jobs = [Job(projects=[one], application=application, kinds=kinds) for one in (declared, rewritten)]
    for said in verdicts(jobs, say):
        assert (said.refused, said.source, said.destination, any(said.kinds)) == ("", False, False, False)


@pytest.mark.parametrize("destination", ELSEWHERE)
def test_neither_root_nor_application_delivers_outside_the_tenants_namespace(graph, destination):
    root = root_of(graph, "bank-a")
    root["spec"]["destination"] = destination
    assert [said.destination for said in judged(graph, root, child_of("bank-a", destination=destination))] == [False, False]


@pytest.mark.parametrize("namespace", ["argocd", "bank-b", "kube-system"])
def test_an_object_that_names_another_namespace_is_not_delivered_there(graph, namespace):
    beyond = [Kind(group=group, kind=kind, namespace=namespace) for group, kind in (*WRITTEN, APPLICATION)]
    for said in judged(graph, root_of(graph, "bank-a"), child_of("bank-a"), kinds=beyond):
        assert not any(said.kinds)


@pytest.mark.parametrize(
    "source",
    [
        {"source": {"repoURL": "https://git.clearing.example/bank-b/deploy", "path": "prod/jobs"}},
        {"source": {"repoURL": "https://git.clearing.example/bank-a/deploy/x", "path": "prod/jobs"}},
        {"source": {"repoURL": "oci://registry.example/bank-a", "targetRevision": "1.0.0", "path": "."}},
        {
            "sources": [
                {"repoURL": "https://git.clearing.example/bank-a/deploy", "path": "prod/jobs"},
                {"repoURL": "https://git.clearing.example/bank-a/other", "path": "prod/jobs"},
            ]
        },
    ],
)
def test_nothing_is_delivered_from_a_repository_that_no_setting_names(graph, source):
    [child] = judged(graph, child_of("bank-a", **source))
    root = root_of(graph, "bank-a")
    root["spec"].update(source)
    [above] = judged(graph, root)
    assert (child.source, above.source) == (False, False)


def verification(key: str, outcome: str) -> str:
    return f"gpg: Signature made Sat Nov 14 10:00:00 2026 UTC\ngpg:                using EDDSA key {key}\ngpg: {outcome}\n"


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (verification(LISTED, 'Good signature from "releases@bank-a.example" [ultimate]'), True),
        (verification(UNLISTED, 'Good signature from "somebody@bank-a.example" [ultimate]'), False),
        (verification(LISTED, 'BAD signature from "releases@bank-a.example" [ultimate]'), False),
        (verification(LISTED, "Can't check signature: No public key"), False),
        ("error: no signature found\n", False),
        ("", False),
    ],
)
def test_a_revision_that_no_listed_key_signed_is_taken_of_neither_root_nor_application(graph, words, taken):
    assert LISTED in graph.settings.delivery.gitops.tenants["bank-a"].signing_keys
    for said in judged(graph, root_of(graph, "bank-a"), child_of("bank-a"), verification=words):
        assert said.signed is taken


def test_a_group_has_its_own_tenants_role_and_nobody_has_more(graph):
    policy = projects.access_policy(graph)
    allowed = {
        *((f"{tenant}-releases", tenant, action) for tenant in graph.tenants for action in ("get", "sync")),
        *((f"{tenant}-developers", tenant, "get") for tenant in graph.tenants),
        *(("platform-operators", tenant, "get") for tenant in graph.tenants),
    }
    groups = sorted({group for group, _, _ in allowed} | {"admin", "role:admin", "role:readonly", "strangers"})
    asked = [
        (group, tenant, action, one)
        for group in groups
        for tenant in sorted(graph.tenants)
        for action in ("get", "sync", "create", "update", "delete", "override", "action/apps/Deployment/restart")
        for one in (root_of(graph, tenant), child_of(tenant))
    ]
    known = all_projects(graph)
    jobs = [
        Job(
            projects=known,
            application=one,
            policy=policy,
            request=Request(subject=group, resource="applications", action=action),
        )
        for group, _, action, one in asked
    ]
    said = [
        (group, tenant, action, one["spec"]["project"])
        for (group, tenant, action, one), verdict in zip(asked, verdicts(jobs, say), strict=True)
        if verdict.request
    ]
    both = {(group, tenant, action, name) for group, tenant, action in allowed for name in (tenant, f"{tenant}.root")}
    assert set(said) == both


@pytest.mark.parametrize(
    "object_", ["bank-a/jobs", "bank-a/bank-b/jobs", "bank-a/argocd/jobs", "bank-a.root/bank-b/x", "default/x"]
)
def test_a_tenants_role_is_about_its_project_in_its_namespace_alone(graph, object_):
    known, policy = all_projects(graph), projects.access_policy(graph)
    requests = [
        Request(subject=f"bank-a-{group}", resource="applications", action="get", object=object_)
        for group in ("releases", "developers")
    ]
    jobs = [Job(projects=known, application=child_of("bank-a"), policy=policy, request=one) for one in requests]
    assert {said.request for said in verdicts(jobs, say)} == {False}


@pytest.mark.parametrize("resource", ["exec", "clusters", "repositories", "accounts", "gpgkeys", "projects"])
def test_nobody_may_change_argo_cd_itself(graph, resource):
    known, policy = all_projects(graph), projects.access_policy(graph)
    requests = [
        Request(subject=group, resource=resource, action=action, object="bank-a/some" if resource != "projects" else "bank-a")
        for group in ("bank-a-releases", "platform-operators")
        for action in ("create", "update", "delete")
    ]
    jobs = [Job(projects=known, application=child_of("bank-a"), policy=policy, request=one) for one in requests]
    assert {said.request for said in verdicts(jobs, say)} == {False}


def test_a_project_that_argo_cd_does_not_take_is_an_error(graph):
    known = all_projects(graph)
    wrong = next(one for one in known if one["metadata"]["name"] == "bank-a")
    wrong["spec"]["roles"][0]["policies"] = ["p, proj:bank-b:deployer, applications, sync, bank-b/*, allow"]
    with pytest.raises(ArgoCDError, match="bank-a"):
        verdicts([Job(projects=known, application=child_of("bank-a"))], say)
