"""The floor asked on the real API server: an editor of a tenant's namespace and whoever else, against the deployer.

RBAC allows everybody everything here, so that every refusal is the floor's. Not proven: that EKS names callers as it says.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from components.admission.controls import of_engine
from components.graph.model import Graph
from components.graph.names import QUARANTINE_LABEL, TENANT_LABEL
from components.settings import load_file
from sandbox.apiclient import ApiServer
from tests.manifests.floor_support import (
    HELD,
    IN,
    LABELS,
    PODS,
    TENANT,
    Caller,
    at,
    config,
    floored,
    injected_pod,
    named_pod,
    refused,
    risks,
    wait_until,
)
from tests.support.program import ROOT

STRANGER = "arn:aws:sts::444455556666:assumed-role/bank-a-editors/session"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.of(load_file(ROOT / "Pulumi.prod.yaml"))


@pytest.fixture(scope="module")
def server(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with floored(tmp_path_factory.mktemp("floor"), graph, [_webhook(), _peer()]) as made:
        editor = Caller(made, STRANGER)
        probes = [one[1:] for one in {one[0]: one for one in REFUSED_TO_EDITORS.values()}.values()]
        probes += [("POST", PODS, pod) for _, pod in dict(REFUSED_TO_EVERYBODY.values()).items()]
        wait_until(all(refused(editor, *probe) for probe in probes) for _ in itertools.count())
        yield made


@pytest.fixture(scope="module")
def editor(server: ApiServer) -> Caller:
    return Caller(server, STRANGER)


@pytest.fixture(scope="module")
def deployer(server: ApiServer) -> Caller:
    return Caller(server, "arn:aws:sts::444455556666:assumed-role/platform-deployer/pulumi")


def _webhook() -> dict[str, Any]:
    hook = {
        "name": "strip.example.com",
        "clientConfig": {"url": "https://evil.example/strip"},
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
    }
    version = "admissionregistration.k8s.io/v1"
    return {"apiVersion": version, "kind": "MutatingWebhookConfiguration", "metadata": {"name": "strip"}, "webhooks": [hook]}


def _peer() -> dict[str, Any]:
    metadata = {"name": "default", "namespace": TENANT}
    version = "security.istio.io/v1"
    return {"apiVersion": version, "kind": "PeerAuthentication", "metadata": metadata, "spec": {"mtls": {"mode": "PERMISSIVE"}}}


def _namespace(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}


def _secret(name: str, kind: str = "Opaque") -> dict[str, Any]:
    about = {"name": name, "namespace": TENANT, "annotations": {"kubernetes.io/service-account.name": "default"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "type": kind}


SPACES = "/api/v1/namespaces"
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
RULES = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "open"}, "spec": {"podSelector": {}}}
OPEN = {**RULES, "spec": {"podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}}
ASKED = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["a"]}}
KEEPER = {
    "apiVersion": "config.gatekeeper.sh/v1alpha1",
    "kind": "Config",
    "metadata": {"name": "config", "namespace": TENANT},
    "spec": {"match": [{"excludedNamespaces": [TENANT], "processes": ["*"]}]},
}
EXCEPTION = {
    "apiVersion": "policies.kyverno.io/v1",
    "kind": "PolicyException",
    "metadata": {"name": "me", "namespace": TENANT},
    "spec": {"policyRefs": [{"name": "pod-defaults", "kind": "MutatingPolicy"}]},
}

REFUSED_TO_EDITORS: dict[str, tuple[str, str, str, dict[str, Any] | None]] = {
    "another tenant's label": ("namespace-labels", "PUT", IN, _namespace(TENANT, {**LABELS, TENANT_LABEL: "bank-b"})),
    "a weaker level": (
        "namespace-labels",
        "PUT",
        IN,
        _namespace(TENANT, {**LABELS, "pod-security.kubernetes.io/enforce": "privileged"}),
    ),
    "a label taken away": (
        "namespace-labels",
        "PUT",
        IN,
        _namespace(TENANT, {key: value for key, value in LABELS.items() if key != "istio-injection"}),
    ),
    "a namespace that Gatekeeper ignores": (
        "namespace-labels",
        "POST",
        SPACES,
        _namespace("new", {"admission.gatekeeper.sh/ignore": "x"}),
    ),
    "a namespace in a tenant's name": ("namespace-labels", "POST", SPACES, _namespace("new", {TENANT_LABEL: "new"})),
    "a tenant's namespace removed": ("namespace-labels", "DELETE", IN, None),
    "a foreign webhook": ("admission-configuration", "POST", HOOKS, _webhook()),
    "plain text let in": (
        "platform-objects",
        "POST",
        "/apis/security.istio.io/v1/namespaces/bank-a/peerauthentications",
        _peer(),
    ),
    "a network opened": ("platform-objects", "POST", "/apis/networking.k8s.io/v1/namespaces/bank-a/networkpolicies", OPEN),
    "an account of one's own": (
        "platform-objects",
        "POST",
        f"{IN}/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mine"}},
    ),
    "rules rewritten": ("decision-data", "PUT", *at(config("opa-policy"))),
    "edges rewritten": ("decision-data", "PUT", *at(config("opa-data-api-ms"))),
    "risk rewritten": ("decision-data", "PUT", *at(risks("{}\n"))),
    "rules removed": ("decision-data", "DELETE", f"{IN}/configmaps/opa-policy", None),
    "every rule removed at once": ("decision-data", "DELETE", f"{IN}/configmaps", None),
    "an authority replaced": ("store-authorities", "POST", f"{IN}/secrets", _secret("stores-root")),
    "a token without an end": ("account-tokens", "POST", f"{IN}/secrets", _secret("t", "kubernetes.io/service-account-token")),
    "another account's token": ("token-requests", "POST", f"{IN}/serviceaccounts/default/token", ASKED),
    "a shell": ("interactive", "POST", f"{PODS}/offered/exec", None),
    "a way past the mesh": ("interactive", "POST", f"{PODS}/offered/portforward", None),
    "quarantine begun": ("quarantine", "PUT", f"{PODS}/standing", named_pod("standing", HELD)),
    "quarantine ended": ("quarantine", "PUT", f"{PODS}/held", named_pod("held", {})),
    "quarantine reworded": ("quarantine", "PUT", f"{PODS}/held", named_pod("held", {QUARANTINE_LABEL: "false"})),
    "a pod made in quarantine": ("quarantine", "POST", PODS, named_pod("offered", HELD)),
    "a weaker level by the status": (
        "subresources",
        "PUT",
        f"{IN}/status",
        _namespace(TENANT, {**LABELS, "pod-security.kubernetes.io/enforce": "privileged"}),
    ),
    "a store's account": (
        "store-accounts-bank-a",
        "POST",
        f"{IN}/podtemplates",
        {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": "a"},
            "template": {"spec": {"serviceAccountName": "ledger", "containers": [{"name": "a", "image": "a"}]}},
        },
    ),
}
"""What an editor tries → the control that refuses it, and the request."""
REFUSED_TO_EVERYBODY: dict[str, tuple[str, dict[str, Any]]] = {
    "no proxy": ("proxies-bank-a", injected_pod(initContainers=None)),
    "injection off by annotation": ("sidecars-bank-a", injected_pod(annotations={"sidecar.istio.io/inject": "false"})),
    "injection off by label": ("sidecars-bank-a", injected_pod(labels={"sidecar.istio.io/inject": "false"})),
    "ports left out": ("sidecars-bank-a", injected_pod(annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "8080"})),
    "networks left out": (
        "sidecars-bank-a",
        injected_pod(annotations={"traffic.sidecar.istio.io/excludeOutboundIPRanges": "0.0.0.0/0"}),
    ),
    "outbound ports left out": (
        "sidecars-bank-a",
        injected_pod(annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "443"}),
    ),
    "interfaces left out": ("sidecars-bank-a", injected_pod(annotations={"traffic.sidecar.istio.io/excludeInterfaces": "eth0"})),
    "another template": ("sidecars-bank-a", injected_pod(annotations={"inject.istio.io/templates": "gateway"})),
    "another image by annotation": ("sidecars-bank-a", injected_pod(annotations={"sidecar.istio.io/proxyImage": "evil"})),
    "another bootstrap": ("sidecars-bank-a", injected_pod(annotations={"sidecar.istio.io/bootstrapOverride": "evil"})),
    "another configuration": ("sidecars-bank-a", injected_pod(annotations={"proxy.istio.io/config": "{}"})),
    "no redirection": ("sidecars-bank-a", injected_pod(annotations={"sidecar.istio.io/interceptionMode": "NONE"})),
    "plain text by label": ("sidecars-bank-a", injected_pod(labels={"security.istio.io/tlsMode": "disabled"})),
    "ambient by label": ("sidecars-bank-a", injected_pod(labels={"istio.io/dataplane-mode": "none"})),
    "another region's network": ("sidecars-bank-a", injected_pod(labels={"topology.istio.io/network": "eu-central-1"})),
    "a node by name": ("placement", injected_pod(nodeName="n")),
    "the authority's key by volume": (
        "store-keys",
        injected_pod(volumes=[{"name": "k", "secret": {"secretName": "stores-root"}}]),
    ),
    "the authority's key by projection": (
        "store-keys",
        injected_pod(volumes=[{"name": "k", "projected": {"sources": [{"secret": {"name": "stores-root"}}]}}]),
    ),
}


@pytest.mark.parametrize("tried", REFUSED_TO_EDITORS)
def test_an_editor_is_refused_by_the_control_meant_for_it_and_the_deployer_is_not(editor, deployer, tried):
    control, method, path, body = REFUSED_TO_EDITORS[tried]
    said = refused(editor, method, path, body)
    assert f"'floor-{control}'" in said
    others = refused(deployer, method, path, body)
    assert ("floor-" in others) == (control == "account-tokens"), others


@pytest.mark.parametrize("tried", REFUSED_TO_EVERYBODY)
def test_a_pod_that_goes_round_the_mesh_is_refused_to_everybody(editor, deployer, tried):
    control, pod = REFUSED_TO_EVERYBODY[tried]
    for caller in (editor, deployer):
        assert f"'floor-{control}'" in refused(caller, "POST", PODS, pod)


def test_a_pod_as_the_injector_makes_it_is_let_in(editor):
    assert refused(editor, "POST", PODS, injected_pod()) == ""


def test_a_stores_pod_stands_outside_the_mesh_and_no_service_does(server, deployer):
    server.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ledger", "namespace": TENANT}})
    pod = injected_pod(initContainers=None, serviceAccountName="ledger", labels={"sidecar.istio.io/inject": "false"})
    assert refused(deployer, "POST", PODS, pod) == ""
    pod["spec"]["serviceAccountName"] = "default"
    assert refused(deployer, "POST", PODS, pod).count("'floor-") == 2


def test_what_no_control_is_about_an_editor_may_do(editor):
    assert refused(editor, "PUT", *at(config("own"))) == ""
    assert refused(editor, "POST", f"{IN}/secrets", _secret("own")) == ""
    assert refused(editor, "PUT", IN, _namespace(TENANT, {**LABELS, "team": "payments"})) == ""
    assert refused(editor, "POST", SPACES, _namespace("new", {"istio-injection": "enabled"})) == ""


def test_exceptions_and_exclusions_in_a_tenants_namespace_are_refused(server, editor):
    for one in (KEEPER, EXCEPTION):
        server.prepare([one])
        with pytest.raises(Exception, match="floor-admission-configuration"):
            editor.apply(one, dry_run=True)


def test_a_kubelet_gets_its_pods_tokens(server):
    node = Caller(server, "system:node:one", ("system:nodes", "system:authenticated"))
    assert refused(node, "POST", f"{IN}/serviceaccounts/default/token", ASKED) == ""


@pytest.mark.parametrize(
    "user",
    [
        "arn:aws:sts::444455556666:assumed-role/platform-deployer-evil/session",
        "arn:aws:sts::999955556666:assumed-role/platform-deployer/session",
        "platform-deployer",
        "arn:aws:iam::444455556666:role/platform-deployer",
    ],
)
def test_a_name_like_the_deployers_is_not_the_deployers(server, user):
    assert "'floor-decision-data'" in refused(Caller(server, user), "PUT", *at(config("opa-policy")))


def test_policies_of_the_server_itself_are_judged_by_none_of_them(editor):
    """So who may write them is RBAC's alone to say: no access entry but the deployer's and the break-glass role's may."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/floor-decision-data"
    assert refused(editor, "DELETE", path) == ""


def test_every_control_of_the_floor_is_asked_here():
    tried = {one[0] for one in (*REFUSED_TO_EDITORS.values(), *REFUSED_TO_EVERYBODY.values())}
    assert {one.removesuffix(f"-{TENANT}") for one in tried} == {one.id for one in of_engine("floor")}
