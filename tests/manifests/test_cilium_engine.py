"""The engine behind `sandbox.cilium_verdicts` against cases whose answer is known.

Not proven here: what a running agent adds (identities at run time, DNS answers, the Service's translation), nor what
the HTTP proxy makes of a request.
"""

import itertools
from typing import Any

import pytest

from sandbox.cilium_verdicts import CILIUM_POLICIES, NETWORK_POLICY, Flow, VerdictError, Workload, judge, of_kind
from tests.manifests.cilium_cases import (
    CALLEE,
    CALLER,
    DENY_ALL,
    DNS_SERVER,
    NAMESPACES,
    OUTSIDE,
    PAY,
    SERVICES,
    WORKLOADS,
    asked,
    ccnp,
    cnp,
    endpoints,
    looked_up,
    netpol,
    one,
    ports,
    resolving,
)


def test_without_a_policy_everything_is_allowed() -> None:
    verdict = one([], "bank-a/api", "bank-b/api", 443)
    assert (verdict.verdict, verdict.egress.reason, verdict.ingress.reason) == ("allow", "no-policy", "no-policy")


def test_clusterwide_default_deny_closes_every_pair_it_selects_in_both_directions() -> None:
    pairs = [(*pair, 443) for pair in itertools.permutations(("bank-a/api", "bank-a/db", "bank-b/api"), 2)]
    verdicts = asked([DENY_ALL], *pairs, self_check=True).flows.values()
    refs = ("CiliumClusterwideNetworkPolicy/default-deny",)
    assert {(side.reason, side.policies) for v in verdicts for side in (v.egress, v.ingress)} == {("default-deny", refs)}
    assert one([DENY_ALL], "world", "bank-a/api", 443).ingress.reason == "default-deny"
    assert one([DENY_ALL], "world", "dns", 53, "UDP").ingress.reason == "no-policy"
    assert one([DENY_ALL], "host", "bank-a/api", 8080).ingress.reason == "allow-localhost"


def test_an_edge_is_open_for_its_caller_its_callee_and_its_port_only() -> None:
    policies = [DENY_ALL, CALLER, CALLEE]
    verdict = one(policies, *SERVICES, 5432)
    assert verdict.allowed
    assert verdict.egress.policies == ("CiliumNetworkPolicy/bank-a/api",)
    assert verdict.ingress.policies == ("CiliumNetworkPolicy/bank-a/db",)
    others = [("bank-a/api", "bank-a/db", 5433), ("bank-b/api", "bank-a/db", 5432), ("bank-a/db", "bank-a/api", 5432)]
    others += [("bank-a/api", "bank-a/db", 5432, "UDP"), ("bank-a/api", "bank-b/api", 5432)]
    assert {verdict.verdict for verdict in asked(policies, *others, self_check=True).flows.values()} == {"deny"}


@pytest.mark.parametrize(("half", "egress", "ingress"), [(CALLER, "allow", "deny"), (CALLEE, "deny", "allow")])
def test_one_half_of_an_edge_opens_nothing(half: dict[str, Any], egress: str, ingress: str) -> None:
    verdict = one([DENY_ALL, half], *SERVICES, 5432)
    assert (verdict.egress.verdict, verdict.ingress.verdict, verdict.verdict) == (egress, ingress, "deny")


def test_a_service_account_tells_pods_of_equal_labels_apart() -> None:
    account = {"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "api", "k8s:io.kubernetes.pod.namespace": "bank-b"}}
    policy = cnp("db", "db", ingress=[{"fromEndpoints": [account], "toPorts": ports(5432)}])
    assert one([policy], "bank-b/api", "bank-a/db", 5432).allowed
    assert not one([policy], "bank-a/api", "bank-a/db", 5432).allowed
    twin = Workload(id="twin", namespace="bank-b", labels={"app.kubernetes.io/name": "api"}, service_account="other")
    flow = Flow(id="0", source="twin", target="bank-a/db", port=5432)
    assert not judge([policy], NAMESPACES, (*WORKLOADS, twin), [flow], cluster_name="eu-west-1").flows["0"].allowed


def test_a_deny_rule_beats_every_allow() -> None:
    refusing = cnp("refuse", "db", ingressDeny=[{"fromEndpoints": endpoints("api")}])
    side = one([CALLEE, refusing], *SERVICES, 5432).ingress
    assert (side.verdict, side.reason, side.policies) == ("deny", "explicit-deny", ("CiliumNetworkPolicy/bank-a/refuse",))


def test_a_block_leaves_its_exception_out() -> None:
    block = {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}
    for policy in (
        cnp("out", "api", egress=[{"toCIDRSet": [block], "toPorts": ports(443)}]),
        netpol("out", "api", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}], "ports": [{"port": 443}]}]),
    ):
        verdicts = asked([policy], *(("bank-a/api", address.id, 443) for address in OUTSIDE), self_check=True).flows.values()
        assert [verdict.egress.verdict for verdict in verdicts] == ["allow", "deny", "deny"]


def test_the_api_server_is_reached_as_an_entity_only_where_it_is_one() -> None:
    policy = cnp("control", "api", egress=[{"toEntities": ["kube-apiserver"], "toPorts": ports(443)}])
    assert one([policy], "bank-a/api", "api server", 443).allowed
    assert not one([policy], "bank-a/api", "inside the block", 443).allowed


@pytest.mark.parametrize("target", ["bank-a/db", "bank-b/api"])
def test_a_port_name_means_the_port_of_the_pod_that_has_it(target: str) -> None:
    ingress = cnp("in", "db", ingress=[{"fromEndpoints": endpoints("api"), "toPorts": ports("pg")}])
    egress = cnp("out", "api", egress=[{"toEndpoints": [{}, *endpoints("api", "bank-b")], "toPorts": ports("pg")}])
    assert one([ingress, egress], "bank-a/api", target, 5432).allowed is (target == "bank-a/db")
    assert not one([ingress, egress], "bank-a/api", target, 5433).allowed


def test_an_http_rule_is_a_redirect_that_reports_its_rules() -> None:
    rules = [{"method": "GET", "path": "/accounts"}]
    side = one(
        [cnp("db", "db", ingress=[{"fromEndpoints": endpoints("api"), "toPorts": ports(8080, http=rules)}])], *SERVICES, 8080
    ).ingress
    assert (side.verdict, side.reason) == ("redirect", "policy")
    assert side.l7 == ({"parser": "http", "http": rules},)


def test_a_name_with_its_dns_rule_is_usable_and_no_other_is() -> None:
    policies = [DENY_ALL, cnp("pay", "api", egress=[PAY, resolving(matchName="pay.example.com")])]
    assert looked_up(policies, "pay.example.com").usable
    other = looked_up(policies, "other.example.com")
    assert other.reach is not None
    assert (other.query.verdict, other.resolve, other.reach.verdict) == ("redirect", "deny", "deny")


def test_a_name_without_a_dns_rule_is_reachable_and_never_resolvable() -> None:
    for dns in ([], [resolving(matchName="other.example.com")]):
        lookup = looked_up([DENY_ALL, cnp("pay", "api", egress=[PAY, *dns])], "pay.example.com")
        assert lookup.reach is not None
        assert (lookup.reach.verdict, lookup.resolve, lookup.usable) == ("allow", "deny", False)


def test_a_name_resolved_past_the_proxy_selects_nothing() -> None:
    plain = {"toEndpoints": DNS_SERVER, "toPorts": ports(53, "UDP")}
    lookup = looked_up([DENY_ALL, cnp("pay", "api", egress=[PAY, plain])], "pay.example.com")
    assert (lookup.resolve, lookup.learned, lookup.usable) == ("allow", False, False)


def test_a_star_stands_for_one_label() -> None:
    policies = [cnp("wide", "api", egress=[resolving(matchPattern="*.example.com")])]
    assert looked_up(policies, "PAY.example.com.").resolve == "allow"
    assert looked_up(policies, "deep.a.example.com").resolve == "deny"


def test_a_network_policy_for_plain_dns_opens_every_name() -> None:
    named = cnp("pay", "api", egress=[resolving(matchName="pay.example.com")])
    everywhere = [{"namespaceSelector": {}}]
    plain = netpol("dns", None, policyTypes=["Egress"], egress=[{"to": everywhere, "ports": [{"port": 53, "protocol": "UDP"}]}])
    without_port = netpol("any", None, policyTypes=["Egress"], egress=[{"to": everywhere}])
    assert looked_up([named], "evil.example.org").resolve == "deny"
    assert looked_up([named, without_port], "evil.example.org").resolve == "deny"
    opened = looked_up([named, plain], "evil.example.org")
    assert (opened.query.verdict, opened.resolve) == ("redirect", "allow")


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("toServices", {"toServices": [{"k8sService": {"serviceName": "db", "namespace": "bank-a"}}], "toPorts": ports(443)}),
        ("toGroups", {"toGroups": [{"aws": {"securityGroupsIds": ["sg-1"]}}], "toPorts": ports(443)}),
        ("toNodes", {"toNodes": [{"matchLabels": {"zone": "a"}}], "toPorts": ports(443)}),
        ("cidrGroupRef", {"toCIDRSet": [{"cidrGroupRef": "partners"}], "toPorts": ports(443)}),
        ("unknown field", {"toEndpoint": endpoints("db")}),
        ("toFQDNs", {"toFQDNs": [{"matchName": "a.b"}], "toEndpoints": endpoints("db")}),
    ],
)
def test_what_cannot_be_judged_is_refused_by_the_objects_name(field: str, rule: dict[str, Any]) -> None:
    with pytest.raises(VerdictError, match=r"CiliumNetworkPolicy/bank-a/odd: ") as refused:
        asked([CALLEE, cnp("odd", "api", egress=[rule])], (*SERVICES, 443))
    assert field.lower() in str(refused.value).lower()


def test_a_kind_that_is_no_policy_is_refused() -> None:
    with pytest.raises(VerdictError, match=r"policies\[0\]: v1 ConfigMap"):
        asked([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}])


def test_a_flow_between_parties_nobody_declared_is_refused() -> None:
    with pytest.raises(VerdictError, match='"bank-c/api" is declared nowhere'):
        asked([], ("bank-c/api", "dns", 53))


@pytest.mark.parametrize(("entities", "source"), [([], "bank-a/api"), (["cluster"], "world"), (["none"], "world")])
def test_entities_admit_nobody_else(entities: list[str], source: str) -> None:
    policy = cnp("db", "db", ingress=[{"fromEntities": entities, "toPorts": ports(5432)}])
    assert one([policy], source, "bank-a/db", 5432).ingress.reason == "default-deny"


@pytest.mark.parametrize(
    ("fault", "opened"),
    [("entities-uninitialised", {"the world"}), ("subjects-unknown", {"the world", "a pod without any allowed egress"})],
)
def test_a_set_up_that_fails_open_is_noticed(fault: str, opened: set[str]) -> None:
    with pytest.raises(VerdictError, match="the engine is not set up") as refused:
        asked([], plant=(fault,))
    said = {line.removeprefix("the engine is not set up: ").partition(" reaches ")[0] for line in str(refused.value).splitlines()}
    assert said == opened


def test_policies_of_nodes_are_said_to_bind_nobody() -> None:
    nodes = ccnp("nodes", nodeSelector={}, ingress=[{}])
    verdicts = asked([nodes], ("world", "bank-a/api", 443), self_check=True)
    assert verdicts.unenforced == ("CiliumClusterwideNetworkPolicy/nodes",)
    assert verdicts.flows["0"].ingress.reason == "no-policy"
    assert one([DENY_ALL, nodes], "world", "bank-a/api", 443).ingress.policies == ("CiliumClusterwideNetworkPolicy/default-deny",)


def test_one_layer_can_be_judged_alone() -> None:
    closed = netpol("closed", "db", policyTypes=["Ingress"])
    policies = [closed, CALLER, CALLEE]
    kubernetes, cilium = of_kind(policies, NETWORK_POLICY), of_kind(policies, CILIUM_POLICIES)
    assert (kubernetes, cilium) == ((closed,), (CALLER, CALLEE))
    assert one([*kubernetes], *SERVICES, 5432).ingress.policies == ("NetworkPolicy/bank-a/closed",)
    assert one([*cilium], *SERVICES, 5432).allowed


def test_a_default_deny_names_the_policies_that_switch_it_on() -> None:
    outward = cnp("out", "db", egress=[{}])
    side = one([CALLEE, outward], "bank-b/api", "bank-a/db", 5432).ingress
    assert (side.reason, side.policies) == ("default-deny", ("CiliumNetworkPolicy/bank-a/db",))
