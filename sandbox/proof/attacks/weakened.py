"""A tenant's real pod, weakened in one way each: what an attacker would want to run, and who has to refuse it.

Only the deployer may make pods in a tenant's namespace. The attacker here has been given that right, so that what stands behind
it is asked: RBAC is not among these layers.
"""

import copy
from collections.abc import Callable
from typing import Final, NamedTuple

from sandbox.live.client import Object
from sandbox.proof.world import MESH_USER

Weaken = Callable[[Object], None]
"""Edits a pod in place; its first container is the application."""
_SOCKET_FOLDER: Final = "/run/spire/agent-sockets"
_METADATA_ADDRESS: Final = "169.254.169.254"
_UNCHECKED: Final = (
    "behind Gatekeeper stands Kyverno's check of the signature, which does not run here; RBAC, before both, lets nobody but the "
    "deployer make pods, and this attacker was let"
)
_UNMADE: Final = "RBAC, before it, lets nobody but the deployer make pods in a tenant's namespace, and this attacker was let"


class Weakness(NamedTuple):
    """One way to weaken a pod; fields as in `registry.Planned`."""

    key: str
    title: str
    techniques: tuple[str, ...]
    case: str
    expected: str
    weaken: Weaken
    single: str = ""


def _application(pod: Object) -> Object:
    found: Object = pod["spec"]["containers"][0]
    return found


def _secured(container: Object, **fields: object) -> None:
    container["securityContext"] = {**container["securityContext"], **fields}


def _privileged(container: Object) -> None:
    # together with a forbidden escalation it is no valid pod at all
    _secured(container, privileged=True, allowPrivilegeEscalation=True)


def _privileged_first(pod: Object) -> None:
    first = copy.deepcopy(_application(pod))
    for field in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports"):
        first.pop(field, None)
    first["name"] = "before"
    _privileged(first)
    pod["spec"]["initContainers"] = [first, *pod["spec"].get("initContainers", [])]


def _volume(source: Object) -> Weaken:
    def weaken(pod: Object) -> None:
        pod["spec"].setdefault("volumes", []).append({"name": "proof", **source})

    return weaken


def _pod(**fields: object) -> Weaken:
    return lambda pod: pod["spec"].update(fields)


def _container(**fields: object) -> Weaken:
    return lambda pod: _secured(_application(pod), **fields)


def _host_port(pod: Object) -> None:
    first = _application(pod)["ports"][0]
    first["hostPort"] = first["containerPort"]


def _host_probe(pod: Object) -> None:
    _application(pod)["livenessProbe"] = {"httpGet": {"host": _METADATA_ADDRESS, "path": "/latest/meta-data/", "port": 80}}


def _look_alike(pod: Object) -> None:
    _application(pod)["image"] = _application(pod)["image"].replace(".amazonaws.com/", ".amazonaws.com.evil.example/")


def _similar_name(pod: Object) -> None:
    registry, _, rest = _application(pod)["image"].partition("/")
    tenant, _, rest = rest.partition("/")
    _application(pod)["image"] = f"{registry}/{tenant}-evil/{rest}"


def _tag(pod: Object) -> None:
    _application(pod)["image"] = _application(pod)["image"].partition("@")[0] + ":latest"


def _uninjected(pod: Object) -> None:
    pod["metadata"].setdefault("annotations", {})["sidecar.istio.io/inject"] = "false"
    pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"


WEAKNESSES: Final = (
    Weakness(
        "privileged",
        "a privileged container",
        ("T1610", "T1611"),
        "A01",
        "pod-security",
        lambda pod: _privileged(_application(pod)),
    ),
    Weakness("privileged-init", "a privileged init container", ("T1610", "T1611"), "A02", "pod-security", _privileged_first),
    Weakness(
        "identity-socket",
        "the node's folder of SPIRE's socket as a hostPath",
        ("T1611",),
        "A04",
        "pod-security",
        _volume({"hostPath": {"path": _SOCKET_FOLDER}}),
    ),
    Weakness("host-network", "the node's network", ("T1611", "T1557"), "A06", "pod-security", _pod(hostNetwork=True)),
    Weakness("host-processes", "the node's processes", ("T1611", "T1057"), "A06", "pod-security", _pod(hostPID=True)),
    Weakness("host-port", "a port of the node", ("T1611",), "A06", "pod-security", _host_port),
    Weakness("root", "the user root", ("T1611",), "A07", "pod-security", _container(runAsUser=0, runAsNonRoot=False)),
    Weakness(
        "sys-admin",
        "the capability SYS_ADMIN",
        ("T1611",),
        "A08",
        "pod-security",
        _container(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    ),
    Weakness(
        "probe-host", "a probe by which the kubelet asks the metadata service", ("T1552.005",), "A09", "pod-security", _host_probe
    ),
    Weakness(
        "look-alike-registry",
        "an image of a registry that looks like ours",
        ("T1036.005",),
        "A14",
        "gatekeeper",
        _look_alike,
        _UNCHECKED,
    ),
    Weakness(
        "similar-repository",
        "an image of a repository whose name begins like ours",
        ("T1036.005",),
        "A14",
        "gatekeeper",
        _similar_name,
        _UNCHECKED,
    ),
    Weakness("tag", "an image by tag", ("T1525",), "A13", "gatekeeper", _tag, _UNCHECKED),
    Weakness(
        "api-token", "a token of the API server", ("T1528",), "A10", "admission-policy", _pod(automountServiceAccountToken=True)
    ),
    Weakness(
        "store-authority",
        "a volume of the key that signs for the tenant's stores",
        ("T1552.007",),
        "",
        "admission-policy",
        _volume({"secret": {"secretName": "stores-root"}}),
    ),
    Weakness(
        "foreign-secret",
        "a volume of a secret that is for another account",
        ("T1552.007",),
        "",
        "gatekeeper",
        _volume({"secret": {"secretName": "ledger-app"}}),
        _UNMADE,
    ),
    Weakness(
        "store-account",
        "the account of a database, which stands outside the mesh",
        ("T1078",),
        "",
        "admission-policy",
        _pod(serviceAccountName="ledger"),
    ),
    Weakness(
        "node-choice",
        "a node of its own choice, unscheduled",
        ("T1610",),
        "",
        "admission-policy",
        _pod(nodeName="proof"),
        _UNMADE,
    ),
)
"""Those that are judged alone; a key is `admission-<key>`."""

AROUND_THE_PROXY: Final = (
    Weakness("no-proxy", "no sidecar", ("T1562.001",), "A19", "admission-policy", _uninjected),
    Weakness(
        "proxy-user",
        "the proxy's own user, whose traffic is not redirected",
        ("T1562.001",),
        "",
        "gatekeeper",
        _container(runAsUser=MESH_USER),
    ),
)
"""Those that really run where nobody refuses them, and then call past the proxy."""
