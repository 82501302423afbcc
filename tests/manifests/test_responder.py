"""The responder's own program against a real API server, with the program's rights and the whole floor: what it does, and may.

Every API call is judged as the account's, by impersonation. Not proven: the mesh before it, and what a kubelet brings into pods.
"""

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from components.admission import floor
from components.graph.identity import spiffe_id
from components.graph.model import Graph, Workload
from components.graph.names import QUARANTINE_LABEL, RESPONDER, RESPONDER_PATH, RISK_CONFIG_MAP, RISK_FILE, SECURITY_NAMESPACE
from components.runtime.responder import HEALTH_PATH, configuration
from components.settings import load
from components.tenancy.namespace import namespace_objects
from components.tenant import COMPILERS
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.apiserver import control_plane
from sandbox.crds import load_crds
from sandbox.proof.attacks import runtime
from sandbox.toolchain import COMPILER, ROOT, build, toolchain
from tests.manifests.floor_support import Caller, injected_pod, refused, wait_until
from tests.support.program import stack_settings

pytestmark = pytest.mark.timeout(1800)  # the first case builds the program where it is not in the cache
REGION = "eu-west-1"
USER = f"system:serviceaccount:{SECURITY_NAMESPACE}:{RESPONDER}"
GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{SECURITY_NAMESPACE}", "system:authenticated")
CALLER = "bank-a/api-ms"
PODS = ("api-ms-1", "auth-ms-1")


def test_the_programs_own_tests_pass():
    environment = {**os.environ, "CGO_ENABLED": "0"}
    command = [toolchain(), "test", *COMPILER, "./..."]
    done = subprocess.run(command, cwd=ROOT / "tools" / "responder", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def graph() -> Graph:
    return Graph.of(load(stack_settings("prod")))


def named(ref: str) -> str:
    workload: Workload = graph().workloads[ref]
    return spiffe_id(graph().trust_domain(REGION), workload.tenant, workload.name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Tenants' namespaces, the risks and the rights to them as the program registers them, two pods, and then the floor."""
    with control_plane(tmp_path_factory.mktemp("responder")) as made:
        made.offer(load_crds())
        for tenant in graph().tenants:
            (space,) = (one for one in namespace_objects(graph(), REGION, tenant) if one["kind"] == "Namespace")
            made.namespace(tenant, space["metadata"]["labels"])
            for one in COMPILERS["risk"](graph(), REGION, tenant):
                made.apply(one)
        for name in PODS:
            account = name.removesuffix("-1")
            made.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": "bank-a"}})
            pod = injected_pod(serviceAccountName=account)
            pod["metadata"]["name"] = name
            made.apply(pod)
        for one in (*floor.region_objects(graph()), *floor.tenant_objects(graph(), REGION, "bank-a")):
            made.apply(one)
        probe = {**injected_pod(), "metadata": {**injected_pod()["metadata"], "labels": {QUARANTINE_LABEL: "true"}}}
        made.apply(_everybody())
        stranger = Caller(made, "somebody")
        wait_until("floor-quarantine" in refused(stranger, "POST", "/api/v1/namespaces/bank-a/pods", probe) for _ in count())
        made.request("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/everybody")
        yield made


def _everybody() -> dict[str, Any]:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody"}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "everybody"}}
    return {**head, "roleRef": role, "subjects": [subject]}


@pytest.fixture
def account(server: ApiServer) -> Caller:
    return Caller(server, USER, GROUPS)


@contextmanager
def responding(server: ApiServer, folder: Path) -> Iterator[str]:
    """The program as the Deployment starts it, but for the kubeconfig; its address."""
    folder.mkdir()
    server.write_kubeconfig(folder / "kubeconfig")
    access = yaml.safe_load((folder / "kubeconfig").read_text(encoding="utf-8"))
    access["users"][0]["user"] |= {"as": USER, "as-groups": list(GROUPS)}
    (folder / "kubeconfig").write_text(yaml.safe_dump(access), encoding="utf-8")
    settings = graph().settings.runtime.responder
    assert settings is not None
    (folder / "configuration.json").write_text(json.dumps(configuration(graph(), REGION, settings)), encoding="utf-8")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    command = [
        str(build("responder", lambda _line: None)),
        f"--configuration={folder}/configuration.json",
        f"--listen={address}",
        f"--kubeconfig={folder}/kubeconfig",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(_answers(address) for _ in count())
        yield address
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0, (folder / "log").read_text(encoding="utf-8")


def ask(address: str, method: str, path: str, body: str | None = None) -> int:
    """The status."""
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.request(method, path, body)
        return connection.getresponse().status


def _answers(address: str) -> bool:
    try:
        return ask(address, "GET", HEALTH_PATH) == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def address(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with responding(server, tmp_path_factory.mktemp("one") / "home") as found:
        yield found


def post(address: str, who: str, *, priority: str = "Error", pod: str = "", **more: Any) -> int:
    event = {
        "uuid": "00000000-0000-4000-8000-000000000000",
        "hostname": "node",
        "source": "syscall",
        "rule": "Unexpected process",
        "priority": priority,
        "time": "2026-11-01T12:00:00.000000001Z",
        "output": "Process that nobody declared",
        "tags": ["container", "tenant_bank-a"],
        "output_fields": {"spiffe_id": who, "k8s.ns.name": "bank-a", "k8s.pod.name": pod, "proc.pid": 7, "proc.tty": None},
        **more,
    }
    return ask(address, "POST", RESPONDER_PATH, json.dumps(event))


def risks(server: ApiServer) -> dict[str, dict[str, str]]:
    """By tenant."""
    found = {}
    for tenant in graph().tenants:
        one = server.request("GET", f"/api/v1/namespaces/{tenant}/configmaps/{RISK_CONFIG_MAP}")
        found[tenant] = json.loads(one["data"][RISK_FILE])
    return found


def everywhere(risk: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    return dict.fromkeys(graph().tenants, risk)


@pytest.fixture(autouse=True)
def _as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        made = request.getfixturevalue("server")
        for tenant in graph().tenants:
            for one in COMPILERS["risk"](graph(), REGION, tenant):
                made.apply(one)
        for pod in PODS:
            path = f"/api/v1/namespaces/bank-a/pods/{pod}"
            found = made.request("GET", path)
            found["metadata"]["labels"].pop(QUARANTINE_LABEL, None)
            made.request("PUT", path, found)


def label(server: ApiServer, pod: str) -> str | None:
    found = server.request("GET", f"/api/v1/namespaces/bank-a/pods/{pod}")["metadata"]["labels"].get(QUARANTINE_LABEL)
    return None if found is None else str(found)


def test_an_event_raises_the_risk_in_every_tenants_namespace_and_never_lowers_it(server, address):
    key = named(CALLER).removeprefix("spiffe://")
    for priority, risk in (("Warning", "medium"), ("Error", "high"), ("Warning", "high"), ("Notice", "high")):
        assert post(address, named(CALLER), priority=priority) == 204
        assert risks(server) == everywhere({key: risk})


def test_at_high_risk_the_pod_is_in_quarantine_if_its_account_is_the_workloads(server, address):
    assert post(address, named(CALLER), priority="Warning", pod="api-ms-1") == 204
    assert label(server, "api-ms-1") is None
    assert post(address, named(CALLER), pod="auth-ms-1") == 204
    assert label(server, "auth-ms-1") is None
    before = server.request("GET", "/api/v1/namespaces/bank-a/pods/api-ms-1")
    assert post(address, named(CALLER), pod="api-ms-1") == 204
    after = server.request("GET", "/api/v1/namespaces/bank-a/pods/api-ms-1")
    assert after["metadata"]["labels"] == {**before["metadata"]["labels"], QUARANTINE_LABEL: "true"}
    assert after["spec"] == before["spec"]
    assert post(address, named(CALLER), pod="api-ms-1") == 204


def test_the_proofs_event_is_one_that_is_acted_on(server, address):
    world = SimpleNamespace(graph=graph(), home_region=REGION)
    event = runtime.event(world, graph().workloads[CALLER], "api-ms-1")
    assert ask(address, "POST", RESPONDER_PATH, json.dumps(event)) == 204
    assert risks(server) == everywhere({named(CALLER).removeprefix("spiffe://"): "high"})
    assert label(server, "api-ms-1") == "true"


@pytest.mark.parametrize(
    ("who", "changes", "status"),
    [
        (named(CALLER).replace("api-ms", "nobody"), {}, 204),
        (named(CALLER).replace(REGION, "eu-central-1"), {}, 204),
        ("spiffe://x/ns/<NA>/sa/<NA>", {}, 204),
        ("", {}, 422),
        (named(CALLER), {"priority": "Grave"}, 422),
        (named(CALLER), {"risk": "low"}, 400),
    ],
)
def test_an_event_that_names_nobody_changes_nothing(server, address, who, changes, status):
    assert post(address, who, **changes) == status
    assert risks(server) == everywhere({})


def test_two_at_once_lose_nothing(server, address, tmp_path):
    refs = [ref for ref, one in graph().workloads.items() if REGION in one.regions]
    with responding(server, tmp_path / "two") as other, ThreadPoolExecutor(8) as pool:
        asked = [(base, ref) for ref in refs for base in (address, other)]
        statuses = list(pool.map(lambda one: post(one[0], named(one[1]), pod=f"{one[1].partition('/')[2]}-1"), asked))
    assert set(statuses) == {204}
    assert risks(server) == everywhere({named(ref).removeprefix("spiffe://"): "high" for ref in refs})


def test_a_namespace_that_refuses_is_told_and_the_others_are_written(server, address):
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/bank-b/rolebindings/{RESPONDER}"
    server.request("DELETE", path)
    wait_until(
        "cannot get" in refused(Caller(server, USER, GROUPS), "GET", f"/api/v1/namespaces/bank-b/configmaps/{RISK_CONFIG_MAP}")
        for _ in count()
    )
    assert post(address, named(CALLER)) == 500
    risk = {named(CALLER).removeprefix("spiffe://"): "high"}
    assert risks(server) == {**everywhere(risk), "bank-b": {}}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "configmaps/opa-policy"),
        ("GET", "configmaps"),
        ("DELETE", f"configmaps/{RISK_CONFIG_MAP}"),
        ("GET", "pods"),
        ("DELETE", "pods/api-ms-1"),
        ("POST", "pods/api-ms-1/exec"),
        ("POST", "pods/api-ms-1/eviction"),
        ("GET", "secrets"),
        ("GET", "serviceaccounts"),
        ("POST", "serviceaccounts/api-ms/token"),
    ],
)
def test_the_account_may_do_nothing_else(account, method, path):
    with pytest.raises(RefusedError, match="cannot"):
        account.request(method, f"/api/v1/namespaces/bank-a/{path}", {} if method == "POST" else None)


def test_the_account_writes_no_other_field_of_a_pod_and_no_lower_risk(server, address, account):
    assert post(address, named(CALLER)) == 204
    applied = {"fieldManager": "other", "force": "true"}
    head = {"apiVersion": "v1", "kind": "Pod"}
    for metadata in ({"labels": {"app": "other"}}, {"labels": {QUARANTINE_LABEL: "true"}, "annotations": {"a": "b"}}):
        with pytest.raises(RefusedError, match="floor-quarantine"):
            account.request("PATCH", "/api/v1/namespaces/bank-a/pods/auth-ms-1", {**head, "metadata": metadata}, query=applied)
    path = f"/api/v1/namespaces/bank-a/configmaps/{RISK_CONFIG_MAP}"
    lowered = {**server.request("GET", path), "data": {RISK_FILE: "{}\n"}}
    with pytest.raises(RefusedError, match="falls by people"):
        account.request("PUT", path, lowered)
