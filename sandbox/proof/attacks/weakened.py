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
    control: str = ""
    behind: str = ""


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


def _store_account(pod: Object) -> None:
    # without a proxy, as such pods are: one with it is refused for that too
    pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"
    pod["spec"]["serviceAccountName"] = "ledger"


def _api_token(pod: Object) -> None:
    # for the application alone: mounted everywhere it changes the injector's containers, which is another refusal
    _volume({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}})(pod)
    _application(pod).setdefault("volumeMounts", []).append({"name": "proof", "mountPath": "/var/run/secrets/proof"})


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
        control=r"privileged \(container",
        behind=r"\[privileged\] containers",
    ),
    Weakness(
        "privileged-init",
        "a privileged init container",
        ("T1610", "T1611"),
        "A02",
        "pod-security",
        _privileged_first,
        control=r'privileged \(container "before"',
        behind=r"\[privileged\] initContainers",
    ),
    Weakness(
        "identity-socket",
        "the node's folder of SPIRE's socket as a hostPath",
        ("T1611",),
        "A04",
        "pod-security",
        _volume({"hostPath": {"path": _SOCKET_FOLDER}}),
        control="hostPath",
        behind=r"\[host-files\]",
    ),
    Weakness(
        "host-network",
        "the node's network, where it would have no proxy",
        ("T1611", "T1557"),
        "A06",
        "pod-security",
        _pod(hostNetwork=True),
        control="hostNetwork=true",
        # the injector passes such pods by; Gatekeeper's own control is only asked after the floor
        behind="no proxy",
    ),
    Weakness(
        "host-processes",
        "the node's processes",
        ("T1611", "T1057"),
        "A06",
        "pod-security",
        _pod(hostPID=True),
        control="hostPID=true",
        behind=r"\[host-namespaces\] hostPID",
    ),
    Weakness(
        "host-port",
        "a port of the node",
        ("T1611",),
        "A06",
        "pod-security",
        _host_port,
        control="hostPort",
        behind=r"\[host-namespaces\] .*host port",
    ),
    Weakness(
        "root",
        "the user root",
        ("T1611",),
        "A07",
        "pod-security",
        _container(runAsUser=0, runAsNonRoot=False),
        control="runAsUser=0",
        behind=r"\[non-root\] .*runAsUser is 0",
    ),
    Weakness(
        "sys-admin",
        "the capability SYS_ADMIN",
        ("T1611",),
        "A08",
        "pod-security",
        _container(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        control="SYS_ADMIN",
        behind=r"\[capabilities\] .*SYS_ADMIN",
    ),
    Weakness(
        "probe-host",
        "a probe by which the kubelet asks the metadata service",
        ("T1552.005",),
        "A09",
        "pod-security",
        _host_probe,
        control="probe or lifecycle host",
        behind=r"\[probe-hosts\]",
    ),
    Weakness(
        "look-alike-registry",
        "an image of a registry that looks like ours",
        ("T1036.005",),
        "A14",
        "gatekeeper",
        _look_alike,
        _UNCHECKED,
        control=r"evil\.example/\S+ is not",
    ),
    Weakness(
        "similar-repository",
        "an image of a repository whose name begins like ours",
        ("T1036.005",),
        "A14",
        "gatekeeper",
        _similar_name,
        _UNCHECKED,
        control=r"-evil/\S+ is not",
    ),
    Weakness(
        "tag", "an image by tag", ("T1525",), "A13", "gatekeeper", _tag, _UNCHECKED, control=r":latest has no sha256 digest"
    ),
    Weakness(
        "api-token",
        "a token of the API server among the application's files",
        ("T1528",),
        "A10",
        "gatekeeper",
        _api_token,
        _UNMADE,
        control='a token for "the API server"',
    ),
    Weakness(
        "store-authority",
        "a volume of the key that signs for the tenant's stores",
        ("T1552.007",),
        "",
        "admission-policy",
        _volume({"secret": {"secretName": "stores-root"}}),
        control="floor-store-keys",
        behind="secret stores-root is not for account",
    ),
    Weakness(
        "foreign-secret",
        "a volume of a secret that is for another account",
        ("T1552.007",),
        "",
        "gatekeeper",
        _volume({"secret": {"secretName": "ledger-app"}}),
        _UNMADE,
        control="secret ledger-app is not for account",
    ),
    Weakness(
        "store-account",
        "the account of a database, which stands outside the mesh, and the service's own images",
        ("T1078",),
        "",
        "admission-policy",
        _store_account,
        control="floor-store-accounts",
        behind=r"containers api-ms: \S+ is not declared",
    ),
    Weakness(
        "node-choice",
        "a node of its own choice, unscheduled",
        ("T1610",),
        "",
        "admission-policy",
        _pod(nodeName="proof"),
        _UNMADE,
        control="floor-placement",
    ),
)
"""Those that are judged alone; a key is `admission-<key>`."""

AROUND_THE_PROXY: Final = (
    Weakness(
        "no-proxy",
        "no sidecar",
        ("T1562.001",),
        "A19",
        "admission-policy",
        _uninjected,
        # the API server asks both policies of the floor at once, and tells of one of them
        control="no proxy|an annotation that bends the proxy",
        behind="filter_chain_not_found",
    ),
    Weakness(
        "proxy-user",
        "the proxy's own user, whose traffic is not redirected",
        ("T1562.001",),
        "",
        "gatekeeper",
        _container(runAsUser=MESH_USER),
        control=r"\[proxy-user\]",
        behind="filter_chain_not_found",
    ),
)
"""Those that really run where nobody refuses them, and then call past the proxy."""
