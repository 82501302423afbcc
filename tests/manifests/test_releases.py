"""The program's own releases rendered by the real Helm and judged by the real API server, for both stacks.

Only charts that a Go module carries are rendered (sandbox/charts.py); the value paths of the others are held to a recorded
list (tests/unit/test_chart_values.py).
Istio's charts are of a newer state than the 1.30.3 that is installed: evidence about the values, not about that release.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from components.graph.names import GATEWAYS, MESH_NAMESPACE, SYSTEM_NAMESPACE
from components.mesh.gateways import PORTS, STATUS
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.charts import chart_dirs, render
from tests.support.charts import recorded
from tests.support.objects import objects_of, pods_of, releases_of, settled
from tests.support.program import STACKS
from tests.support.traps import world

CARRIED = {
    **{name: name for name in ("cert-manager", "cilium", "external-dns", "istio-base", "istio-cni", "istiod")},
    **{gateway.name: "istio-gateway" for gateway in GATEWAYS},
}
"""Release → the chart that a module carries."""
REGIONS = ("eu-central-1", "eu-west-1")


@cache
def brought(stack: str, region: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """(release, object), each object with its namespace."""
    found = []
    for release in releases_of(stack)[region]:
        if (name := release["name"]) not in CARRIED:
            continue
        place, folder = release["namespace"], chart_dirs()[CARRIED[name]]
        for one in render(folder, name, place, release["values"], api_versions=["monitoring.coreos.com/v1"]):
            one["metadata"].setdefault("namespace", place)
            found.append((name, one))
    return tuple(found)


def one_of(stack: str, region: str, kind: str, name: str) -> dict[str, Any]:
    (found,) = (one for _, one in brought(stack, region) if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def refusals(server: ApiServer, objects: list[dict[str, Any]]) -> Iterator[str]:
    for one in objects:
        try:
            server.apply(one, dry_run=True)
        except RefusedError as error:
            yield str(error)


@pytest.mark.parametrize("stack", STACKS)
def test_every_release_is_rendered_here_or_its_values_are_held_to_a_recorded_list(stack):
    for region in releases_of(stack):
        assert region in REGIONS
        charts = world(stack, region).charts
        assert charts.keys() >= CARRIED.keys()
        # Of a chart of definitions the list is empty, and it is told nothing.
        assert [name for name in charts.keys() - CARRIED.keys() if not recorded(charts[name])[0]] == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_server_accepts_what_the_releases_bring_and_admits_their_pods_where_they_stand(api_server: ApiServer, stack):
    """RBAC and webhook configurations too. A DaemonSet of the host stands in kube-system, which has no level."""
    for region, objects in objects_of(stack).items():
        settled(api_server, [one for one in objects if one["kind"] == "Namespace"])
        charts = [one for _, one in brought(stack, region)]
        settled(api_server, [one for one in charts if one["kind"] in {"Namespace", "ServiceAccount"}])
        api_server.prepare(charts)
        assert list(refusals(api_server, charts)) == []
        pods = list(pods_of(charts))
        assert {pod["metadata"]["namespace"] for pod in pods} > {SYSTEM_NAMESPACE, MESH_NAMESPACE}
        assert list(refusals(api_server, pods)) == []


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("stack", STACKS)
def test_istiod_is_told_the_regions_trust_and_to_leave_no_unknown_host_open(stack, region):
    mesh = yaml.safe_load(one_of(stack, region, "ConfigMap", "istio")["data"]["mesh"])
    others = {code for code in REGIONS if code != region}
    assert mesh["trustDomain"].startswith(f"{region}.")
    assert mesh["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
    assert mesh["meshMTLS"] == mesh["tlsDefaults"] == {"minProtocolVersion": "TLSV1_3"}
    (trusted,) = mesh["caCertificates"]
    assert {domain.partition(".")[0] for domain in trusted["trustDomains"]} == others
    assert not mesh.get("trustDomainAliases")


@pytest.mark.parametrize("stack", STACKS)
def test_the_injector_has_both_templates_of_spires_socket(stack):
    for region in REGIONS:
        config = yaml.safe_load(one_of(stack, region, "ConfigMap", "istio-sidecar-injector")["data"]["config"])
        assert {"sidecar", "gateway", "spire", "spire-gateway"} <= config["templates"].keys()
        assert config["defaultTemplates"] == ["sidecar", "spire"]


@pytest.mark.parametrize("stack", STACKS)
def test_ciliums_agent_encrypts_and_leaves_istio_its_place(stack):
    wanted = {
        "bpf-lb-sock-hostns-only": "true",
        "cni-exclusive": "false",
        "enable-wireguard": "true",
        "ipam": "eni",
        "kube-proxy-replacement": "true",
        "tofqdns-dns-reject-response-code": "nameError",
    }
    for region in REGIONS:
        assert wanted.items() <= one_of(stack, region, "ConfigMap", "cilium-config")["data"].items()


@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda gateway: gateway.name)
@pytest.mark.parametrize("stack", STACKS)
def test_a_gateway_has_the_names_labels_and_ports_that_the_other_layers_use(stack, gateway):
    for region in REGIONS:
        deployment, service, account = (
            one_of(stack, region, kind, gateway.name) for kind in ("Deployment", "Service", "ServiceAccount")
        )
        assert {one["metadata"]["namespace"] for one in (deployment, service, account)} == {gateway.namespace}
        template = deployment["spec"]["template"]
        assert gateway.selector.items() <= template["metadata"]["labels"].items()
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        assert template["spec"]["serviceAccountName"] == gateway.name
        ports = {port["port"]: port["targetPort"] for port in service["spec"]["ports"]}
        _, own = PORTS[gateway]
        assert ports == {own: own, STATUS["port"]: STATUS["port"]}
        assert service["spec"]["type"] == "ClusterIP"
