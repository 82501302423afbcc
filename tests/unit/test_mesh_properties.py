"""What moves when the settings move: order moves nothing, a tenant only adds, an edge takes its own objects with it."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.graph.model import Graph
from components.manifests import Manifest, object_key
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects, tenant_objects
from components.settings import load
from tests.support.graphs import loaded, trees
from tests.support.program import changed

slow = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
GRAPHS = trees(tenants=4, services=10)
EDGES = ("calls", "data", "egress", "routes")


def compiled(tree: dict[str, Any]) -> dict[str, dict[str, Manifest]]:
    """By region and key, every object; an object compiled for two tenants fails."""
    graph = Graph.of(loaded(tree))
    made: dict[str, dict[str, Manifest]] = {}
    for region in graph.regions:
        found = [
            *region_objects(graph, region),
            *(one for tenant in graph.tenants for one in tenant_objects(graph, region, tenant)),
        ]
        made[region] = {object_key(one): one for one in found}
        assert len(made[region]) == len(found)
    return made


def turned(value: Any) -> Any:
    """The same settings with every mapping and list the other way round."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(one) for one in reversed(value)] if isinstance(value, list) else value


def without_tenant(tree: dict[str, Any], tenant: str) -> dict[str, Any]:
    """The settings without a tenant and without the edges that name it."""
    less = copy.deepcopy(tree)
    del less["tenants"][tenant]
    for kind in EDGES:
        for key, edge in tree["access"][kind].items():
            refs = [edge.get(end, "") for end in ("caller", "callee", "service", "store")] + edge.get("clients", [])
            if any(ref.startswith(f"{tenant}/") for ref in refs):
                del less["access"][kind][key]
    return less


def without_export(one: Manifest) -> Manifest:
    """An every-region ServiceEntry without the list of its callers' namespaces."""
    if one["kind"] == "ServiceEntry" and one["metadata"]["name"].startswith("every-region-"):
        return {**one, "spec": {**one["spec"], "exportTo": []}}
    return one


@slow
@given(GRAPHS)
def test_the_order_of_the_settings_changes_nothing(tree: dict[str, Any]) -> None:
    assert compiled(turned(tree)) == compiled(tree)


def _sums_up(one: Manifest) -> bool:
    return one["kind"] == "Sidecar"


@slow
@given(GRAPHS, st.data())
def test_a_new_tenant_adds_its_own_objects_and_changes_no_other(tree: dict[str, Any], data: st.DataObject) -> None:
    tenant = data.draw(st.sampled_from(sorted(tree["tenants"])))
    before, after = compiled(without_tenant(tree, tenant)), compiled(tree)
    called = {edge["caller"] for edge in tree["access"]["calls"].values() if edge["callee"].startswith(f"{tenant}/")}
    for region, objects in before.items():
        for key, one in objects.items():
            now = after[region].get(key)
            # A workload that calls the new tenant names it in its Sidecar: that is the caller's own new edge.
            if _sums_up(one) and f"{one['metadata']['namespace']}/{one['metadata']['name'].removeprefix('service-')}" in called:
                continue
            assert now is not None, key
            assert without_export(now) == without_export(one), key


@slow
@given(GRAPHS, st.data())
def test_deleting_an_edge_removes_its_own_objects_and_no_other(tree: dict[str, Any], data: st.DataObject) -> None:
    edges = [(kind, key) for kind in EDGES for key in sorted(tree["access"][kind])]
    if not edges:
        return
    kind, key = data.draw(st.sampled_from(edges))
    less = copy.deepcopy(tree)
    edge = less["access"][kind].pop(key)
    before, after = compiled(tree), compiled(less)
    caller = edge.get("caller") or edge["service"]
    for region, objects in before.items():
        left = after[region]
        assert not set(left) - set(objects), "deleting adds nothing"
        for name, one in objects.items():
            meta = one["metadata"]
            if name not in left:
                assert meta["name"].endswith(f"-{key}") or _last_of_its_kind(one, edge), name
            elif not (_sums_up(one) and f"{meta['namespace']}/{meta['name'].removeprefix('service-')}" == caller):
                assert without_export(left[name]) == without_export(one), name
        assert not [name for name in left if name.endswith(f"-{key}")]


def _last_of_its_kind(one: Manifest, edge: dict[str, Any]) -> bool:
    """Objects of an external host, and of a callee's reach, stand until their last edge goes."""
    callee = edge.get("callee", "/").split("/")
    if one["kind"] == "Gateway" and one["metadata"]["namespace"] == "istio-eastwest":
        return one["spec"]["servers"][0]["hosts"] == [f"{callee[0]}/{callee[1]}.{callee[0]}.svc.cluster.local"]
    if one["kind"] in {"ServiceEntry", "WorkloadEntry"} and one["metadata"]["namespace"] == callee[0]:
        return one["metadata"]["name"].startswith((f"every-region-{callee[1]}", f"{callee[1]}."))
    return one["metadata"]["name"].startswith("external-") and _host(one) == edge.get("host")


def _host(one: Manifest) -> str:
    hosts: list[str] = one["spec"]["servers"][0]["hosts"] if one["kind"] == "Gateway" else one["spec"]["hosts"]
    return hosts[0].removeprefix("./")


@slow
@given(GRAPHS)
def test_everything_of_a_tenant_lies_in_its_namespace_or_at_a_gateway(tree: dict[str, Any]) -> None:
    graph = Graph.of(loaded(tree))
    for tenant in graph.tenants:
        for one in tenant_objects(graph, graph.regions[0], tenant):
            assert one["metadata"]["namespace"] in {tenant, "istio-ingress", "istio-egress", "istio-eastwest"}
            assert one["metadata"]["labels"]["zerotrust.dev/tenant"] == tenant


@slow
@given(GRAPHS)
def test_a_region_admits_the_trust_domains_of_its_edges_and_merges_none(tree: dict[str, Any]) -> None:
    graph = Graph.of(loaded(tree))
    for region in graph.regions:
        config = mesh_config(graph, region)
        needed = {
            graph.trust_domain(code)
            for call in graph.calls
            for code in graph.regions
            if code != region and (code in call.origins(region) or code in call.destinations(region))
        }
        admitted = [name for one in config.get("caCertificates", []) for name in one["trustDomains"]]
        assert admitted == sorted(needed)
        assert ("caCertificates" in config) == bool(admitted)
        assert "trustDomainAliases" not in config
        assert config["trustDomain"] == graph.trust_domain(region)


@pytest.mark.parametrize("region", ["eu-west-1", "eu-central-1"])
def test_the_mesh_fails_closed(region: str) -> None:
    config = mesh_config(Graph.of(load(changed("prod"))), region)
    assert config["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
    assert config["pathNormalization"] == {"normalization": "DECODE_AND_MERGE_SLASHES"}
    assert config["meshMTLS"] == {"minProtocolVersion": "TLSV1_3"}
    (authorizer,) = (one["envoyExtAuthzGrpc"] for one in config["extensionProviders"] if one["name"] == "opa")
    assert authorizer["failOpen"] is False
    assert authorizer["statusOnError"] == "403"
    assert config["defaultConfig"]["proxyMetadata"]["WORKLOAD_IDENTITY_SOCKET_FILE"] not in {"", "socket"}
    # A request may have been carried out before any of these failed.
    assert not {"5xx", "reset", "gateway-error"} & set(config["defaultHttpRetryPolicy"]["retryOn"].split(","))


def test_no_line_of_the_access_log_holds_a_token_or_a_query() -> None:
    config = mesh_config(Graph.of(load(changed("prod"))), "eu-west-1")
    (log,) = (one["envoyFileAccessLog"] for one in config["extensionProviders"] if one["name"] == "spiffe-json")
    fields = log["logFormat"]["labels"]
    assert fields["source"] == "%DOWNSTREAM_PEER_URI_SAN%"
    assert fields["path"] == "%REQ_WITHOUT_QUERY(:PATH)%"
    assert not [value for value in fields.values() if "PATH" in value and "WITHOUT_QUERY" not in value]
    assert not [
        value
        for value in fields.values()
        if any(word in value.upper() for word in ("AUTHORIZATION", "COOKIE", "DYNAMIC_METADATA"))
    ]
