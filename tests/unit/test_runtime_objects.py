"""Falco's values, the side-kick's configuration and objects, and the network rules of both, as pure functions.

Not proven: that the chart does with a value what its name says, and that the side-kick reads its file as it is documented.
"""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.cni import policies_runtime
from components.cni.policies import Hosts, Lookups, Policy
from components.cni.policies_observability import SCRAPED, SIDE_KICK
from components.graph.model import Graph
from components.graph.names import PROXY_METRICS_PORT, RUNTIME_NAMESPACE, SECURITY_NAMESPACE
from components.runtime import certificates, names
from components.runtime.configuration import alertmanagers, configuration, configuration_file, severities
from components.runtime.falco import CERTIFICATES_FOLDER, chart_values, image_values
from components.runtime.sidekick import SecretDelivery, sidekick_objects
from components.settings import CONFIG_KEY, SettingsError, load
from components.settings.runtime import PRIORITIES
from tests.support.charts import unknown

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
FACTS = yaml.safe_load((ROOT / "tests" / "data" / "falco" / "sidekick.yaml").read_text(encoding="utf-8"))
RESPONDER_IMAGE = f"registry.example/platform/risk-responder@sha256:{'0' * 64}"
EVERYTHING = {
    "slack": {},
    "pagerduty": {"region": "eu", "minimum_priority": "alert"},
    "responder": {"image": RESPONDER_IMAGE},
}


def graph(runtime: dict[str, Any] | None = None) -> Graph:
    return Graph.of(load({**copy.deepcopy(document()), "runtime": runtime or {}}))


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"][CONFIG_KEY]
    return found


def one(kind: str, objects: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    (found,) = (item for item in objects if item["kind"] == kind)
    return found


def test_every_value_is_one_that_falcos_chart_takes_and_none_is_downloaded():
    values = chart_values(graph(), REGION)
    assert unknown("falco", values) == []
    assert values["driver"]["kind"] == "modern_ebpf"
    assert values["driver"]["modernEbpf"]["leastPrivileged"] is True
    assert [values["falcoctl"]["artifact"][step]["enabled"] for step in ("install", "follow")] == [False, False]
    assert values["tolerations"] == [{"operator": "Exists"}]
    assert not {"nodeSelector", "affinity"} & set(values)


def test_a_stock_rule_hides_none_of_ours():
    assert chart_values(graph(), REGION)["falco"]["rule_matching"] == "all"


def test_events_leave_by_mutual_tls_with_the_files_that_the_certificate_has():
    output = chart_values(graph(), REGION)["falco"]["http_output"]
    assert (output["enabled"], output["mtls"], output["insecure"]) == (True, True, False)
    assert output["url"] == f"https://falcosidekick.{SECURITY_NAMESPACE}.svc.cluster.local:{names.EVENTS_PORT}/"
    files = {output[key].rpartition("/") for key in ("ca_cert", "client_cert", "client_key")}
    assert files == {(CERTIFICATES_FOLDER, "/", name) for name in ("ca.crt", "tls.crt", "tls.key")}


def test_the_image_is_the_settings_own_digest_when_the_chart_has_put_it_together():
    image = graph().settings.images.falco
    parts = image_values(image)
    assert f"{parts['registry']}/{parts['repository']}:{parts['tag']}" == image


def test_only_the_server_serves_and_only_the_client_calls():
    made = {item["metadata"]["name"]: item["spec"] for item in certificates.certificates()}
    assert "client auth" in made["falco-client"]["usages"]
    assert "server auth" not in made["falco-client"]["usages"]
    assert "server auth" in made["falcosidekick-server"]["usages"]
    assert "client auth" not in made["falcosidekick-server"]["usages"]
    assert made["falcosidekick-server"]["dnsNames"] == [names.events_host()]
    assert {spec["issuerRef"]["name"] for spec in made.values()} == {certificates.ISSUER}
    assert [item["metadata"]["namespace"] for item in certificates.certificates()] == [RUNTIME_NAMESPACE, SECURITY_NAMESPACE]


def leaves(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}" if path else key)]
    return [path]


@pytest.mark.parametrize("runtime", [{}, EVERYTHING])
def test_every_key_of_the_configuration_is_one_that_the_side_kick_documents(runtime):
    assert set(leaves(configuration(graph(runtime).settings.runtime, secrets_mount="platform"))) <= set(FACTS["keys"])


def test_nobody_is_woken_twice_and_nothing_critical_wakes_nobody():
    settings = graph(EVERYTHING).settings.runtime
    assert severities(settings) == {
        **dict.fromkeys(PRIORITIES, "ticket"),
        "critical": "page",
    }
    alone = severities(graph().settings.runtime)
    assert [priority for priority in PRIORITIES if alone[priority] == "page"] == ["critical", "alert", "emergency"]


def test_every_instance_of_alertmanager_is_told_by_the_interface_that_it_has():
    found = configuration(graph().settings.runtime)["alertmanager"]
    assert found["endpoint"] == "/api/v2/alerts"
    assert found["hostport"].split(",") == list(alertmanagers())
    assert len(set(alertmanagers())) == 3
    assert {host.removeprefix("http://").partition(":")[0] for host in alertmanagers()} == set(policies_runtime.ALERTMANAGERS)


def test_no_secret_stands_in_the_configuration_and_none_is_kept_by_kubernetes():
    text = configuration_file(graph(EVERYTHING).settings.runtime, secrets_mount="platform")
    assert '{{ with secret "platform/data/falcosidekick/outputs" }}{{ .Data.data.slack_webhook_url }}{{ end }}' in text
    assert ".Data.data.pagerduty_routing_key" in text
    objects = sidekick_objects(graph(EVERYTHING), SecretDelivery())
    assert not {"ConfigMap", "Secret"} & {item["kind"] for item in objects}
    assert one("Deployment", objects)["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "-c",
        "/var/run/secrets/vault/config.yaml",
    ]


def test_an_output_whose_secret_nobody_brings_is_refused():
    with pytest.raises(ValueError, match="nothing delivers it"):
        sidekick_objects(graph({"slack": {}}))
    with pytest.raises(ValueError, match="no engine is given"):
        configuration(graph({"pagerduty": {}}).settings.runtime)


@pytest.mark.parametrize("priority", ["debug", "warning", "error"])
def test_people_are_told_directly_of_nothing_below_critical(priority):
    with pytest.raises(SettingsError, match=r"runtime\.slack\.minimum_priority"):
        graph({"slack": {"minimum_priority": priority}})


def test_what_the_agent_brings_stands_in_the_pod():
    delivery = SecretDelivery(
        init_containers=({"name": "vault-agent-init"},),
        containers=({"name": "vault-agent"},),
        volumes=({"name": "secrets"},),
        volume_mounts=({"name": "secrets", "mountPath": "/var/run/secrets/vault"},),
    )
    pod = one("Deployment", sidekick_objects(graph(EVERYTHING), delivery))["spec"]["template"]["spec"]
    assert [item["name"] for item in pod["initContainers"]] == ["vault-agent-init"]
    assert [item["name"] for item in pod["containers"]] == ["falcosidekick", "vault-agent"]
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}


def test_the_proxy_leaves_falcos_port_alone_and_nobody_in_the_mesh_may_call():
    objects = sidekick_objects(graph())
    annotations = one("Deployment", objects)["spec"]["template"]["metadata"]["annotations"]
    assert annotations["traffic.sidecar.istio.io/excludeInboundPorts"] == str(names.EVENTS_PORT)
    assert annotations["traffic.sidecar.istio.io/excludeOutboundPorts"] == "443,8200,9093"
    denials = [item["spec"] for item in objects if item["kind"] == "AuthorizationPolicy"]
    assert {} in denials
    assert {"action": "DENY", "selector": {"matchLabels": SIDE_KICK.labels}, "rules": [{}]} in denials
    hosts = one("Sidecar", objects)["spec"]["egress"][0]["hosts"]
    assert not [host for host in hosts if host.startswith(("*/", "~"))]


def test_a_changed_output_restarts_the_pods():
    def stamp(runtime: dict[str, Any]) -> str:
        deployment = one("Deployment", sidekick_objects(graph(runtime), SecretDelivery()))
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["zerotrust.dev/config"])

    changed = {**EVERYTHING, "alert_minimum_priority": "error"}
    assert len({stamp({}), stamp({"alert_minimum_priority": "error"}), stamp(EVERYTHING), stamp(changed)}) == 4


def named(policies: tuple[Policy, ...]) -> dict[tuple[str, str], Policy]:
    found = {(policy.name, policy.subject.namespace): policy for policy in policies}
    assert len(found) == len(policies)
    return found


def test_falco_reaches_the_side_kick_and_nothing_else():
    policies = policies_runtime.runtime_policies(graph(EVERYTHING), REGION)
    reached = [flow.peer for policy in policies if policy.subject == policies_runtime.FALCO for flow in policy.egress]
    assert reached == [SIDE_KICK, Lookups(names=(names.events_host(),))]
    assert policies_runtime.EVENTS_PORT == names.EVENTS_PORT
    (row,) = (ports for name, _, ports in SCRAPED if name == "falco")
    assert row == (names.FALCO_METRICS_PORT,)
    assert ("side-kick", SIDE_KICK, (PROXY_METRICS_PORT,)) in SCRAPED


@pytest.mark.parametrize(
    ("runtime", "hosts"),
    [
        ({}, []),
        ({"slack": {}}, ["hooks.slack.com"]),
        ({"pagerduty": {"region": "us"}}, ["events.pagerduty.com"]),
        (EVERYTHING, ["events.eu.pagerduty.com", "hooks.slack.com"]),
    ],
)
def test_of_the_internet_the_side_kick_reaches_only_the_outputs_turned_on(runtime, hosts):
    policies = named(policies_runtime.runtime_policies(graph(runtime), REGION)).values()
    peers = [flow.peer for policy in policies for flow in policy.egress]
    assert sorted(name for peer in peers if isinstance(peer, Hosts) for name in peer.names) == hosts
    assert sorted(graph(runtime).settings.runtime.output_hosts) == hosts


@pytest.mark.parametrize("runtime", [{}, EVERYTHING])
def test_both_ends_of_every_way_of_the_side_kick_are_open(runtime):
    """Loki's side is the observability layer's own."""
    policies = policies_runtime.runtime_policies(graph(runtime), REGION)
    out = {
        (flow.peer.namespace, tuple(sorted(flow.peer.labels.items())), flow.ports)
        for policy in policies
        if policy.subject == SIDE_KICK
        for flow in policy.egress
        if hasattr(flow.peer, "namespace") and ("app.kubernetes.io/name", "loki") not in flow.peer.labels.items()
    }
    received = {
        (policy.subject.namespace, tuple(sorted(policy.subject.labels.items())), flow.ports)
        for policy in policies
        for flow in policy.ingress
        if flow.peer == SIDE_KICK
    }
    assert out == received


@pytest.mark.parametrize("process", ["/usr/bin/python", 'sh" or 1', "two words", ""])
def test_a_process_that_is_no_file_name_does_not_load(process):
    wrong = copy.deepcopy(document())
    wrong["tenants"]["bank-a"]["services"]["api-ms"]["processes"] = [process]
    with pytest.raises(SettingsError, match=r"tenants\.bank-a\.services\.api-ms\.processes"):
        load(wrong)
