"""Requests to the API server as somebody else, and its layers turned off for that one caller.

The administrator's certificate may act as anybody. What is asked is judged as if it were meant, and kept by nobody (`dryRun`).
"""

import copy
import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from components.graph.model import Workload
from components.graph.names import TENANT_LABEL
from sandbox.live.client import Cluster, Object
from sandbox.proof.attacks.registry import Attempted
from sandbox.proof.attacks.switches import Where, added, changed
from sandbox.proof.refusals import by_words
from sandbox.proof.results import Evidence
from sandbox.proof.world import ProofError, World

ATTACKERS: Final = "proof:"
"""How users begin for whom admission can be turned off: everybody else is judged as ever."""
TENANT, SERVICE = "bank-a", "bank-a/api-ms"
"""Whose pod is weakened, and whose account asks for what is not its own."""
CORE: Final = "/api/v1"
MERGE, STRATEGIC, JSON = "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json"
API: Final = "admissionregistration.k8s.io/v1"
GATEKEEPER: Final = Where(API, "ValidatingWebhookConfiguration", None, "gatekeeper-validating-webhook-configuration")
_UNLESS: Final = f"!request.userInfo.username.startsWith('{ATTACKERS}')"
_RBAC: Final = "rbac.authorization.k8s.io"
_TIMEOUT_SECONDS: Final = 30.0
_SETTLED_SECONDS: Final = 1.5
"""The API server takes changed admission policies up once a second, and says nothing when it has."""


@dataclass(frozen=True)
class Asked:
    """One request to the API server; `body` is none for a reading one."""

    method: str
    path: str
    body: Object | None = None
    media: str = JSON


@dataclass(frozen=True, kw_only=True)
class Said:
    """Its answer: the status and the words of a refusal; the object when there is none."""

    status: int
    words: str
    found: Object

    @property
    def is_allowed(self) -> bool:
        """Whether the request was let through."""
        return 200 <= self.status < 300  # noqa: PLR2004


def home(world: World) -> Cluster:
    """The cluster that is asked."""
    return world.clusters[world.home_region]


def attacker(world: World) -> Workload:
    """The workload whose pod and whose account the attacker has."""
    return world.graph.workloads[SERVICE]


def account(workload: Workload) -> str:
    """A workload's service account, as the API server names it."""
    return f"system:serviceaccount:{workload.tenant}:{workload.name}"


def ask(cluster: Cluster, asked: Asked, user: str, *, kept: bool = False) -> Said:
    """One request as `user`.

    Args:
        cluster: whose API server is asked.
        asked: the request.
        user: a user's name; that of a service account brings its groups.
        kept: whether what is asked for is done; otherwise it is judged alone.

    Raises:
        OSError: nobody answers.
    """
    query = "" if kept or asked.method == "GET" else "?" + urlencode({"dryRun": "All"})
    payload = b"" if asked.body is None else json.dumps(asked.body).encode()
    server = urlsplit(cluster.access.url)
    connection = http.client.HTTPSConnection(str(server.hostname), server.port, context=cluster.tls, timeout=_TIMEOUT_SECONDS)
    try:
        connection.putrequest(asked.method, asked.path + query)
        for name, value in (("Content-Type", asked.media), ("Content-Length", str(len(payload))), ("Impersonate-User", user)):
            connection.putheader(name, value)
        for group in groups(user):
            connection.putheader("Impersonate-Group", group)
        connection.endheaders(payload)
        answer = connection.getresponse()
        return _said(answer.status, answer.read())
    finally:
        connection.close()


def groups(user: str) -> tuple[str, ...]:
    """What the API server itself counts a user to."""
    parts = user.split(":")
    if parts[:2] == ["system", "serviceaccount"]:
        return "system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{parts[2]}"
    return ("system:authenticated",)


def _said(status: int, answer: bytes) -> Said:
    try:
        found = json.loads(answer)
    except ValueError:
        found = {"message": answer.decode(errors="replace").strip()}
    return Said(status=status, words=str(found.get("message", "")), found=found)


def attempted(said: Said, user: str) -> Attempted:
    """What came of it: stopped by whoever says so; a refusal that nobody owns up to is by nobody."""
    words = said.words[:600] if not said.is_allowed else f"{said.status}, it would have been done"
    evidence = Evidence(source=f"API server, to {user}", words=words)
    return Attempted(stopped=not said.is_allowed, by=by_words(said.words) if not said.is_allowed else "", evidence=evidence)


@contextmanager
def rights(
    cluster: Cluster, user: str, name: str, namespace: str, rules: Sequence[Mapping[str, Any]], *, named: str = ""
) -> Iterator[None]:
    """What a user may do in a namespace for this time; `named` is an object that the first rule holds for, if not for all.

    Raises:
        ServerError: Gatekeeper refuses a right of that kind.
        ProofError: it does not take effect.
    """
    about = {"name": name, "namespace": namespace}
    role: Object = {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": about, "rules": [dict(rule) for rule in rules]}
    with added(cluster, role), added(cluster, _binding("RoleBinding", "Role", about, user)):
        first = rules[0]
        wanted = {"namespace": namespace, "verb": first["verbs"][0], "resource": first["resources"][0], "name": named}
        _wait_for_right(cluster, user, {"group": first["apiGroups"][0], **wanted})
        yield


@contextmanager
def every_right(cluster: Cluster, user: str, name: str) -> Iterator[None]:
    """Kubernetes' RBAC turned off for one user: it may do everything, as far as RBAC is asked.

    Raises:
        ServerError: it is refused.
        ProofError: it does not take effect.
    """
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    role = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": everything}
    with ExitStack() as stack:
        with _administrator_unjudged(cluster):
            stack.enter_context(added(cluster, role))
            stack.enter_context(added(cluster, _binding("ClusterRoleBinding", "ClusterRole", {"name": name}, user)))
        _wait_for_right(cluster, user, {"group": "*", "verb": "*", "resource": "*"})
        yield


def _binding(kind: str, role: str, about: Mapping[str, str], user: str) -> Object:
    subject = {"kind": "User", "name": user, "apiGroup": _RBAC}
    reference = {"apiGroup": _RBAC, "kind": role, "name": about["name"]}
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": dict(about), "roleRef": reference, "subjects": [subject]}


def _wait_for_right(cluster: Cluster, user: str, wanted: Mapping[str, str]) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    spec = {"user": user, "groups": list(groups(user)), "resourceAttributes": dict(wanted)}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    World.wait(f"{user} to be let", lambda: bool(cluster.request("POST", path, review)["status"]["allowed"]))


def _conditions(found: Object, name: str, expression: str) -> None:
    """Adds a condition to whatever decides over admission."""
    for one in found.get("webhooks") or [found["spec"]]:
        one["matchConditions"] = [*one.get("matchConditions", []), {"name": name, "expression": expression}]


@contextmanager
def _administrator_unjudged(cluster: Cluster) -> Iterator[None]:
    """Gatekeeper refuses the administrator too; for as long as the administrator turns another layer off it is not asked."""
    unless = "!('system:masters' in request.userInfo.groups)"
    with changed(cluster, GATEKEEPER, lambda found: _conditions(found, "proof-administrator", unless)):
        time.sleep(_SETTLED_SECONDS / 3)
        yield


@contextmanager
def without_gatekeeper(cluster: Cluster) -> Iterator[None]:
    """Gatekeeper turned off for the attackers.

    Raises:
        ProofError: it could not be put back.
    """
    with changed(cluster, GATEKEEPER, lambda found: _conditions(found, "proof-attackers", _UNLESS)):
        time.sleep(_SETTLED_SECONDS)
        yield


@contextmanager
def without_floor(cluster: Cluster) -> Iterator[None]:
    """Every ValidatingAdmissionPolicy turned off for the attackers.

    Raises:
        ProofError: one could not be put back.
    """
    with ExitStack() as stack:
        for policy in cluster.list(API, "ValidatingAdmissionPolicy", None):
            where = Where(API, "ValidatingAdmissionPolicy", None, policy["metadata"]["name"])
            stack.enter_context(changed(cluster, where, lambda found: _conditions(found, "proof-attackers", _UNLESS)))
        time.sleep(_SETTLED_SECONDS)
        yield


@contextmanager
def without_pod_security(cluster: Cluster, tenant: str) -> Iterator[None]:
    """Pod Security turned off in a tenant's namespace, for whoever asks: it knows no users.

    Raises:
        ProofError: the namespace could not be put back.
    """

    def opened(found: Object) -> None:
        labels = found["metadata"]["labels"]
        if labels.get(TENANT_LABEL) != tenant:
            msg = f"namespace {tenant} is not the tenant's"
            raise ProofError(msg)
        labels["pod-security.kubernetes.io/enforce"] = "privileged"

    with ExitStack() as stack:
        with _administrator_unjudged(cluster):
            stack.enter_context(changed(cluster, Where("v1", "Namespace", None, tenant), opened))
            time.sleep(_SETTLED_SECONDS / 3)
        try:
            yield
        finally:
            with _administrator_unjudged(cluster):
                stack.close()


def live_copy(cluster: Cluster, workload: Workload, name: str) -> Object:
    """A pod as the workload's Deployment makes them, before anything is added to it at admission.

    Raises:
        ProofError: there is no such Deployment.
    """
    found = cluster.get("apps/v1", "Deployment", workload.tenant, workload.name)
    if found is None:
        msg = f"there is no Deployment {workload.ref}"
        raise ProofError(msg)
    template: dict[str, Any] = copy.deepcopy(found["spec"]["template"])
    template["metadata"] = {key: value for key, value in template["metadata"].items() if key in {"labels", "annotations"}}
    template["metadata"]["name"] = name
    return {"apiVersion": "v1", "kind": "Pod", **template}
