"""The objects of the shipped graphs, kind by kind: what guards every namespace, and what an edge needs on its way.

Who is admitted in the end is asked in `test_mesh_access.py`.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

from components.graph.model import Graph
from components.graph.names import EASTWEST, EGRESS, GATEWAYS, INGRESS, REGION_REACH_LABEL, SERVICE_LABEL
from components.manifests import Manifest, object_key
from components.mesh.objects import region_objects, tenant_objects
from components.network.addresses import eastwest_address
from components.settings import load
from tests.support.program import STACKS, changed, stack_settings

REGION = "eu-west-1"


@cache
def shipped(stack: str) -> Graph:
    return Graph.of(load(stack_settings(stack)))


def everything(graph: Graph, region: str) -> dict[str, Manifest]:
    found = [
        *region_objects(graph, region),
        *(made for tenant in graph.tenants for made in tenant_objects(graph, region, tenant)),
    ]
    by_key = {object_key(made): made for made in found}
    assert len(by_key) == len(found), "two objects with one name"
    return by_key


def of_kind(objects: Iterable[Manifest], kind: str, namespace: str | None = None) -> list[Manifest]:
    return [one for one in objects if one["kind"] == kind and namespace in (None, one["metadata"]["namespace"])]


@pytest.mark.parametrize("stack", STACKS)
def test_every_meshed_namespace_denies_by_default_and_takes_mutual_tls_only(stack: str) -> None:
    graph = shipped(stack)
    for region in graph.regions:
        objects = everything(graph, region).values()
        for namespace in (*graph.tenants, *(gateway.namespace for gateway in GATEWAYS), "rate-limit"):
            assert {} in [one["spec"] for one in of_kind(objects, "AuthorizationPolicy", namespace)], namespace
            assert of_kind(objects, "PeerAuthentication", namespace), namespace
        assert of_kind(objects, "PeerAuthentication", "istio-system")
        for one in of_kind(objects, "PeerAuthentication"):
            assert one["spec"] == {"mtls": {"mode": "STRICT"}}


@pytest.mark.parametrize("stack", STACKS)
def test_every_tenant_asks_its_own_authorizer_about_every_request(stack: str) -> None:
    graph = shipped(stack)
    for tenant in graph.tenants:
        custom = [one["spec"] for one in tenant_objects(graph, graph.regions[0], tenant) if one["spec"].get("action") == "CUSTOM"]
        assert custom == [{"action": "CUSTOM", "provider": {"name": "opa"}, "rules": [{}]}]


@pytest.mark.parametrize("stack", STACKS)
def test_a_token_counts_in_the_authorization_header_only_and_for_one_issuer_and_audience(stack: str) -> None:
    graph = shipped(stack)
    for region in graph.regions:
        found = of_kind(everything(graph, region).values(), "RequestAuthentication")
        assert {one["metadata"]["namespace"] for one in found} == {*graph.tenants, INGRESS.namespace}
        for one in found:
            (rule,) = one["spec"]["jwtRules"]
            assert rule["fromHeaders"] == [{"name": "Authorization", "prefix": "Bearer "}]
            assert rule["audiences"] == [f"https://{graph.settings.edge.domain}"]
            assert rule["issuer"] == graph.settings.identity.issuer
            assert rule["jwksUri"].startswith("https://")
            assert rule["forwardOriginalToken"] is True
            assert "fromParams" not in rule


def test_an_external_issuer_brings_its_own_keys() -> None:
    tree = changed("prod")
    tree["identity"] |= {"issuer_kind": "external", "issuer": "https://x.example/", "jwks_url": "https://x.example/keys"}
    (found,) = of_kind(tenant_objects(Graph.of(load(tree)), REGION, "shared"), "RequestAuthentication")
    assert found["spec"]["jwtRules"][0]["jwksUri"] == "https://x.example/keys"


def test_a_call_to_every_region_stays_apart_from_calls_inside_the_region() -> None:
    graph = shipped("prod")
    objects = everything(graph, REGION)
    entry = objects["serviceentry-bank-b-every-region-trans-ms"]["spec"]
    assert entry["hosts"] == ["trans-ms.bank-b.mesh.internal"]
    assert entry["exportTo"] == ["bank-a"]
    assert entry["workloadSelector"]["labels"] == {REGION_REACH_LABEL: "trans-ms"}
    other = graph.settings.regions["eu-central-1"]
    outside = of_kind(objects.values(), "WorkloadEntry", "bank-b")
    assert {(one["spec"]["address"], one["spec"]["locality"]) for one in outside} == {
        (eastwest_address(other.vpc_cidr, zone), f"eu-central-1/eu-central-1{zone}") for zone in other.zones
    }
    for one in outside:
        # The ordinary Service selects workload entries by this label, too.
        assert SERVICE_LABEL not in {**one["metadata"]["labels"], **one["spec"]["labels"]}
        assert one["spec"]["ports"] == {"http": 15443}
    route, rule = (
        objects[f"{kind}-bank-a-call-bank-a-api-to-bank-b-trans"]["spec"] for kind in ("virtualservice", "destinationrule")
    )
    assert route["hosts"] == ["trans-ms.bank-b.svc.cluster.local"]
    assert route["exportTo"] == rule["exportTo"] == ["."]
    assert [match["sourceLabels"] for http in route["http"] for match in http["match"]] == [{SERVICE_LABEL: "api-ms"}]
    assert rule["workloadSelector"] == {"matchLabels": {SERVICE_LABEL: "api-ms"}}
    tls = rule["trafficPolicy"]["tls"]
    assert tls["sni"] == "outbound_.8080_._.trans-ms.bank-b.svc.cluster.local"
    assert tls["subjectAltNames"] == [f"spiffe://{graph.trust_domain(code)}/ns/bank-b/sa/trans-ms" for code in graph.regions]
    assert rule["trafficPolicy"]["loadBalancer"]["localityLbSetting"]["failover"] == [{"from": REGION, "to": "eu-central-1"}]
    gateways = of_kind(objects.values(), "Gateway", EASTWEST.namespace)
    assert [server["hosts"] for one in gateways for server in one["spec"]["servers"]] == [
        ["bank-b/trans-ms.bank-b.svc.cluster.local"]
    ]


def _only_one_region(tree: dict[str, Any]) -> None:
    tree["tenants"]["bank-b"]["services"]["trans-ms"]["regions"] = ["eu-central-1"]


def _same_region(tree: dict[str, Any]) -> None:
    tree["access"]["calls"]["bank-a-api-to-bank-b-trans"]["reach"] = "same_region"


@pytest.mark.parametrize(("edit", "hosts"), [(_only_one_region, 2), (_same_region, 0)])
def test_a_callee_elsewhere_keeps_its_ordinary_name_and_a_call_at_home_needs_no_other(
    edit: Callable[..., None], hosts: int
) -> None:
    tree = changed("prod")
    edit(tree)
    graph = Graph.of(load(tree))
    objects = everything(graph, REGION).values()
    assert sum(len(one["spec"]["hosts"]) for one in of_kind(objects, "ServiceEntry", "bank-b")) == hosts
    assert not of_kind(objects, "Gateway", EASTWEST.namespace)


def test_an_external_host_is_known_to_its_tenant_and_the_gateway_only() -> None:
    graph = shipped("prod")
    objects = everything(graph, REGION)
    entries = [one for one in of_kind(objects.values(), "ServiceEntry") if one["spec"]["hosts"] == ["rates.ecb.europa.eu"]]
    assert {one["metadata"]["namespace"] for one in entries} == {"bank-a", EGRESS.namespace}
    assert all(one["spec"]["exportTo"] == ["."] for one in entries)
    (server,) = (one["spec"]["servers"][0] for one in of_kind(objects.values(), "Gateway", EGRESS.namespace))
    assert server["tls"] == {"mode": "ISTIO_MUTUAL", "minProtocolVersion": "TLSV1_3"}
    rule = objects["destinationrule-bank-a-egress-bank-a-rates"]["spec"]
    (subset,) = rule["subsets"]
    assert subset["trafficPolicy"]["tls"] == {
        "mode": "ISTIO_MUTUAL",
        "sni": "rates.ecb.europa.eu",
        "subjectAltNames": [f"spiffe://{graph.trust_domain(REGION)}/ns/istio-egress/sa/egress-gateway"],
    }


def test_hosts_that_differ_by_a_dot_have_objects_of_their_own() -> None:
    tree, hosts = changed("prod"), ("a-b.example.org", "a.b.example.org")
    for place, host in enumerate(hosts):
        tree["network"]["dns_firewall"]["allowed_domains"].append(host)
        tree["access"]["egress"][f"host-{place}"] = {"service": "bank-a/trans-ms", "host": host}
    entries = of_kind(everything(Graph.of(load(tree)), REGION).values(), "ServiceEntry", "bank-a")
    assert {host for one in entries for host in one["spec"]["hosts"]} == {*hosts, "rates.ecb.europa.eu"}


def test_the_ingress_gateway_takes_tls_1_3_only_and_answers_for_its_own_health() -> None:
    objects = everything(shipped("prod"), REGION)
    (server,) = objects["gateway-istio-ingress-ingress-gateway"]["spec"]["servers"]
    assert server["tls"] == {"mode": "SIMPLE", "credentialName": "ingress-tls", "minProtocolVersion": "TLSV1_3"}
    # A host here would be an SNI condition, and the load balancer sends no SNI.
    assert server["hosts"] == ["./*"]
    (health,) = objects["virtualservice-istio-ingress-health"]["spec"]["http"]
    assert health["directResponse"] == {"status": 200}
    assert "route" not in health


def test_a_public_path_reaches_the_service_as_its_own() -> None:
    (service,) = (
        one
        for one in tenant_objects(shipped("prod"), REGION, "bank-a")
        if object_key(one) == "virtualservice-istio-ingress-route-bank-a-web"
    )
    for http in service["spec"]["http"]:
        rewrite = http["rewrite"]["uriRegexRewrite"]
        for public, own in (("/bank-a", "/"), ("/bank-a/", "/"), ("/bank-a/accounts/7", "/accounts/7")):
            assert re.sub(rewrite["match"], rewrite["rewrite"], public) == own
    methods = {match["method"]["regex"] for http in service["spec"]["http"] for match in http["match"]}
    assert methods == {"GET", "POST"}


@pytest.mark.parametrize("stack", STACKS)
def test_a_pod_of_no_known_service_reaches_nobody(stack: str) -> None:
    graph = shipped(stack)
    for region in graph.regions:
        objects = everything(graph, region).values()
        for namespace in (*graph.tenants, "rate-limit"):
            (found,) = (one["spec"] for one in of_kind(objects, "Sidecar", namespace) if "workloadSelector" not in one["spec"])
            own = {"./*"} if namespace == "rate-limit" else {"istio-system/opa-ext-authz.internal"}
            own |= {"observability/telemetry-gateway.observability.svc.cluster.local"}
            assert set(found["egress"][0]["hosts"]) == own | {"istio-system/istiod.istio-system.svc.cluster.local"}
            assert found["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}


def test_a_neighbours_way_to_another_region_is_not_in_the_scope_of_a_local_caller() -> None:
    tree = changed("dev")
    tree["access"]["calls"]["bank-a-frontend-to-api"]["reach"] = "every_region"
    tree["access"]["calls"]["bank-a-auth-to-api"] = {
        "caller": "bank-a/auth-ms",
        "callee": "bank-a/api-ms",
        "operations": [{"methods": ["GET"], "paths": ["/accounts"]}],
    }
    objects = everything(Graph.of(load(tree)), REGION)
    route = objects["virtualservice-istio-eastwest-call-bank-a-frontend-to-api"]["spec"]
    assert route["exportTo"] == ["bank-a"]
    ordinary, beyond = "api-ms.bank-a.svc.cluster.local", "bank-a/api-ms.bank-a.mesh.internal"
    scopes = {name: objects[f"sidecar-bank-a-service-{name}"]["spec"]["egress"][0]["hosts"] for name in ("frontend", "auth-ms")}
    led = {f"istio-eastwest/{ordinary}", beyond}
    assert led <= set(scopes["frontend"])
    assert f"bank-a/{ordinary}" in scopes["auth-ms"]
    assert not led & set(scopes["auth-ms"])
