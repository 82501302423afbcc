"""The access graph and its network policies: every edge is allowed at both ends, nothing else is, and nothing else moves.

`allowed` reads the finished objects with a small matcher of its own, kind by kind; it knows nothing of how they were made. It
does not prove what Cilium's engine decides: the engine's own verdicts do that.
"""

import copy
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.cni.objects import region_objects, tenant_objects
from components.graph.model import Graph, Workload
from components.graph.names import EASTWEST, EGRESS, INGRESS, NAMESPACE_LABEL, SERVICE_LABEL
from components.manifests import Manifest, object_key
from components.network.addresses import eastwest_address
from components.settings import load
from tests.support.program import STACKS, changed, stack_settings

KINDS = ("CiliumNetworkPolicy", "NetworkPolicy")
slow = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])


class Pod(NamedTuple):
    """What policies see of a pod."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    account: str


def graph_of(data: dict[str, Any]) -> Graph:
    """The graph of settings as plain data."""
    return Graph.of(load(data))


@cache
def shipped(stack: str) -> Graph:
    """The graph of a shipped stack."""
    return graph_of(stack_settings(stack))


def of_tenants(graph: Graph, region: str) -> dict[str, Manifest]:
    """All tenants' objects of a region, by key; two with one key fail."""
    found = [each for tenant in graph.tenants for each in tenant_objects(graph, region, tenant)]
    by_key = {object_key(each): each for each in found}
    assert len(by_key) == len(found)
    return by_key


def everything(graph: Graph, region: str) -> dict[str, Manifest]:
    """A region's objects, by key."""
    own = region_objects(graph, region)
    return {**{object_key(each): each for each in own}, **of_tenants(graph, region)}


def pod(workload: Workload) -> Pod:
    """A service's pod."""
    return Pod(workload.tenant, ((SERVICE_LABEL, workload.name), ("version", "1")), workload.name)


def store_pod(tenant: str, name: str) -> Pod:
    """A store's pod, database or cache."""
    return Pod(tenant, (("cnpg.io/cluster", name), (SERVICE_LABEL, name)), name)


def gateway_pod(gateway) -> Pod:
    """A gateway's pod."""
    return Pod(gateway.namespace, tuple(gateway.selector.items()), gateway.name)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    tests = {
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
        "NotIn": lambda key, values: labels.get(key) not in values,
    }
    return wanted and all(
        tests[each["operator"]](each["key"], each.get("values")) for each in selector.get("matchExpressions", [])
    )


def cilium_labels(of: Pod) -> dict[str, str]:
    fixed = {"k8s:io.kubernetes.pod.namespace": of.namespace, "k8s:io.cilium.k8s.policy.serviceaccount": of.account}
    return {**{f"k8s:{key}": value for key, value in of.labels}, **fixed}


def _cilium(policy: Manifest, subject: Pod, peer: Pod, port: int, side: str) -> bool:
    spec, place = policy["spec"], policy["metadata"]["namespace"]
    if place != subject.namespace or not selects(spec["endpointSelector"], cilium_labels(subject)):
        return False
    field = "toEndpoints" if side == "egress" else "fromEndpoints"
    return any(
        any(selects(each, cilium_labels(peer)) for each in rule.get(field, []))
        and any(str(port) == each["port"] for ports in rule["toPorts"] for each in ports["ports"])
        for rule in spec.get(side, [])
    )


def _kubernetes(policy: Manifest, subject: Pod, peer: Pod, port: int, side: str) -> bool:
    spec, place = policy["spec"], policy["metadata"]["namespace"]
    if place != subject.namespace or not selects(spec["podSelector"], dict(subject.labels)):
        return False
    field = "to" if side == "egress" else "from"

    def named(each: dict[str, Any]) -> bool:
        return (
            "ipBlock" not in each
            and selects(each["namespaceSelector"], {NAMESPACE_LABEL: peer.namespace})
            and selects(each.get("podSelector", {}), dict(peer.labels))
        )

    return any(
        any(named(each) for each in rule[field]) and ("ports" not in rule or any(port == each["port"] for each in rule["ports"]))
        for rule in spec.get(side, [])
    )


def allowed(objects: dict[str, Manifest], kind: str, source: Pod, target: Pod, port: int) -> tuple[bool, bool]:
    """Whether any policy of the kind lets the source send, and any lets the target receive."""
    matcher = _cilium if kind == "CiliumNetworkPolicy" else _kubernetes
    these = [each for each in objects.values() if each["kind"] == kind]
    return (
        any(matcher(each, source, target, port, "egress") for each in these),
        any(matcher(each, target, source, port, "ingress") for each in these),
    )


@st.composite
def graphs(draw):
    """The development stack with any of its edges left out and any others added between its services."""
    data = changed("dev")
    calls = data["access"]["calls"]
    for key in draw(st.lists(st.sampled_from(sorted(calls)), unique=True)):
        del calls[key]
    for kind in ("data", "egress", "routes"):
        edges = data["access"][kind]
        for key in draw(st.lists(st.sampled_from(sorted(edges)), unique=True)):
            del edges[key]
    services = sorted(f"{tenant}/{name}" for tenant, each in data["tenants"].items() for name in each["services"])
    served = [ref for ref in services if ref != "bank-b/worker"]
    pairs = st.tuples(st.sampled_from(services), st.sampled_from(served)).filter(lambda pair: pair[0] != pair[1])
    taken = {(call["caller"], call["callee"]) for call in calls.values()}
    for number, (caller, callee) in enumerate(sorted(draw(st.sets(pairs, max_size=4)) - taken)):
        reach = draw(st.sampled_from(["same_region", "every_region"]))
        operations = [{"methods": ["GET"], "paths": ["/drawn"]}]
        calls[f"drawn-{number}"] = {"caller": caller, "callee": callee, "operations": operations, "reach": reach}
    return data


@slow
@given(graphs())
def test_in_both_kinds_a_pair_is_allowed_at_both_ends_exactly_when_an_edge_declares_it(data):
    graph = graph_of(data)
    declared = {(call.caller.ref, call.callee.ref) for call in graph.calls}
    for region in graph.regions:
        objects = of_tenants(graph, region)
        for caller in graph.workloads.values():
            for callee in graph.workloads.values():
                wanted = (caller.ref, callee.ref) in declared
                for kind in KINDS:
                    found = allowed(objects, kind, pod(caller), pod(callee), callee.port)
                    assert found == (wanted, wanted), (kind, caller.ref, callee.ref)
                    assert allowed(objects, kind, pod(caller), pod(callee), callee.port + 1) == (False, False)


@slow
@given(graphs())
def test_a_store_is_open_at_both_ends_to_the_services_of_its_data_edges_and_to_no_other(data):
    graph = graph_of(data)
    declared = {(edge.service.ref, edge.store.ref) for edge in graph.data}
    objects = of_tenants(graph, "eu-west-1")
    for service in graph.workloads.values():
        for store in graph.stores.values():
            wanted = (service.ref, store.ref) in declared
            target = store_pod(store.tenant, store.name)
            for kind in KINDS:
                assert allowed(objects, kind, pod(service), target, store.port) == (wanted, wanted)
                assert allowed(objects, kind, target, pod(service), service.port) == (False, False)


@slow
@given(graphs())
def test_the_gateways_reach_and_are_reached_by_exactly_the_services_of_their_edges(data):
    graph = graph_of(data)
    objects = of_tenants(graph, "eu-west-1")
    routed = {route.service.ref for route in graph.routes}
    leaving = {edge.service.ref for edge in graph.egress}
    entered = {call.callee.ref for call in graph.calls if set(call.origins("eu-west-1")) - {"eu-west-1"}}
    for service in graph.workloads.values():
        for kind in KINDS:
            by_route = allowed(objects, kind, gateway_pod(INGRESS), pod(service), service.port)
            outwards = allowed(objects, kind, pod(service), gateway_pod(EGRESS), 15443)
            from_afar = allowed(objects, kind, gateway_pod(EASTWEST), pod(service), service.port)
            assert by_route == (service.ref in routed,) * 2
            assert outwards == (service.ref in leaving,) * 2
            assert from_afar == (service.ref in entered,) * 2


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("kind", ["calls", "data", "egress", "routes"])
def test_without_an_edge_its_own_objects_are_gone_and_no_other_has_changed(stack, kind):
    whole = {region: everything(shipped(stack), region) for region in shipped(stack).regions}
    keys = sorted(stack_settings(stack)["access"][kind])
    assert keys
    for key in keys:
        data = changed(stack)
        del data["access"][kind][key]
        less = graph_of(data)
        for region, before in whole.items():
            after = everything(less, region)
            gone = set(before) - set(after)
            assert after == {name: each for name, each in before.items() if name not in gone}
            assert gone
            assert {before[name]["kind"] for name in gone} == set(KINDS)
            names = {before[name]["metadata"]["name"].removesuffix(".outside") for name in gone}
            # With its last edge to a database a service has nothing to fetch from Vault, and a database nobody to be filled for.
            fetching = ("vault-", "fetched.", "credentials-", "credentials.") if kind == "data" else ()
            assert all(name.endswith(f"-{key}") or name.startswith(fetching) for name in names)


def named_namespaces(value: Any) -> set[str]:
    """Every namespace that a policy's rules name, at any depth."""
    if isinstance(value, dict):
        own = {value[key] for key in ("k8s:io.kubernetes.pod.namespace", NAMESPACE_LABEL) if key in value}
        return own.union(*map(named_namespaces, value.values()))
    return set().union(*map(named_namespaces, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("stack", STACKS)
def test_a_new_tenant_with_edges_to_an_old_one_changes_no_object_that_exists(stack):
    before = shipped(stack)
    data = changed(stack)
    data["tenants"]["aa-bank"] = copy.deepcopy(data["tenants"]["bank-a"])
    operations = [{"methods": ["GET"], "paths": ["/"]}]
    for number, (caller, callee) in enumerate((("aa-bank/api-ms", "bank-a/api-ms"), ("bank-a/api-ms", "aa-bank/api-ms"))):
        data["access"]["calls"][f"aa-{number}"] = {"caller": caller, "callee": callee, "operations": operations}
    after = graph_of(data)
    for region in before.regions:
        assert region_objects(after, region) == region_objects(before, region)
        old, new = of_tenants(before, region), of_tenants(after, region)
        assert {key: new[key] for key in old} == old
        added = [new[key] for key in set(new) - set(old)]
        outside = {each["metadata"]["name"]: each for each in added if each["metadata"]["namespace"] != "aa-bank"}
        ends = {"call-aa-1", "called-aa-0"}
        assert ends | {"mesh-aa-bank"} <= outside.keys()
        for name in outside.keys() - ends:
            # The platform's side of what it does for the tenant.
            assert "aa-bank" in name
            assert named_namespaces(outside[name]["spec"]) == {"aa-bank"}, name


@pytest.mark.parametrize("stack", STACKS)
def test_the_order_of_the_settings_does_not_matter(stack):
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(each) for key, each in reversed(value.items())}
        return value

    turned_graph = graph_of(turned(stack_settings(stack)))
    for region in shipped(stack).regions:
        assert list(everything(turned_graph, region).items()) == list(everything(shipped(stack), region).items())


def test_tenants_and_stores_whose_names_run_together_keep_objects_of_their_own():
    data = changed("dev")
    plain = {"display_name": "X", "services": {}, "databases": {"c": {"storage": "1Gi"}, "b-c": {"storage": "1Gi"}}}
    data["tenants"] |= {"a": plain, "a-b": copy.deepcopy(plain)}
    operated = [
        each["metadata"]["name"]
        for key, each in of_tenants(graph_of(data), "eu-west-1").items()
        if key.startswith("ciliumnetworkpolicy-cnpg-system")
    ]
    assert len(operated) == len(set(operated))
    assert {"operated.a.b-c", "operated.a-b.c"} <= set(operated)


def test_a_call_across_regions_leaves_to_the_other_regions_fixed_addresses_alone():
    graph = shipped("dev")
    addresses = [f"{eastwest_address('10.1.0.0/16', zone)}/32" for zone in "abc"]
    key = "bank-a-call-bank-a-api-to-bank-b-trans"
    objects = of_tenants(graph, "eu-west-1")
    [leaving] = [rule for rule in objects[f"ciliumnetworkpolicy-{key}"]["spec"]["egress"] if "toCIDR" in rule]
    assert leaving == {"toCIDR": addresses, "toPorts": [{"ports": [{"port": "15443", "protocol": "TCP"}]}]}
    blocks = [
        each["ipBlock"] for rule in objects[f"networkpolicy-{key}"]["spec"]["egress"] for each in rule["to"] if "ipBlock" in each
    ]
    assert blocks == [{"cidr": address} for address in addresses]


def test_a_call_within_the_region_leaves_to_no_address_at_all():
    objects = of_tenants(shipped("dev"), "eu-west-1")
    call = objects["ciliumnetworkpolicy-bank-a-call-bank-a-frontend-to-api"]
    assert [sorted(rule) for rule in call["spec"]["egress"]] == [["toEndpoints", "toPorts"]] * 2


def test_a_service_that_does_not_run_in_a_region_leaves_no_rule_there():
    data = changed("dev")
    data["tenants"]["bank-a"]["services"]["trans-ms"]["regions"] = ["eu-west-1"]
    graph = graph_of(data)
    auth, trans = pod(graph.workloads["bank-a/auth-ms"]), pod(graph.workloads["bank-a/trans-ms"])
    for region, wanted in (("eu-west-1", True), ("eu-central-1", False)):
        objects = of_tenants(graph, region)
        for kind in KINDS:
            assert allowed(objects, kind, auth, trans, 8080) == (wanted, wanted)
            assert allowed(objects, kind, trans, store_pod("bank-a", "ledger"), 5432) == (wanted, wanted)
            assert allowed(objects, kind, trans, gateway_pod(EGRESS), 15443) == (wanted, wanted)


def test_a_caller_that_may_call_from_another_region_only_is_not_admitted_from_its_own():
    data = changed("dev")
    data["access"]["calls"]["bank-a-api-to-bank-b-trans"]["conditions"]["source_regions"] = ["eu-central-1"]
    graph = graph_of(data)
    caller, callee = pod(graph.workloads["bank-a/api-ms"]), pod(graph.workloads["bank-b/trans-ms"])
    for kind in KINDS:
        objects = of_tenants(graph, "eu-west-1")
        assert allowed(objects, kind, caller, callee, 8080) == (False, False)
        assert allowed(objects, kind, gateway_pod(EASTWEST), callee, 8080) == (True, True)


def test_a_callee_that_runs_elsewhere_only_is_reached_by_its_regions_addresses_and_by_no_pod():
    data = changed("dev")
    data["tenants"]["bank-b"]["services"]["trans-ms"]["regions"] = ["eu-central-1"]
    graph = graph_of(data)
    caller, callee = pod(graph.workloads["bank-a/api-ms"]), pod(graph.workloads["bank-b/trans-ms"])
    objects = of_tenants(graph, "eu-west-1")
    for kind in KINDS:
        assert allowed(objects, kind, caller, callee, 8080) == (False, False)
    assert "toCIDR" in str(objects["ciliumnetworkpolicy-bank-a-call-bank-a-api-to-bank-b-trans"])


@pytest.mark.parametrize("stack", STACKS)
def test_a_label_without_its_service_account_is_admitted_by_no_cilium_policy_at_either_end(stack):
    graph = shipped(stack)
    objects = everything(graph, "eu-west-1")
    for call in graph.calls:
        caller, callee = pod(call.caller), pod(call.callee)
        worn = [(caller._replace(account="default"), callee), (caller, callee._replace(account="default"))]
        assert [allowed(objects, KINDS[0], *pair, call.callee.port) for pair in worn] == [(False, False)] * 2


def test_a_name_for_every_region_is_answered_only_where_the_call_may_leave():
    data = copy.deepcopy(stack_settings("dev"))
    data["access"]["calls"]["bank-a-api-to-bank-b-trans"]["conditions"]["source_regions"] = ["eu-west-1"]
    data["tenants"]["bank-b"]["services"]["trans-ms"]["regions"] = ["eu-west-1"]
    spelt = {region: str(of_tenants(graph_of(data), region)) for region in data["regions"]}
    assert not [region for region, text in spelt.items() if "trans-ms.bank-b.mesh.internal" in text]
    del data["tenants"]["bank-b"]["services"]["trans-ms"]["regions"]
    spelt = {region: str(of_tenants(graph_of(data), region)) for region in data["regions"]}
    assert [region for region, text in spelt.items() if "trans-ms.bank-b.mesh.internal" in text] == ["eu-west-1"]
