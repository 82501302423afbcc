"""Attacks against admission, secrets, egress and at run time, as far as they need no sandbox: what is sent, how it is read."""

import copy
import re
import subprocess
from base64 import b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from components.graph.model import Graph
from components.runtime.sidekick import sidekick_objects
from components.settings import load_file
from sandbox.proof import events
from sandbox.proof.attacks import admission, egress, loosened, runtime, secrets, stolen
from sandbox.proof.attacks.apiserver import Said, attempted, groups
from sandbox.proof.attacks.registry import Attempted, Sent
from sandbox.proof.attacks.stores import Told
from sandbox.proof.attacks.weakened import AROUND_THE_PROXY, WEAKNESSES, Weakness
from sandbox.proof.refusals import LAYERS
from sandbox.proof.world import SIDECAR, Answer, Pod, ProofError
from tests.support.program import ROOT

ATTACKS = (*admission.ATTACKS, *secrets.ATTACKS, *stolen.ATTACKS, *egress.ATTACKS, *runtime.ATTACKS)
REGION = "eu-west-1"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.of(load_file(ROOT / "Pulumi.local.yaml"))


def pod() -> dict[str, Any]:
    container = {
        "name": "api-ms",
        "image": "1.dkr.ecr.eu-west-1.amazonaws.com/bank-a/api-ms@sha256:00",
        "ports": [{"containerPort": 8080}],
        "livenessProbe": {"httpGet": {"path": "/livez", "port": 8080}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True},
    }
    spec = {"containers": [container], "automountServiceAccountToken": False, "volumes": [{"name": "tmp", "emptyDir": {}}]}
    return {"metadata": {"name": "proof", "labels": {"app.kubernetes.io/name": "api-ms"}}, "spec": spec}


def test_every_attack_is_told_apart_names_a_technique_and_a_layer_that_can_refuse():
    keys = [one.key for one in ATTACKS]
    assert len(keys) == len(set(keys)) >= 50
    for one in ATTACKS:
        assert one.key.startswith(f"{one.family}-")
        assert one.techniques, one.key
        assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in one.techniques), one.key
        assert one.expected in LAYERS, one.key
        assert not one.case or re.fullmatch(r"A\d\d", one.case), one.key


@pytest.mark.parametrize("one", [*WEAKNESSES, *AROUND_THE_PROXY], ids=lambda one: one.key)
def test_every_weakness_weakens_the_pod_and_leaves_the_original_alone(one: Weakness):
    before = pod()
    changed = copy.deepcopy(before)
    one.weaken(changed)
    assert changed != before == pod()
    again = pod()
    one.weaken(again)
    assert again == changed, "the same every time"


def test_a_privileged_container_is_one_that_the_server_takes_for_valid():
    by_key = {one.key: one for one in WEAKNESSES}
    for key, where in (("privileged", "containers"), ("privileged-init", "initContainers")):
        changed = pod()
        by_key[key].weaken(changed)
        said = changed["spec"][where][0]["securityContext"]
        assert (said["privileged"], said["allowPrivilegeEscalation"]) == (True, True)


def test_images_that_look_like_the_tenants_are_not_the_tenants():
    by_key = {one.key: one for one in WEAKNESSES}
    found = {}
    for key in ("look-alike-registry", "similar-repository", "tag"):
        changed = pod()
        by_key[key].weaken(changed)
        found[key] = changed["spec"]["containers"][0]["image"]
    assert found == {
        "look-alike-registry": "1.dkr.ecr.eu-west-1.amazonaws.com.evil.example/bank-a/api-ms@sha256:00",
        "similar-repository": "1.dkr.ecr.eu-west-1.amazonaws.com/bank-a-evil/api-ms@sha256:00",
        "tag": "1.dkr.ecr.eu-west-1.amazonaws.com/bank-a/api-ms:latest",
    }


def test_a_service_account_is_in_the_groups_that_the_server_counts_it_to_and_a_user_in_none_of_them():
    of_account = groups("system:serviceaccount:bank-a:api-ms")
    assert of_account == ("system:authenticated", "system:serviceaccounts", "system:serviceaccounts:bank-a")
    assert groups("proof:editor") == ("system:authenticated",)


def test_what_was_let_through_is_stopped_by_nobody_and_a_refusal_by_whoever_says_so():
    allowed = attempted(Said(status=201, words="", found={}), "u")
    assert (allowed.stopped, allowed.by) == (False, "")
    refused = attempted(Said(status=403, words='pods is forbidden: User "u" cannot create resource "pods"', found={}), "u")
    assert (refused.stopped, refused.by) == (True, "kubernetes-rbac")
    assert attempted(Said(status=422, words="spec is invalid", found={}), "u").by == ""


def test_a_cache_refuses_by_its_own_alert_alone_and_whoever_is_answered_is_in():
    pod = Pod(region=REGION, namespace="bank-a", name="api-ms-0", address="", node="", labels={}, ready=True, processes={})

    def seen(**said: str) -> Attempted | Sent:
        answer = Answer(**{"status": 0, "body": "", "error": "", "at": "", "seconds": 0.0, **said})
        return egress.heard(answer, "unknown ca", pod, "bank-b/x")

    def judged(**said: str) -> tuple[bool, str, bool]:
        found = seen(**said)
        assert isinstance(found, Attempted)
        return found.stopped, found.by, found.failed

    assert judged(error="remote error: tls: unknown ca") == (True, "valkey", False)
    for words in ("certificate required", "certificate expired", "internal error"):
        assert judged(error=f"remote error: tls: {words}") == (False, "", True)
    assert judged(body="+PONG\r\n+OK\r\n", error="the connection was closed without an answer") == (False, "", False)
    for words in ("the connection was closed without an answer", "[Errno 104] Connection reset by peer"):
        assert isinstance(seen(error=words), Sent), "who ended it is in the proxy's log, or nobody did"


def test_every_trick_spells_the_foreign_path_otherwise():
    own, foreign = "/v1/database-a/creds/x", "/v1/database-b/creds/y"
    tricks = secrets._tricks(own, foreign)
    assert len(set(tricks)) == len(tricks) >= 7
    assert not {foreign, own} & set(tricks)
    assert all(trick.startswith("/v1/") for trick in tricks)


def test_a_published_key_becomes_one_that_openssl_reads():
    made = subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], capture_output=True, check=True
    ).stdout
    der = subprocess.run(["openssl", "ec", "-pubout", "-outform", "DER"], input=made, capture_output=True, check=True).stdout
    pem = subprocess.run(["openssl", "ec", "-pubout"], input=made, capture_output=True, check=True).stdout.decode()
    encode = lambda part: urlsafe_b64encode(part).decode().rstrip("=")  # noqa: E731
    ours = loosened._pem(encode(der[-64:-32]), encode(der[-32:]))
    body = lambda text: b64decode("".join(text.splitlines()[1:-1]))  # noqa: E731
    assert body(ours) == body(pem)


class Kept(Told):
    """Vault's answers from a dictionary."""

    def __init__(self, found: dict[str, Any], *, forgets: bool = False) -> None:
        self.found, self.written, self.forgets = found, [], forgets

    def _asked(self, method: str, _path: str, body: Any) -> Any:
        if method == "POST":
            self.written.append(dict(body))
            if not self.forgets or len(self.written) == 1:
                self.found |= body
            self.found["version"] = self.found.get("version", 0) + 1
        return {"data": dict(self.found)}


def test_what_vault_was_told_is_put_back_and_what_it_counts_itself_is_not_written():
    before = {"bound_subject": "a", "bound_claims": None, "version": 1, "ttl": 900}
    vault = Kept(dict(before))
    with vault.changed("auth/role", bound_subject="", bound_claims={"sub": ["a", "b"]}):
        assert vault.found["bound_claims"] == {"sub": ["a", "b"]}
        assert vault.found["bound_subject"] == ""
    assert vault.found["bound_subject"] == "a"
    assert vault.found["bound_claims"] == {}
    assert all("version" not in body for body in vault.written)


def test_vault_that_does_not_take_the_old_state_back_is_an_error():
    vault = Kept({"policy": "old"}, forgets=True)
    with pytest.raises(ProofError, match="not put back"), vault.changed("sys/policies/acl/x", policy="new"):
        pass


def test_what_posts_events_is_the_side_kicks_pod_but_for_its_program(graph: Graph):
    (deployment,) = (one for one in sidekick_objects(graph) if one["kind"] == "Deployment")
    template, pod = deployment["spec"]["template"], events.stand_in(graph)
    assert pod["metadata"]["labels"] == template["metadata"]["labels"]
    assert template["metadata"]["annotations"].items() <= pod["metadata"]["annotations"].items()
    for key in ("serviceAccountName", "automountServiceAccountToken", "securityContext"):
        assert pod["spec"][key] == template["spec"][key]
    (container,), (own,) = pod["spec"]["containers"], template["spec"]["containers"]
    assert container["securityContext"] == own["securityContext"]
    assert (container["image"], own["image"]) == (graph.settings.images.chaos.pause, graph.settings.images.falcosidekick)
    assert not {"args", "volumeMounts"} & set(container)


def test_a_pod_whose_application_has_a_token_of_its_own_proves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(stolen, "Path", lambda text: tmp_path / text.strip("/"))
    names = {"region": REGION, "namespace": "bank-a", "name": "p", "node": "n", "address": "", "labels": {}, "ready": True}
    attacked = Pod(processes={"api-ms": 1, SIDECAR: 2}, **names)
    with pytest.raises(ProofError, match="no token to steal"):
        stolen._stolen(attacked)
    proxys = tmp_path / "proc/2/root/var/run/secrets/tokens/istio-token"
    proxys.parent.mkdir(parents=True)
    proxys.write_text("a.b.c\n")
    assert stolen._stolen(attacked) == "a.b.c"
    own = tmp_path / "proc/1/root/var/run/secrets/kubernetes.io/serviceaccount/token"
    own.parent.mkdir(parents=True)
    own.write_text("d.e.f")
    with pytest.raises(ProofError, match="has a token of the API server"):
        stolen._stolen(attacked)
