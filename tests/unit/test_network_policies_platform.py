"""Forms that fail open, the two default denies, and the platform's own rules. It asks no engine what it makes of them."""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cni.baseline import NOT_PUBLIC
from components.cni.objects import NAMESPACES, region_objects
from components.cni.policies import Flow, Hosts, Lookups, Networks, Pods, Policy
from components.cni.policies_cilium import default_deny, impostor
from components.cni.policies_platform import WEBHOOKS
from components.graph.names import CLUSTER_DOMAIN, GATEWAYS, NAMESPACE_LABEL, PLATFORM_NAMESPACES, SERVICE_LABEL
from components.manifests import Manifest
from components.network.addresses import subnet_cidr
from tests.support.program import STACKS, changed
from tests.unit.test_network_policies import (
    KINDS,
    Pod,
    allowed,
    cilium_labels,
    everything,
    gateway_pod,
    graph_of,
    pod,
    selects,
    shipped,
    store_pod,
)

PEERS = {f"{side}{what}" for side in ("from", "to") for what in ("Endpoints", "Entities", "CIDR", "FQDNs")}
DENIALS = ("ingressDeny", "egressDeny")
ALLOWANCES = ("ingress", "egress")


def objects(stack: str, kinds: tuple[str, ...]) -> list[Manifest]:
    """Every object of those kinds, of every region."""
    graph = shipped(stack)
    found = [each for region in graph.regions for each in everything(graph, region).values() if each["kind"] in kinds]
    assert found
    return found


def rules(each: Manifest, sections: tuple[str, ...] = ALLOWANCES) -> Iterator[dict[str, Any]]:
    """The rules of those sections."""
    for section in sections:
        yield from each["spec"].get(section, [])


def keys_of(value: Any) -> Iterator[str]:
    """Every key at any depth."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from keys_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys_of(each)


@pytest.mark.parametrize("stack", STACKS)
def test_cilium_policies_use_only_peers_that_the_engine_resolves_by_itself_and_no_http_rules(stack):
    for each in objects(stack, ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")):
        assert not {"http", "kafka", "l7", "l7proto"} & set(keys_of(each["spec"]))
        for rule in rules(each, ALLOWANCES + DENIALS):
            assert set(rule) - {"toPorts"} <= PEERS, each["metadata"]["name"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_cilium_rule_names_one_kind_of_peer_and_its_ports(stack):
    for each in objects(stack, ("CiliumNetworkPolicy",)):
        for rule in rules(each):
            [peers] = [rule[key] for key in rule if key in PEERS]
            assert peers
            assert all(peers)
            assert rule["toPorts"]
            assert all(ports["ports"] for ports in rule["toPorts"])
            assert not {"all", "world", "unmanaged", "init"} & {peer for peer in peers if isinstance(peer, str)}
            for endpoint in (peer for peer in peers if isinstance(peer, dict) and "matchName" not in peer):
                assert endpoint["matchLabels"]["k8s:io.kubernetes.pod.namespace"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_kubernetes_rule_names_a_peer_and_only_the_dns_server_is_allowed_without_ports(stack):
    dns_server = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    for each in objects(stack, ("NetworkPolicy",)):
        assert set(each["spec"]["policyTypes"]) >= {side.capitalize() for side in ALLOWANCES if side in each["spec"]}
        for rule in rules(each):
            [peers] = [rule[key] for key in ("from", "to") if key in rule]
            assert peers
            for peer in peers:
                assert peer
                assert all(peer.values())
                assert set(peer) == {"ipBlock"} or peer["namespaceSelector"]
            if "ports" not in rule:
                assert peers == [dns_server]


@pytest.mark.parametrize("stack", STACKS)
def test_no_network_policy_opens_the_dns_port_beside_a_rule_for_names(stack):
    """Cilium adds the kinds up: one plain allowance of port 53 would open every name."""
    for each in objects(stack, ("NetworkPolicy",)):
        if each["metadata"]["namespace"] == "kube-system" and each["metadata"]["name"] == "dns":
            continue
        assert not any(port["port"] == 53 for rule in rules(each) for port in rule.get("ports", []))


@pytest.mark.parametrize("stack", STACKS)
def test_a_policy_for_hosts_lets_exactly_those_names_be_looked_up(stack):
    found = 0
    for each in objects(stack, ("CiliumNetworkPolicy",)):
        hosts = {host["matchName"] for rule in rules(each) for host in rule.get("toFQDNs", [])}
        if hosts:
            asked = {
                name.get("matchName") or name["matchPattern"]
                for rule in rules(each)
                for ports in rule["toPorts"]
                for name in ports.get("rules", {}).get("dns", [])
            }
            assert {name for name in asked if not name.endswith(f".svc.{CLUSTER_DOMAIN}")} == hosts, each["metadata"]["name"]
            found += 1
    assert found


@pytest.mark.parametrize("stack", STACKS)
def test_every_dns_rule_lists_names_and_none_admits_a_whole_domain(stack):
    for each in objects(stack, ("CiliumNetworkPolicy",)):
        for rule in rules(each):
            for ports in rule["toPorts"]:
                if any(port["port"] == "53" for port in ports["ports"]) and "toEndpoints" in rule:
                    names = ports["rules"]["dns"]
                    assert names
                    patterns = [name["matchPattern"] for name in names if "matchPattern" in name]
                    fixed = [pattern.replace("*.", "") for pattern in patterns]
                    assert all(name.count(".") >= 3 and "*" not in name for name in fixed)  # `<namespace>.svc.cluster.local`


@given(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_a_pod_of_any_namespace_is_under_the_clusterwide_deny_in_both_directions(namespace, labels):
    spec = default_deny()["spec"]
    assert selects(spec["endpointSelector"], cilium_labels(Pod(namespace, tuple(labels.items()), "any")))
    assert spec["enableDefaultDeny"] == {"ingress": True, "egress": True}
    assert spec["ingress"] == [{"fromEntities": ["host"]}]
    assert spec["egress"] == [{"toEntities": ["none"]}]


@pytest.mark.parametrize("stack", STACKS)
def test_every_namespace_of_the_platform_and_of_tenants_denies_by_default_in_the_baseline_too(stack):
    graph = shipped(stack)
    for region in graph.regions:
        found = {
            each["metadata"]["namespace"]
            for each in everything(graph, region).values()
            if each["kind"] == "NetworkPolicy" and each["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        }
        assert found == {*PLATFORM_NAMESPACES, *graph.tenants, "kube-system", "kube-public", "kube-node-lease", "default"}


@pytest.mark.parametrize("stack", STACKS)
def test_no_object_lies_in_a_namespace_that_nobody_makes(stack):
    for each in objects(stack, KINDS):
        assert each["metadata"]["namespace"] in {*NAMESPACES, *shipped(stack).tenants}


@pytest.mark.parametrize("stack", STACKS)
def test_who_wears_labels_without_the_account_is_denied_and_who_has_the_account_is_not(stack):
    graph = shipped(stack)
    denials = [each for each in objects(stack, ("CiliumNetworkPolicy",)) if "egressDeny" in each["spec"]]
    real = [
        *(pod(each) for each in graph.workloads.values()),
        *(store_pod(each.tenant, each.name) for each in graph.stores.values()),
        *(gateway_pod(each) for each in GATEWAYS),
    ]

    def denied(one: Pod) -> bool:
        return any(
            each["metadata"]["namespace"] == one.namespace
            and selects(each["spec"]["endpointSelector"], cilium_labels(one))
            and each["spec"]["ingressDeny"] == [{"fromEntities": ["all"]}]
            and each["spec"]["egressDeny"] == [{"toEntities": ["all"]}]
            for each in denials
        )

    assert not [one for one in real if denied(one)]
    assert not [one for one in real if not denied(one._replace(account="default"))]


@pytest.mark.parametrize("stack", STACKS)
def test_addresses_of_the_internet_are_opened_only_where_cilium_selects_nothing(stack):
    """Cilium's identities leave out the labels that controllers add; everywhere else a wildcard would undo `toFQDNs`."""
    wide = 0
    for each in objects(stack, ("NetworkPolicy",)):
        blocks = [
            peer["ipBlock"] for rule in rules(each) for side in ("from", "to") for peer in rule.get(side, []) if "ipBlock" in peer
        ]
        for block in blocks:
            if ipaddress.ip_network(block["cidr"]).prefixlen >= 16:
                continue
            wide += 1
            assert block["except"] == list(NOT_PUBLIC)
            assert each["metadata"]["name"].endswith(".outside")
            made_by = {test["key"] for test in each["spec"]["podSelector"]["matchExpressions"] if test["operator"] == "Exists"}
            assert made_by & {"pod-template-hash", "controller-revision-hash"}
    assert wide


def test_no_private_network_is_among_the_addresses_of_the_internet():
    excepted = [ipaddress.ip_network(each) for each in NOT_PUBLIC]
    for private in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"):
        assert any(ipaddress.ip_network(private).subnet_of(each) for each in excepted)
    assert not any(ipaddress.ip_address("8.8.8.8") in each for each in excepted)


@pytest.mark.parametrize("stack", STACKS)
def test_cilium_policies_open_no_address_outside_the_environments_own_networks(stack):
    graph = shipped(stack)
    own = [ipaddress.ip_network(each.vpc_cidr) for each in graph.settings.regions.values()]
    resolver = ipaddress.ip_network("169.254.169.253/32")
    for each in objects(stack, ("CiliumNetworkPolicy",)):
        for rule in rules(each):
            for cidr in [*rule.get("toCIDR", []), *rule.get("fromCIDR", [])]:
                network = ipaddress.ip_network(cidr)
                assert network == resolver or any(network.subnet_of(vpc) and network != vpc for vpc in own)


def test_the_api_server_reaches_every_webhook_by_identity_and_by_the_networks_of_its_interfaces():
    graph = shipped("dev")
    intra = [subnet_cidr("10.0.0.0/16", "intra", zone) for zone in "abc"]
    found = everything(graph, "eu-west-1")
    for name, pods, port in WEBHOOKS:
        spec = found[f"ciliumnetworkpolicy-{pods.namespace}-{name}-webhook"]["spec"]
        ports = [{"ports": [{"port": str(port), "protocol": "TCP"}]}]
        assert spec["ingress"] == [
            {"fromEntities": ["kube-apiserver"], "toPorts": ports},
            {"fromCIDR": intra, "toPorts": ports},
        ]
        baseline = found[f"networkpolicy-{pods.namespace}-{name}-webhook"]["spec"]
        assert [peer["ipBlock"]["cidr"] for peer in baseline["ingress"][0]["from"]] == intra


def test_no_service_reaches_the_platform_beside_istiod_dns_the_collector_and_if_it_fetches_vault():
    graph = shipped("dev")
    found = everything(graph, "eu-west-1")
    subjects = {
        (each["metadata"]["namespace"], tuple(sorted(each["spec"]["podSelector"].get("matchLabels", {}).items())))
        for each in found.values()
        if each["kind"] == "NetworkPolicy" and each["metadata"]["namespace"] in NAMESPACES
    }
    ports = (53, 443, 4317, 5432, 6379, 8000, 8080, 8081, 8200, 8201, 8443, 9443, 10250, 15012, 15017, 15021)
    fetching = {ref for ref, workload in graph.workloads.items() if graph.fetches(workload)}
    assert fetching < set(graph.workloads)  # both kinds are there
    assert fetching
    for ref, workload in graph.workloads.items():
        reached = {
            (namespace, port)
            for namespace, labels in subjects
            for port in ports
            for account in ("any", dict(labels).get(SERVICE_LABEL, "any"))
            if labels and all(allowed(found, "CiliumNetworkPolicy", pod(workload), Pod(namespace, labels, account), port)[:1])
        }
        vault = {("vault", 8200)} if ref in fetching else set()
        assert reached == {("istio-system", 15012), ("kube-system", 53), ("observability", 4317)} | vault, ref


def test_karpenter_the_private_authority_and_keycloak_have_rules_only_where_they_run():
    data = changed("dev")
    names = {each["metadata"]["name"] for each in region_objects(graph_of(data), "eu-west-1")}
    data["identity"] |= {"issuer_kind": "external", "jwks_url": "https://login.example.org/keys"}
    data["identity"]["upstream_authority"] = {
        "kind": "aws_private_ca",
        "private_ca": "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/00000000-0000-0000-0000-000000000000",
    }
    other = {each["metadata"]["name"] for each in region_objects(graph_of(data), "eu-west-1")}
    assert {"issuer", "mesh-issuer", "operated.keycloak"} <= names - other
    assert not {"issuer", "mesh-issuer"} & {
        each["metadata"]["name"] for each in region_objects(graph_of(changed("dev")), "eu-central-1")
    }
    assert "spire-authority-aws" in other - names
    asked = str([each for each in region_objects(graph_of(data), "eu-west-1") if each["metadata"]["name"] == "issuer-keys"])
    assert "login.example.org" in asked


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: Flow(peer=Networks(cidrs=()), ports=(1,)), "names nobody"),
        (lambda: Flow(peer=Lookups()), "names nobody"),
        (lambda: Flow(peer=Pods(namespace="a")), "say the ports"),
        (lambda: Policy(name="x", subject=Pods(namespace="a")), "allows nothing"),
        (
            lambda: Policy(name="x", subject=Pods(namespace="a"), egress=(Flow(peer=Hosts(names=("h.example",)), ports=(443,)),)),
            "lookup of h.example",
        ),
        (
            lambda: Policy(name="x", subject=Pods(namespace="a"), ingress=(Flow(peer=Lookups(names=("h.example",))),)),
            "they reach nobody",
        ),
        (lambda: impostor("x", Pods(namespace="a", service_account="b")), "name both"),
    ],
)
def test_a_rule_that_would_mean_everybody_cannot_be_written(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        wrong()
