"""The floor on a real API server: who asks, with which pod, and how long until a policy that was just written is judged by."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.admission import floor
from components.admission.constraints import proxy_image
from components.graph.model import Graph
from components.graph.names import QUARANTINE_LABEL, TENANT_LABEL
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.apiserver import control_plane
from sandbox.crds import load_crds

PATIENCE = 60.0
PROXY_CONFIG = (
    '{"proxyMetadata":{"WORKLOAD_IDENTITY_SOCKET_FILE":"spire-agent.sock"},"proxyHeaders":{"forwardedClientCert":"SANITIZE_SET"}}'
)


TENANT = "bank-a"
LABELS = {
    TENANT_LABEL: TENANT,
    "istio-injection": "enabled",
    "app.kubernetes.io/part-of": TENANT,
    "pod-security.kubernetes.io/enforce": "restricted",
}
PODS = "/api/v1/namespaces/bank-a/pods"
IN = "/api/v1/namespaces/bank-a"
HELD = {QUARANTINE_LABEL: "true"}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "own", "uid": "00000000-0000-4000-8000-000000000000"}


class Caller(ApiServer):
    """The server's administrator in somebody else's name: what EKS would say of a caller, said by impersonation."""

    def __init__(self, server: ApiServer, user: str, groups: Sequence[str] = ("system:authenticated",)) -> None:
        super().__init__(server.url, authority=server.authority, certificate=server.certificate, key=server.key)
        plain = self._connection.putheader
        given = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        first = self._connection.endheaders

        def ended(*arguments: Any, **named: Any) -> None:
            for header in given:
                plain(*header)
            first(*arguments, **named)

        self._connection.endheaders = ended  # type: ignore[method-assign]


def everything(name: str, group: str) -> dict[str, Any]:
    """A binding by which a group may do everything: what is refused then the floor refuses."""
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    return {**head, "roleRef": role, "subjects": [subject]}


def refused(caller: ApiServer, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """What the server says against a trial of the request; the empty text when it would do it."""
    try:
        # Whoever is let through to a pod finds none: a connection has no trial.
        connects = path.endswith(("/exec", "/portforward"))
        caller.request(method, path, body, query=None if connects else {"dryRun": "All"})
    except RefusedError as error:
        return error.message
    return ""


def wait_until(asked: Iterator[bool]) -> None:
    """Until a question is answered yes: the server compiles a policy a moment after it is written."""
    deadline = time.monotonic() + PATIENCE
    while not next(asked):
        if time.monotonic() > deadline:
            msg = "the policies are not judged by"
            raise AssertionError(msg)
        time.sleep(0.2)


def injected_pod(**changes: Any) -> dict[str, Any]:
    """A service's pod as it is after injection; None takes a field of the spec away."""
    hardened = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    proxy = {
        "name": "istio-proxy",
        "image": proxy_image(),
        "args": ["proxy", "sidecar"],
        "restartPolicy": "Always",
        "securityContext": {**hardened, "runAsUser": 1337, "runAsGroup": 1337},
        "env": [{"name": "PROXY_CONFIG", "value": PROXY_CONFIG}],
        "volumeMounts": [{"name": "workload-socket", "mountPath": "/var/run/secrets/workload-spiffe-uds"}],
    }
    spec = {
        "serviceAccountName": "default",
        "automountServiceAccountToken": False,
        "containers": [{"name": "app", "image": "a", "securityContext": hardened}],
        "initContainers": [proxy],
        "volumes": [{"name": "workload-socket", "csi": {"driver": "csi.spiffe.io", "readOnly": True}}],
    }
    metadata: dict[str, Any] = {
        "name": "offered",
        "namespace": "bank-a",
        "annotations": {
            "sidecar.istio.io/status": "{}",
            "sidecar.istio.io/proxyCPU": "100m",
            "sidecar.istio.io/interceptionMode": "REDIRECT",
            "traffic.sidecar.istio.io/includeInboundPorts": "*",
            "traffic.sidecar.istio.io/excludeInboundPorts": "15090,15021",
        },
        "labels": {
            "app.kubernetes.io/name": "api-ms",
            "security.istio.io/tlsMode": "istio",
            "topology.istio.io/network": "eu-west-1",
        },
    }
    for key in ("annotations", "labels"):
        metadata[key] |= changes.pop(key, {})
    changes["volumes"] = [*spec["volumes"], *changes.pop("volumes", [])]
    spec |= changes
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {k: v for k, v in spec.items() if v is not None}}


def config(name: str) -> dict[str, Any]:
    """A ConfigMap of the tenant's."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": TENANT}, "data": {"a": "b"}}


def risks(text: str, **more: Any) -> dict[str, Any]:
    """The object of risks with this text."""
    return {**config("workload-risk"), "data": {"risk.json": text}, **more}


def named_pod(name: str, labels: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """A service's pod by a name."""
    pod = injected_pod(labels=dict(labels), **changes)
    pod["metadata"]["name"] = name
    return pod


def at(one: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Where an existing core object stands, and the object."""
    plural = {"ConfigMap": "configmaps", "Secret": "secrets"}[one["kind"]]
    return f"/api/v1/namespaces/{TENANT}/{plural}/{one['metadata']['name']}", one


@contextmanager
def floored(folder: Path, graph: Graph, kinds: Sequence[Mapping[str, Any]] = ()) -> Iterator[ApiServer]:
    """A control plane of its own with a tenant and the whole floor: it would refuse other tests' objects.

    Args:
        folder: for its data and logs.
        graph: whose floor it is.
        kinds: objects of whose kinds the server is to know before the floor stands.
    """
    with control_plane(folder) as made:
        made.offer(load_crds())
        for name in (TENANT, "free"):
            made.namespace(name, LABELS if name == TENANT else {})
        for number, group in enumerate(("system:authenticated", "system:nodes")):
            made.apply(everything(f"all-{number}", group))
        for name in ("opa-policy", "opa-data-api-ms", "own"):
            made.apply(config(name))
        made.apply(risks("{}\n"))
        for name, labels in (("standing", {}), ("held", HELD)):
            made.apply(named_pod(name, labels))
        made.prepare(kinds)
        for one in (*floor.region_objects(graph), *floor.tenant_objects(graph, "eu-west-1", TENANT)):
            made.apply(one)
        yield made
