"""What the sandbox changes of Cilium: the values before the chart's own templates, and what a node gets for it.

Not proven: that an agent starts on a node and enforces, which needs a node.
"""

from functools import cache
from typing import Any

import pytest

from components.cni import cilium as program
from components.context import RegionContext
from components.graph.names import SYSTEM_NAMESPACE
from sandbox.charts import chart_dirs, render
from sandbox.local import cilium
from sandbox.local.plan import plan

CONTEXT = RegionContext(organization="clearing", environment="test", region="eu-north-1", account="111122223333", tags={})
REGION = plan({"eu-north-1": ("10.203.0.0/16", "172.30.32.0/20")}).region("eu-north-1")
API_HOST = str(REGION.router)


@cache
def objects() -> list[dict[str, Any]]:
    values = cilium.values(program.chart_values(CONTEXT, api_host=API_HOST))
    return render(chart_dirs()["cilium"], "cilium", SYSTEM_NAMESPACE, values)


def only(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in objects() if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


@pytest.fixture(scope="module")
def configuration() -> dict[str, str]:
    return dict(only("ConfigMap", "cilium-config")["data"])


@pytest.fixture(scope="module")
def agent() -> dict[str, Any]:
    return dict(only("DaemonSet", "cilium")["spec"]["template"]["spec"])


def test_the_agent_takes_addresses_from_its_node_and_routes_them_as_they_are(configuration: dict[str, str]) -> None:
    assert (configuration["ipam"], configuration["routing-mode"]) == ("kubernetes", "native")
    assert configuration["enable-ipv4-masquerade"] == "false"


def test_the_agent_asks_the_api_server_where_it_listens(agent: dict[str, Any]) -> None:
    given = {one["name"]: one.get("value") for one in agent["containers"][0]["env"]}
    assert f"https://{given['KUBERNETES_SERVICE_HOST']}:{given['KUBERNETES_SERVICE_PORT']}" == REGION.api


def test_one_operator_decides() -> None:
    assert only("Deployment", "cilium-operator")["spec"]["replicas"] == 1


def test_what_the_program_protects_with_stays(configuration: dict[str, str]) -> None:
    kept = ("kube-proxy-replacement", "bpf-lb-sock-hostns-only", "enable-l7-proxy", "cni-exclusive", "enable-hubble")
    assert {key: configuration[key] for key in kept} == dict(zip(kept, ("true", "true", "true", "false", "true"), strict=True))
    assert configuration["tofqdns-dns-reject-response-code"] == "nameError"


def test_nothing_is_encrypted_with_what_the_kernel_has_not(configuration: dict[str, str]) -> None:
    assert configuration.get("enable-wireguard", "false") == "false"
    assert not [key for key in configuration if "strict-mode" in key and configuration[key] == "true"]


def test_no_container_asks_for_a_capability_that_the_machine_may_lack(agent: dict[str, Any]) -> None:
    added = {
        capability
        for container in (*agent["initContainers"], *agent["containers"])
        for capability in container.get("securityContext", {}).get("capabilities", {}).get("add", [])
    }
    assert "SYS_ADMIN" in added
    assert not added & {"SYS_RESOURCE", "SYS_MODULE"}


def test_nothing_is_mounted_or_set_on_the_node_by_a_container_with_all_rights(agent: dict[str, Any]) -> None:
    names = {container["name"] for container in agent["initContainers"]}
    assert names == {"config", "clean-cilium-state", "install-cni-binaries"}


def test_envoy_is_not_installed() -> None:
    assert {one["metadata"]["name"] for one in objects() if one["kind"] == "DaemonSet"} == {"cilium"}


def test_a_node_keeps_every_service_but_the_proxy() -> None:
    given = [{"name": name} for name in ("containerd", "image-service", "kubelet", "kube-proxy")]
    assert [one["name"] for one in cilium.services(given)] == ["containerd", "image-service", "kubelet"]


def test_every_node_says_the_range_that_the_router_leads_to_it() -> None:
    ranges = [cilium.address_range(node)["spec"]["podCIDR"] for node in REGION.nodes]
    assert ranges == [str(node.pods) for node in REGION.nodes]
    assert len(set(ranges)) == len(ranges)


def test_a_difference_goes_over_the_value_and_leaves_those_beside_it() -> None:
    made = cilium.values({"bpf": {"lbExternalClusterIP": False, "other": 1}, "eni": {"enabled": True}})
    assert made["bpf"] == {"autoMount": {"enabled": False}, "lbExternalClusterIP": True, "other": 1}
    assert made["eni"]["enabled"] is False
