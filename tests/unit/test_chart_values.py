"""Values of every chart: each key is one the pinned chart takes, and what security rests on is set.

Does not prove that the chart does with a key what its name says; rendering the charts needs their archives.
"""

import copy
import re
from typing import Any

import pytest
import yaml

from components.admission import gatekeeper, kyverno
from components.backup import databases, velero
from components.chaos import chart as chaos
from components.cluster.node_group import CILIUM_TAINT, ROLE_LABEL, SYSTEM_TAINT
from components.cni import cilium
from components.context import RegionContext
from components.delivery import argocd, runners, trivy
from components.graph.names import EASTWEST, EGRESS, GATEWAYS, INGRESS, OBSERVABILITY_NAMESPACE
from components.graph.traces import trace_names
from components.helm import PINS, pins
from components.identity import issuer, spire
from components.mesh import gateways, istio
from components.observability import loki, tempo
from components.observability.telemetry import agents, releases
from components.operators import (
    aws_load_balancer,
    cert_manager,
    database_operator,
    external_dns,
    metrics_server,
    monitoring_kinds,
)
from components.pods import SYSTEM_NODES, SYSTEM_TOLERATION
from components.runtime import falco
from tests.support.charts import FOLDER, recorded, unknown
from tests.unit.test_monitoring_values import stack
from tests.unit.test_network_policies import shipped
from tests.unit.test_vault_server_objects import values as vault_values

CONTEXT = RegionContext(organization="clearing", environment="prod", region="eu-central-1", account="444455556666", tags={})
IDENTITY = istio.MeshIdentity(mesh="clearing", cluster="clearing-prod-eu-central-1", network="eu-central-1")

REGION, GRAPH = "eu-central-1", shipped("prod")
IMAGES = GRAPH.settings.images
GROUPS = {"kubernetes-audit": "/aws/eks/c/cluster"}
STORE = spire.Datastore(host="h", database="d", user="u", client_secret="s")  # noqa: S106 - a name

VALUES: dict[str, tuple[str, dict[str, Any]]] = {
    "cilium": ("cilium", cilium.chart_values(CONTEXT, api_host="abc.eks.internal")),
    "prometheus-operator-crds": ("prometheus-operator-crds", monitoring_kinds.chart_values()),
    "cert-manager": ("cert-manager", cert_manager.chart_values()),
    "aws-load-balancer-controller": (
        "aws-load-balancer-controller",
        aws_load_balancer.chart_values(cluster_name="c", region="eu-central-1", vpc_id="vpc-1"),
    ),
    "external-dns": (
        "external-dns",
        external_dns.chart_values(region="eu-central-1", owner="c", domain="x.internal", zone_id="Z1"),
    ),
    "metrics-server": ("metrics-server", metrics_server.chart_values()),
    "cloudnative-pg": ("cloudnative-pg", database_operator.chart_values()),
    "gatekeeper": ("gatekeeper", gatekeeper.chart_values()),
    "kyverno": ("kyverno", kyverno.chart_values()),
    "istio-base": ("istio-base", istio.base_values()),
    "istiod": ("istiod", istio.istiod_values(IDENTITY, {"trustDomain": "eu-central-1.example.internal"})),
    "istio-cni": ("istio-cni", istio.cni_values()),
    **{gateway.name: ("istio-gateway", gateways.chart_values(gateway)) for gateway in GATEWAYS},
    "spire": (
        "spire",
        spire.chart_values(
            spire.TrustDomainArgs(
                context=CONTEXT,
                settings=GRAPH.settings.identity,
                trust_domain=GRAPH.trust_domain(REGION),
                cluster_name="c",
                federated=True,
                datastore=STORE,
                storage_class="encrypted",
                after=(),
            )
        ),
    ),
    "keycloak": (
        "keycloakx",
        issuer.chart_values(
            issuer.IssuerArgs(
                issuer="https://id.bank.example/realms/bank", clients=(), audience="a", token_minutes=5, datastore=STORE, after=()
            )
        ),
    ),
    "vault": ("vault", vault_values()),
    "falco": ("falco", falco.chart_values(GRAPH, REGION)),
    "monitoring": ("kube-prometheus-stack", stack()),
    "loki": ("loki", loki.chart_values(GRAPH, region=REGION, bucket="b", storage_class="encrypted")),
    "tempo": (
        "tempo",
        tempo.chart_values(GRAPH.settings.observability.traces, region=REGION, bucket="b", storage_class="encrypted"),
    ),
    "telemetry-gateway": ("opentelemetry-collector", releases.gateway_values(GRAPH, REGION, IMAGES.collector, {})),
    "telemetry-agent": ("opentelemetry-collector", dict(agents.chart_values(IMAGES.collector))),
    "audit-reader": ("opentelemetry-collector", releases.reader_values(IMAGES.collector, GROUPS, REGION)),
    "velero": ("velero", velero.chart_values(GRAPH, REGION, key_arn="k")),
    "plugin-barman-cloud": ("plugin-barman-cloud", databases.chart_values(IMAGES.backup)),
    "chaos-mesh": ("chaos-mesh", chaos.chart_values(IMAGES.chaos)),
    "argocd": ("argo-cd", argocd.chart_values(GRAPH)),
    "trivy-operator": ("trivy-operator", trivy.chart_values(GRAPH, "encrypted")),
    "gha-rs-controller": ("gha-runner-scale-set-controller", runners.controller_values(GRAPH)),
    "runners": ("gha-runner-scale-set", runners.runner_values(GRAPH, REGION)),
}
"""By release: the pin and the values."""


def under(values: dict[str, Any], path: str) -> Any:
    for key in path.split("/"):
        values = values[key]
    return values


@pytest.mark.parametrize("release", VALUES)
def test_every_value_is_one_that_the_pinned_chart_takes(release):
    chart, values = VALUES[release]
    assert unknown(chart, values) == []


@pytest.mark.parametrize("release", VALUES)
def test_a_misspelt_key_is_found_at_the_top_and_below(release):
    chart, values = VALUES[release]
    wrong = copy.deepcopy(values)
    wrong["strictNess"] = True
    found = ["strictNess"]
    below = next((key for key, value in wrong.items() if isinstance(value, dict) and unknown(chart, {key: {"x1": 1}})), None)
    if below:
        wrong[below]["strictNess"] = {"enabled": True}
        found.append(f"{below}.strictNess.enabled")
    assert sorted(unknown(chart, wrong)) == sorted(found)
    assert below or chart == "prometheus-operator-crds"


@pytest.mark.parametrize("wrong", ["encryption.strictMode.enabled", "encryption.strictMode.cidr"])
def test_the_keys_of_strict_mode_that_cilium_dropped_are_unknown(wrong):
    first, second, third = wrong.split(".")
    assert unknown("cilium", {first: {second: {third: True}}}) == [wrong]


def test_every_pinned_chart_has_its_paths_recorded_at_the_pinned_version():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(pins())
    assert {chart: recorded(chart)[0] for chart in pins()} == {chart: f"{chart} {pin.version}" for chart, pin in pins().items()}


def test_a_pin_is_an_oci_reference_or_a_name_in_an_https_repository_with_an_exact_version():
    for name, pin in pins().items():
        assert pin.chart.startswith("oci://") != (pin.repository is not None), name
        assert pin.repository is None or pin.repository.startswith("https://"), name
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", pin.version), name
        assert pin.digest is None or re.fullmatch(r"v?[\d.]+@sha256:[0-9a-f]{64}", pin.digest), name
    assert list(yaml.safe_load(PINS.read_text())) == list(pins())


def test_the_platforms_pods_ask_for_the_nodes_that_the_system_groups_are():
    assert dict(SYSTEM_NODES) == {ROLE_LABEL: "system"}
    assert (SYSTEM_TOLERATION["key"], SYSTEM_TOLERATION["value"]) == (SYSTEM_TAINT["key"], SYSTEM_TAINT["value"])
    assert CILIUM_TAINT["key"] == cilium.NOT_READY_TAINT


@pytest.mark.parametrize(
    ("release", "path", "wanted"),
    [
        ("cilium", "encryption/enabled", True),
        ("cilium", "encryption/type", "wireguard"),
        ("cilium", "encryption/strictMode/ingress/enabled", True),
        ("cilium", "cni/exclusive", False),
        ("cilium", "socketLB/hostNamespaceOnly", True),
        ("cilium", "hubble/tls/auto/method", "cronJob"),
        ("cilium", "clustermesh/useAPIServer", False),
        ("istiod", "cni/enabled", True),
        ("istiod", "env/PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES", "false"),
        ("istiod", "env/ENABLE_NATIVE_SIDECARS", "true"),
        ("istiod", "env/PILOT_SCOPE_GATEWAY_TO_NAMESPACE", "true"),
        ("istiod", "env/PILOT_JWT_PUB_KEY_REFRESH_INTERVAL", "1m"),
        ("istiod", "keepaliveMaxServerConnectionAge", "2m"),
        ("istiod", "sidecarInjectorWebhook/defaultTemplates", ["sidecar", "spire"]),
        ("istiod", "sidecarInjectorWebhook/enableNamespacesByDefault", False),
        ("istiod", "meshConfig/trustDomain", "eu-central-1.example.internal"),
        ("aws-load-balancer-controller", "enableCertManager", True),
        ("aws-load-balancer-controller", "controllerConfig/featureGates/EnableServiceController", False),
        ("aws-load-balancer-controller", "createIngressClassResource", False),
        ("metrics-server", "apiService/insecureSkipTLSVerify", False),
        ("external-dns", "sources", ["crd"]),
        ("external-dns", "namespaced", True),
        ("cert-manager", "approveSignerNames", ["issuers.cert-manager.io/*"]),
        ("cert-manager", "global/rbac/aggregateClusterRoles", False),
        ("cloudnative-pg", "webhook/validating/failurePolicy", "Fail"),
        ("cloudnative-pg", "rbac/aggregateClusterRoles", False),
    ],
)
def test_what_security_rests_on_is_set_and_not_left_to_a_default(release, path, wanted):
    assert under(VALUES[release][1], path) == wanted


def test_no_release_makes_a_key_at_each_render():
    """The methods that do (chart facts): helm's own generation in Cilium, the load balancer controller, metrics-server."""
    values = {release: one for release, (_, one) in VALUES.items()}
    assert under(values["cilium"], "hubble/tls/auto/method") != "helm"
    assert under(values["aws-load-balancer-controller"], "enableCertManager") is True
    assert under(values["metrics-server"], "tls/type") == "cert-manager"


def test_the_socket_of_spire_is_patched_into_the_container_that_is_the_proxy():
    templates = VALUES["istiod"][1]["sidecarInjectorWebhook"]["templates"]
    for name, place, other in (("spire", "initContainers", "containers"), ("spire-gateway", "containers", "initContainers")):
        assert "{{" not in templates[name]  # the injector would read it as a Go template
        spec = yaml.safe_load(templates[name])["spec"]
        assert [one["name"] for one in spec[place]] == ["istio-proxy"]
        assert other not in spec
        assert spec[place][0]["volumeMounts"] == [{"name": "workload-socket", "mountPath": istio.SOCKET_FOLDER}]
        assert spec["volumes"] == [{"name": "workload-socket", "csi": {"driver": "csi.spiffe.io", "readOnly": True}}]


def test_a_gateway_is_found_by_its_name_listens_on_its_own_port_and_has_no_load_balancer():
    for gateway in GATEWAYS:
        values = VALUES[gateway.name][1]
        assert values["name"] == values["serviceAccount"]["name"] == values["labels"]["istio"] == gateway.name
        assert values["service"]["type"] == "ClusterIP"
        assert values["podAnnotations"]["inject.istio.io/templates"] == "gateway,spire-gateway"
        assert values["autoscaling"]["minReplicas"] >= 3 > values["podDisruptionBudget"]["minAvailable"]
        assert values["containerSecurityContext"]["readOnlyRootFilesystem"]
    ports = {one.name: [port["port"] for port in VALUES[one.name][1]["service"]["ports"]] for one in GATEWAYS}
    assert ports == {INGRESS.name: [8443, 15021], EGRESS.name: [15443, 15021], EASTWEST.name: [15443, 15021]}
    routers = [one.name for one in GATEWAYS if VALUES[one.name][1]["env"].get("ISTIO_META_ROUTER_MODE") == "sni-dnat"]
    assert routers == [EASTWEST.name]


def test_ciliums_name_for_a_cluster_has_32_characters_at_most_and_stays_distinct():
    long = RegionContext(organization="o" * 20, environment="production", region="eu-central-1", account="1", tags={})
    other = RegionContext(organization="o" * 20, environment="production", region="eu-central-2", account="1", tags={})
    assert len(cilium.cluster_name(long)) <= 32
    assert cilium.cluster_name(long) != cilium.cluster_name(other)


@pytest.mark.parametrize("wrong", [-1, 128, 255])
def test_a_cluster_id_that_eni_mode_cannot_have_is_refused(wrong):
    with pytest.raises(ValueError, match=f"cluster id {wrong}"):
        cilium.chart_values(CONTEXT, api_host="abc", cluster_id=wrong)


OFF = re.compile(r"insecure|skip.*verif|disable.*(tls|valid)|tlsdisable", re.IGNORECASE)
ON = re.compile(r"tls(/\w+)?/enabled$", re.IGNORECASE)
IN_THE_MESH = {
    "audit-reader/alternateConfig/exporters/otlp_grpc/tls/insecure",
    *(f"telemetry-gateway/alternateConfig/exporters/otlp_grpc/traces-{name}/tls/insecure" for name in trace_names(GRAPH)),
}
"""Spoken without TLS by a collector to its own proxy, which makes it the mesh's mutual TLS: STRICT at the other end, and a policy
that names the collector's SPIFFE id, refuse anybody who comes without. A second TLS inside would need certificates of its own."""
NOT_USED = {
    "monitoring/prometheusOperator/tls/enabled",  # serves the admission webhook alone, which is off
    "spire/spiffe-oidc-discovery-provider/tls/spire/enabled",  # another certificate serves: one that Vault can check
}


def leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    """Every value that is neither map nor list, by the path of its keys."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}/{key}")]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item, path)]
    return [(path, value)]


def unverified(values: dict[str, Any], release: str) -> set[str]:
    """Paths at which a verification, or TLS altogether, is turned off."""
    return {
        path
        for path, value in leaves(values, release)
        if (OFF.search(path) and value not in (False, "false")) or (ON.search(path) and value in (False, "false"))
    }


def test_no_chart_value_turns_a_verification_off_but_where_the_mesh_has_it():
    found = {path for release, (_, values) in VALUES.items() for path in unverified(values, release)}
    assert found == IN_THE_MESH | NOT_USED


@pytest.mark.parametrize(
    "wrong",
    [
        {"exporters": {"otlp": {"tls": {"insecure_skip_verify": True}}}},
        {"global": {"tlsDisable": True}},
        {"disableTls": "true"},
        {"daemon": {"mtls": {"enabled": False}}},
        {"remote": [{"tls": {"insecure": True}}]},
    ],
)
def test_a_verification_that_is_turned_off_is_found_in_maps_and_in_lists(wrong):
    assert len(unverified(wrong, "x")) == 1


def test_who_speaks_plainly_to_its_proxy_goes_to_a_host_of_the_mesh_and_through_the_proxy():
    """The argument of IN_THE_MESH: neither the port nor the host is excluded from the proxy."""
    for path in IN_THE_MESH:
        release, _, rest = path.partition("/")
        values = VALUES[release][1]
        name = rest.removeprefix("alternateConfig/exporters/").removesuffix("/tls/insecure")
        exporter = values["alternateConfig"]["exporters"][name]
        host, port = exporter["endpoint"].rsplit(":", 1)
        assert host.endswith(f".{OBSERVABILITY_NAMESPACE}.svc.cluster.local")
        assert port not in values["podAnnotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"].split(",")
