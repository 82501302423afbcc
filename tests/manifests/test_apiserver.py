"""The judge itself: it accepts what is right and refuses the mistakes that a lenient server would swallow.

Not proven here: what the program sends (that goes through the same server elsewhere), and anything a controller or an
admission webhook would say.
"""

import copy
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sandbox import apiserver
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.apiserver import ControlPlaneError, control_plane
from sandbox.crds import unjudged
from sandbox.toolchain import pinned_version
from tests.manifests.custom_objects import CUSTOM, NAMESPACE

_NOT_JUDGED = {group for groups in unjudged().values() for group in groups}
JUDGED = sorted(kind for kind, entry in CUSTOM.items() if entry.api_version.partition("/")[0] not in _NOT_JUDGED)


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    api_server.namespace(NAMESPACE)
    api_server.prepare(CUSTOM[kind].manifest("any") for kind in JUDGED)
    return api_server


def misspelt(kind: str) -> tuple[dict[str, Any], str, str]:
    """The kind's object with one key misspelt, the server's path of it, and the key."""
    manifest = copy.deepcopy(CUSTOM[kind].manifest("planted"))
    *parents, key = CUSTOM[kind].misspelt
    place: Any = manifest
    for part in parents:
        place = place[part]
    wrong = f"{key}s"
    place[wrong] = place.pop(key)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*parents, wrong)).removeprefix(".")
    return manifest, path, wrong


def pod(namespace: str, *, privileged: bool) -> dict[str, Any]:
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": privileged,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if privileged:
        context["privileged"] = True
    container = {"name": "app", "image": "registry.bank.internal/app@sha256:" + "0" * 64, "securityContext": context}
    metadata = {"name": "privileged" if privileged else "restricted", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def test_the_server_is_the_pinned_one_in_the_minor_that_eks_runs(api_server):
    said = api_server.request("GET", "/version")
    assert said["gitVersion"] == pinned_version("kube-apiserver")
    assert (said["major"], said["minor"]) == ("1", "35")


@pytest.mark.parametrize("kind", JUDGED)
def test_a_right_object_of_a_custom_kind_is_accepted(server, kind):
    server.apply(CUSTOM[kind].manifest("right"), dry_run=True)


@pytest.mark.parametrize("kind", JUDGED)
def test_a_misspelt_key_of_a_custom_kind_is_refused_by_its_name(server, kind):
    manifest, path, _ = misspelt(kind)
    with pytest.raises(RefusedError) as caught:
        server.apply(manifest, dry_run=True)
    assert f'unknown field "{path}"' in caught.value.message
    assert caught.value.code == 400


def test_every_custom_kind_is_judged_or_its_definitions_are_reported_missing(api_server):
    unknown = {kind for kind, entry in CUSTOM.items() if not api_server.knows(entry.api_version, kind)}
    assert unknown == set(CUSTOM) - set(JUDGED)


def test_a_lenient_server_would_have_swallowed_the_misspelt_key(server):
    manifest, _, wrong = misspelt("PeerAuthentication")
    server.apply(CUSTOM["PeerAuthentication"].manifest("right"), dry_run=True)
    where = f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/peerauthentications"
    kept = server.request("POST", where, manifest, query={"fieldValidation": "Ignore", "dryRun": "All"})
    assert wrong not in str(kept["spec"])


def test_a_misspelt_key_is_refused_in_a_change_as_in_a_creation(server):
    right = CUSTOM["PeerAuthentication"].manifest("changed")
    server.apply(right)
    wrong = copy.deepcopy(right)
    wrong["spec"]["mtls"]["modes"] = "STRICT"
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match="modes"):
            server.apply(wrong, dry_run=dry_run)


def test_an_object_is_changed_by_applying_it_again_and_left_alone_by_a_dry_run(server):
    where = f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/peerauthentications/again"
    manifest = CUSTOM["PeerAuthentication"].manifest("again")
    server.apply(manifest)
    manifest["spec"] = {"mtls": {"mode": "DISABLE"}}
    server.apply(manifest, dry_run=True)
    assert server.request("GET", where)["spec"]["mtls"]["mode"] == "STRICT"
    server.apply(manifest)
    assert server.request("GET", where)["spec"]["mtls"]["mode"] == "DISABLE"


def test_a_value_outside_the_schema_is_refused(server):
    manifest = CUSTOM["PeerAuthentication"].manifest("value")
    manifest["spec"] = {"mtls": {"mode": "MAYBE"}}
    with pytest.raises(RefusedError, match="MAYBE") as caught:
        server.apply(manifest, dry_run=True)
    assert caught.value.reason == "Invalid"


def test_a_core_object_is_judged_as_strictly(server):
    policy = {"podSelector": {}, "policyType": ["Ingress"]}
    metadata = {"name": "deny", "namespace": NAMESPACE}
    with pytest.raises(RefusedError, match=r'unknown field "spec\.policyType"'):
        server.apply(
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": policy}, dry_run=True
        )


def test_a_kind_nobody_defines_is_refused(server):
    with pytest.raises(RefusedError, match=r"no PeerAuthentification in security\.istio\.io/v1"):
        server.apply({**CUSTOM["PeerAuthentication"].manifest("none"), "kind": "PeerAuthentification"})


def test_a_namespace_that_enforces_restricted_refuses_a_privileged_pod(api_server):
    api_server.namespace("guarded", {"pod-security.kubernetes.io/enforce": "restricted"})
    with pytest.raises(RefusedError, match='violates PodSecurity "restricted:latest": privileged') as caught:
        api_server.apply(pod("guarded", privileged=True), dry_run=True)
    assert caught.value.code == 403
    api_server.apply(pod("guarded", privileged=False), dry_run=True)


def test_without_the_label_the_same_pod_is_let_in(api_server):
    api_server.namespace("unguarded")
    api_server.apply(pod("unguarded", privileged=True), dry_run=True)


def test_a_caller_without_a_certificate_is_turned_away(api_server):
    trusting = ssl.create_default_context(cafile=str(api_server.authority))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{api_server.url}/api", context=trusting)  # noqa: S310  # https, on loopback
    caught.value.close()
    assert caught.value.code == 401


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every process that the control plane starts."""
    seen: list[subprocess.Popen[bytes]] = []
    spawn = apiserver._spawn

    def watched(*args: Any) -> subprocess.Popen[bytes]:
        seen.append(spawn(*args))
        return seen[-1]

    monkeypatch.setattr(apiserver, "_spawn", watched)
    return seen


def test_a_start_that_fails_says_why_and_leaves_nothing_running(api_server, tmp_path, monkeypatch, started):
    del api_server  # the real binaries are built by then
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho the disk is on fire >&2\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    build = apiserver.build
    monkeypatch.setattr(apiserver, "build", lambda name, progress: broken if name == "kube-apiserver" else build(name, progress))
    with (
        pytest.raises(ControlPlaneError, match="kube-apiserver ended with code 3: the disk is on fire"),
        control_plane(tmp_path / "work"),
    ):
        pytest.fail("it claims to have started")
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


def test_an_error_inside_the_context_ends_both_processes(api_server, tmp_path, started):
    del api_server
    alive: list[bool] = []

    def use() -> None:
        with control_plane(tmp_path / "work") as server:
            alive.extend([server.ready(), *(process.poll() is None for process in started)])
            server.apply({"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "x"}})

    with pytest.raises(RefusedError, match="no Nonsense in v1"):
        use()
    assert alive == [True, True, True]
    assert all(process.poll() is not None for process in started)


@pytest.mark.parametrize("taken", [0, 2], ids=["etcd", "kube-apiserver"])
def test_a_port_that_somebody_took_in_between_is_left_to_them(api_server, tmp_path, monkeypatch, taken):
    del api_server
    free = apiserver._free_ports
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        held = somebody.getsockname()[1]
        first = iter([True])

        def ports(count: int) -> list[int]:
            found = free(count)
            return [held if place == taken else port for place, port in enumerate(found)] if next(first, False) else found

        monkeypatch.setattr(apiserver, "_free_ports", ports)
        with control_plane(tmp_path / "work") as server:
            assert server.ready()
            assert not server.url.endswith(f":{held}")


def test_only_its_owner_may_enter_the_folder_of_a_control_plane(tmp_path, monkeypatch):
    monkeypatch.setattr(apiserver, "build", lambda _name, _progress: Path("/bin/false"))
    work = tmp_path / "work"
    work.mkdir(mode=0o755)
    with pytest.raises(ControlPlaneError), control_plane(work):
        pytest.fail("it claims to have started")
    assert work.stat().st_mode & 0o077 == 0
    keys = sorted(work.rglob("*.key"))
    assert len(keys) == 6
    assert [key for key in keys if key.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("end", [ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError])
def test_a_connection_that_the_server_closed_while_idle_is_opened_again(api_server, monkeypatch, end):
    request = api_server._connection.request
    failures = [end("closed meanwhile")]

    def once(*arguments):
        if failures:
            raise failures.pop()
        return request(*arguments)

    monkeypatch.setattr(api_server._connection, "request", once)
    assert api_server.request("GET", "/version")["major"] == "1"
    assert not failures
