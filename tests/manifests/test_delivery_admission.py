"""GitOps before the API server: every object, who may do what, and what its policies refuse of the accounts that write."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from components.delivery import guard, projects, rights
from components.graph.model import Graph
from components.manifests import LABELS
from sandbox.apiclient import ApiServer, RefusedError
from tests.support.delivery import child_of, delivered_graph
from tests.support.objects import refusal

WRITER = f"bank-a:{rights.ACCOUNT}"
ROOT = f"argocd:{rights.root_account('bank-a')}"
CONTROLLER, SERVER = f"argocd:{rights.CONTROLLER}", f"argocd:{rights.SERVER}"
As = Callable[[str], ApiServer]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return delivered_graph()


@pytest.fixture(scope="module")
def server(api_server: ApiServer, graph: Graph) -> ApiServer:
    for name in ("argocd", *graph.tenants):
        api_server.namespace(name)
    return api_server


def of_gitops(graph: Graph) -> list[dict[str, Any]]:
    each = [one for tenant in sorted(graph.tenants) for one in projects.tenant_objects(graph, tenant)]
    return copy.deepcopy([*projects.region_objects(graph), projects.default_project(), *each])


def test_the_server_takes_every_object_of_gitops(server, graph):
    wanted = of_gitops(graph)
    server.prepare(wanted)
    assert [said for one in wanted if (said := refusal(server, one))] == []


def test_the_default_project_that_argo_cd_made_is_overruled(server):
    mine = projects.default_project()
    where = f"/apis/{projects.API}/namespaces/argocd/appprojects"
    server.prepare([mine])
    open_ = {
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    metadata = {"name": "default", "namespace": "argocd"}
    made = {"apiVersion": projects.API, "kind": "AppProject", "metadata": metadata, "spec": open_}
    server.request("POST", where, made, query={"fieldManager": "argocd-server"})
    try:
        server.apply(mine)
        assert server.request("GET", f"{where}/default")["spec"] == mine["spec"]
    finally:
        server.request("DELETE", f"{where}/default")


def may(server: ApiServer, account: str, verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:  # noqa: PLR0917
    """What the API server's own authorizer says about an account, `<namespace>:<name>`; no namespace is every namespace."""
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
    """The server with every right of GitOps; the namespaces' own guards stay out of other modules' way."""
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    for one in of_gitops(graph):
        if one["kind"] in kinds:
            server.apply(one)
    server.prepare([child_of("bank-a")])
    return server


WORKLOADS = [(group, f"{kind.lower()}s") for group, kind in rights.WRITTEN]
APPLICATIONS = ("argoproj.io", "applications")
NEVER = [
    ("", "secrets"),
    ("", "serviceaccounts"),
    ("", "pods"),
    ("networking.k8s.io", "networkpolicies"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("argoproj.io", "appprojects"),
    ("argoproj.io", "applicationsets"),
]
CHANGES = ("create", "update", "patch", "delete", "deletecollection")


def test_each_writer_writes_its_own_kinds_in_its_own_namespace_alone(granted, graph):
    places = ["", "argocd", "kube-system", *sorted(graph.tenants)]
    kinds = [*WORKLOADS, APPLICATIONS, *NEVER]
    for account, own in ((WRITER, WORKLOADS), (ROOT, [APPLICATIONS])):
        able = {(kind, place) for kind in kinds for place in places if may(granted, account, "create", *kind, place)}
        assert able == {(kind, "bank-a") for kind in own}
        assert {kind for kind in kinds if may(granted, account, "delete", *kind, "bank-a")} == set(own)
        assert not may(granted, account, "get", "", "secrets", "bank-a")


def test_argo_cd_itself_writes_nothing_but_what_became_of_an_application(granted):
    places = ["", "bank-a", "bank-b", "kube-system"]
    for account in (CONTROLLER, SERVER):
        able = {
            (verb, kind, place)
            for verb in CHANGES
            for kind in [*WORKLOADS, APPLICATIONS, *NEVER]
            for place in places
            if may(granted, account, verb, *kind, place)
        }
        assert able == {(verb, APPLICATIONS, place) for verb in ("update", "patch") for place in ("bank-a", "bank-b")}
        assert may(granted, account, "list", "apps", "deployments", "bank-a")
        assert not may(granted, account, "list", "", "secrets", "bank-a")
    assert not may(granted, "argocd:argocd-repo-server", "get", "", "configmaps", "bank-a")


def test_of_the_whole_cluster_argo_cd_lists_applications_and_nothing_else(granted):
    asked = [(verb, kind) for verb in ("get", "list", "watch", *CHANGES) for kind in [*WORKLOADS, APPLICATIONS, *NEVER]]
    for account in (CONTROLLER, SERVER):
        able = {(verb, kind) for verb, kind in asked if may(granted, account, verb, *kind, "")}
        assert able == {("list", APPLICATIONS), ("watch", APPLICATIONS)}


def test_the_controller_alone_acts_as_the_writers_and_as_no_other_account(granted):
    accounts = [
        ("bank-a", rights.ACCOUNT),
        ("bank-a", "api-ms"),
        ("bank-a", rights.root_account("bank-a")),
        ("kube-system", rights.ACCOUNT),
        ("argocd", rights.root_account("bank-a")),
        ("argocd", rights.ACCOUNT),
        ("argocd", rights.SERVER),
    ]

    def acts(account: str) -> set[tuple[str, str]]:
        return {
            (place, name) for place, name in accounts if may(granted, account, "impersonate", "", "serviceaccounts", place, name)
        }

    assert acts(CONTROLLER) == {("bank-a", rights.ACCOUNT), ("argocd", rights.root_account("bank-a"))}
    assert acts(SERVER) == acts(WRITER) == acts(ROOT) == set()


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


@contextmanager
def acting(server: ApiServer, account: str) -> Iterator[ApiServer]:
    """The server asked by an account: the connection carries who is meant."""
    plain = server._connection.request
    who = {"Impersonate-User": f"system:serviceaccount:{account}"}

    def request(method: str, where: str, body: Any = None, headers: Any = None) -> None:
        plain(method, where, body, {**(headers or {}), **who})

    server._connection.request = request
    try:
        yield server
    finally:
        server._connection.request = plain


def as_account(account: str, server: ApiServer, one: dict[str, Any]) -> str:
    """What the server says against the account's writing of this object."""
    with acting(server, account) as asked:
        return refusal(asked, one)


@pytest.fixture(scope="module")
def guarded(granted: ApiServer, graph: Graph) -> Iterator[ApiServer]:
    """The server under both policies, with an object of the platform and an application that Argo CD has synchronised."""
    policies = guard.guards(graph)
    granted.apply(settings_map("of-the-platform", **dict(LABELS)))
    granted.apply(synchronised())
    for one in copy.deepcopy(policies):
        granted.apply(one)
    deadline = time.monotonic() + 60
    probes = ((WRITER, settings_map("claims", **dict(LABELS))), (ROOT, child_of("bank-a", project="bank-b")))
    # A policy is compiled some time after it is stored.
    while not all(as_account(account, granted, one) for account, one in probes) and time.monotonic() < deadline:
        time.sleep(0.2)
    yield granted
    for one in reversed(policies):
        plural = f"{one['kind'].lower()[:-1]}ies" if one["kind"].endswith("y") else f"{one['kind'].lower()}s"
        granted.request("DELETE", f"/apis/{one['apiVersion']}/{plural}/{one['metadata']['name']}")


def test_what_stands_beside_the_tenants_services_is_taken(guarded):
    wanted = [settings_map("flags"), *(delivered(kind) for kind in ("Deployment", "Job", "CronJob"))]
    assert [said for one in wanted if (said := as_account(WRITER, guarded, one))] == []


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob"])
def test_what_is_delivered_takes_no_services_identity_and_no_services_name(guarded, kind):
    assert "has no account" in as_account(WRITER, guarded, delivered(kind, serviceAccountName="api-ms"))
    claims = delivered(kind, labels={"app.kubernetes.io/name": "api-ms"})
    assert "names a service or store" in as_account(WRITER, guarded, claims)
    assert as_account(WRITER, guarded, delivered(kind, labels={"app.kubernetes.io/name": "nightly"})) == ""


def test_the_platforms_own_objects_are_not_overwritten_or_claimed(guarded):
    assert "change the settings" in as_account(WRITER, guarded, settings_map("of-the-platform"))
    assert "to the platform" in as_account(WRITER, guarded, settings_map("new", **dict(LABELS)))


OPERATION = {"sync": {"revision": "main", "source": {"repoURL": "https://elsewhere.example/any/repository", "path": "."}}}


def synchronised(**fields: Any) -> dict[str, Any]:
    """An application that stands in the cluster, as Argo CD left it."""
    one = child_of("bank-a")
    one["metadata"]["name"] = "standing"
    return {**one, "status": {"reconciledAt": "2026-11-14T10:00:00Z"}, **fields}


def with_finalizers(*names: str) -> dict[str, Any]:
    one = child_of("bank-a")
    one["metadata"]["finalizers"] = list(names)
    return one


def test_the_root_writes_an_application_of_its_own_namespace(guarded):
    assert as_account(ROOT, guarded, child_of("bank-a")) == ""
    standing = synchronised()
    del standing["status"]
    assert as_account(ROOT, guarded, standing) == ""
    assert as_account(ROOT, guarded, with_finalizers("foregroundDeletion")) == ""


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"project": "bank-b"}, "called as its namespace"),
        ({"project": "bank-a.root"}, "called as its namespace"),
        ({"project": "default"}, "called as its namespace"),
        ({"destination": {"server": guard.IN_CLUSTER, "namespace": "bank-b"}}, "its own namespace"),
        ({"destination": {"server": guard.IN_CLUSTER}}, "its own namespace"),
        ({"destination": {"server": "https://elsewhere.example", "namespace": "bank-a"}}, "its own namespace"),
        ({"destination": {"name": "elsewhere", "namespace": "bank-a"}}, "its own namespace"),
        ({"destination": {"server": guard.IN_CLUSTER, "name": "elsewhere", "namespace": "bank-a"}}, "its own namespace"),
    ],
)
def test_no_application_of_another_project_or_for_another_place_is_written_by_anyone(guarded, spec, says):
    assert says in as_account(ROOT, guarded, child_of("bank-a", **spec))
    assert says in refusal(guarded, child_of("bank-a", **spec))


@pytest.mark.parametrize(
    "name", ["resources-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io", "bank-a.example/mine"]
)
def test_no_application_waits_for_somebody_before_it_goes(guarded, name):
    assert "has no finalizer" in as_account(ROOT, guarded, with_finalizers(name))
    assert "has no finalizer" in refusal(guarded, with_finalizers(name))


def changed(server: ApiServer, account: str, **fields: Any) -> str:
    """What the server says against the account's change of the application that stands."""
    where = f"/apis/{projects.API}/namespaces/bank-a/applications/standing"
    query = {"fieldManager": "argocd-controller", "force": "true", "dryRun": "All"}
    with acting(server, account) as asked:
        try:
            asked.request("PATCH", where, synchronised(**fields), query=query)
        except RefusedError as error:
            return str(error)
    return ""


@pytest.mark.parametrize(
    "field", [{"operation": OPERATION}, {"status": {"reconciledAt": "2026-11-15T10:00:00Z"}}], ids=["operation", "status"]
)
def test_a_repository_starts_no_operation_and_says_nothing_of_what_became_of_it(guarded, field):
    assert "Argo CD's to write" in as_account(ROOT, guarded, {**child_of("bank-a"), **field})
    assert "Argo CD's to write" in changed(guarded, ROOT, **field)
    assert changed(guarded, ROOT) == changed(guarded, CONTROLLER, **field) == ""


def test_the_root_writes_no_application_beside_argo_cds_own(guarded):
    one = child_of("bank-a", project="bank-a.root")
    one["metadata"]["namespace"] = "argocd"
    assert "cannot create" in as_account(ROOT, guarded, one)
