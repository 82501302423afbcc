"""What the program's own values render to, by the real Helm from the charts that pinned modules carry.

Istio's chart here is a little newer than the one that is installed (sandbox/charts.py); charts without a Go module
(cloudnative-pg, metrics-server, the load balancer controller) are held to their recorded value paths only.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from components.cni import cilium
from components.context import RegionContext
from components.graph.names import EASTWEST, GATEWAYS, MESH_NAMESPACE, SYSTEM_NAMESPACE, Gateway
from components.mesh import gateways, istio
from components.operators import cert_manager, external_dns
from sandbox.charts import chart_dirs, render

CONTEXT = RegionContext(organization="clearing", environment="prod", region="eu-west-1", account="444455556666", tags={})
IDENTITY = istio.MeshIdentity(mesh="clearing", cluster="clearing-prod-eu-west-1", network="eu-west-1")
VALUES: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "cilium": ("cilium", SYSTEM_NAMESPACE, cilium.chart_values(CONTEXT, api_host="abc.eks.internal")),
    "cert-manager": ("cert-manager", "cert-manager", cert_manager.chart_values()),
    "external-dns": (
        "external-dns",
        "external-dns",
        external_dns.chart_values(region="eu-west-1", owner="c", domain="x.internal", zone_id="Z1"),
    ),
    "istio-base": ("istio-base", MESH_NAMESPACE, istio.base_values()),
    "istiod": ("istiod", MESH_NAMESPACE, istio.istiod_values(IDENTITY, {"trustDomain": "eu-west-1.example.internal"})),
    "istio-cni": ("istio-cni", SYSTEM_NAMESPACE, istio.cni_values()),
    **{one.name: ("istio-gateway", one.namespace, gateways.chart_values(one)) for one in GATEWAYS},
}


@cache
def rendered(release: str) -> tuple[dict[str, Any], ...]:
    chart, namespace, values = VALUES[release]
    return tuple(render(chart_dirs()[chart], release, namespace, values, api_versions=["monitoring.coreos.com/v1"]))


def one(release: str, kind: str, name: str | None = None) -> dict[str, Any]:
    found = [each for each in rendered(release) if each["kind"] == kind and name in {None, each["metadata"]["name"]}]
    assert len(found) == 1, [each["metadata"]["name"] for each in found]
    return found[0]


@pytest.mark.parametrize("release", VALUES)
def test_a_second_render_is_the_same(release):
    """So that nothing is rotated, and no key lies in a release, because somebody ran the program again."""
    chart, namespace, values = VALUES[release]
    again = render(chart_dirs()[chart], release, namespace, values, api_versions=["monitoring.coreos.com/v1"])
    assert again == list(rendered(release))
    assert not [each["metadata"]["name"] for each in again if each["kind"] == "Secret" and each.get("data")]


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("ipam", "eni"),
        ("routing-mode", "native"),
        ("kube-proxy-replacement", "true"),
        ("bpf-lb-sock-hostns-only", "true"),
        ("cni-exclusive", "false"),
        ("enable-ipv4-masquerade", "false"),
        ("enable-wireguard", "true"),
        ("enable-encryption-strict-mode-ingress", "true"),
        ("enable-policy", "default"),
        ("enable-l7-proxy", "true"),
        ("tofqdns-dns-reject-response-code", "nameError"),
        ("hubble-disable-tls", "false"),
        ("cluster-name", "clearing-prod-eu-west-1"),
        ("agent-not-ready-taint-key", cilium.NOT_READY_TAINT),
        ("eni-gc-tags", '{"zerotrust-cluster":"clearing-prod-eu-west-1"}'),
    ],
)
def test_ciliums_agent_is_told(key, wanted):
    assert one("cilium", "ConfigMap", "cilium-config")["data"][key] == wanted


def test_ciliums_operator_runs_on_a_node_that_is_not_ready_under_the_name_its_role_has():
    pod = one("cilium", "Deployment", "cilium-operator")["spec"]["template"]["spec"]
    tolerated = {entry["key"] for entry in pod["tolerations"]}
    assert {cilium.NOT_READY_TAINT, "node.kubernetes.io/not-ready", "CriticalAddonsOnly"} <= tolerated
    assert pod["serviceAccountName"] == cilium.OPERATOR_SERVICE_ACCOUNT
    assert pod["hostNetwork"] is True
    assert pod["containers"][0]["image"].split(":")[0].endswith("operator-aws")


def test_no_hook_of_cilium_would_wait_for_a_node():
    assert not [
        each["metadata"]["name"] for each in rendered("cilium") if "helm.sh/hook" in (each["metadata"].get("annotations") or {})
    ]


def test_a_sidecar_template_reaches_the_injector_and_is_the_default():
    config = yaml.safe_load(one("istiod", "ConfigMap", "istio-sidecar-injector")["data"]["config"])
    assert config["defaultTemplates"] == ["sidecar", "spire"]
    for name in ("spire", "spire-gateway"):
        assert yaml.safe_load(config["templates"][name])["spec"]["volumes"][0]["csi"]["driver"] == istio.CSI_DRIVER


def test_istiod_is_told_its_settings_and_runs_three_times():
    container = one("istiod", "Deployment")["spec"]["template"]["spec"]["containers"][0]
    told = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert {key: told[key] for key in istio.ENVIRONMENT} == dict(istio.ENVIRONMENT)
    assert told["CLUSTER_ID"] == IDENTITY.cluster
    assert container["image"].endswith("-distroless")
    assert one("istiod", "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 3
    assert one("istiod", "PodDisruptionBudget")["spec"]["minAvailable"] == 2


def test_the_node_agent_is_chained_and_not_ambient():
    told = one("istio-cni", "ConfigMap")["data"]
    assert (told["CHAINED_CNI_PLUGIN"], told["AMBIENT_ENABLED"], told["REPAIR_REPAIR_PODS"]) == ("true", "false", "true")


@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda each: each.name)
def test_a_gateway_is_what_the_other_layers_call_it(gateway: Gateway):
    deployment, service = one(gateway.name, "Deployment"), one(gateway.name, "Service")
    template = deployment["spec"]["template"]
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == gateway.name
    assert gateway.selector.items() <= template["metadata"]["labels"].items()
    assert template["spec"]["serviceAccountName"] == one(gateway.name, "ServiceAccount")["metadata"]["name"] == gateway.name
    assert template["metadata"]["annotations"]["inject.istio.io/templates"] == "gateway,spire-gateway"
    assert service["spec"]["type"] == "ClusterIP"
    assert not template["spec"]["securityContext"].get("sysctls")
    container = template["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    router = {entry["name"]: entry["value"] for entry in container.get("env") or ()}.get("ISTIO_META_ROUTER_MODE")
    assert router == ("sni-dnat" if gateway == EASTWEST else None)
    assert one(gateway.name, "PodDisruptionBudget")["spec"]["minAvailable"] == 2


def test_cert_manager_may_approve_for_namespaced_issuers_only_and_gives_its_rights_to_no_other_role():
    approve = one("cert-manager", "ClusterRole", "cert-manager-controller-approve:cert-manager-io")
    assert [name for rule in approve["rules"] for name in rule["resourceNames"]] == ["issuers.cert-manager.io/*"]
    roles = [each for each in rendered("cert-manager") if each["kind"] == "ClusterRole"]
    handed_on = [key for role in roles for key in role["metadata"]["labels"] if "aggregate-to" in key]
    assert not [key for key in handed_on if key.startswith("rbac.authorization.k8s.io/aggregate-to-")]


def test_external_dns_reads_records_of_its_own_namespace_and_writes_one_zone():
    assert not [each for each in rendered("external-dns") if each["kind"].startswith("ClusterRole")]
    (read,) = [each for each in rendered("external-dns") if each["kind"] == "Role"]
    assert {group for rule in read["rules"] for group in rule["apiGroups"]} == {"externaldns.k8s.io"}
    arguments = one("external-dns", "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert {"--source=crd", "--zone-id-filter=Z1", "--aws-zone-type=private", "--txt-owner-id=c"} <= set(arguments)


@pytest.mark.parametrize("release", [name for name in VALUES if name not in {"istio-base", "istio-cni"}])
def test_every_deployment_stands_on_the_platforms_nodes(release):
    deployments = [each for each in rendered(release) if each["kind"] == "Deployment"]
    assert deployments
    for each in deployments:
        pod = each["spec"]["template"]["spec"]
        assert pod["nodeSelector"]["zerotrust.role"] == "system"
        assert "CriticalAddonsOnly" in {entry.get("key") for entry in pod["tolerations"]}
