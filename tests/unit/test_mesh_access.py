"""Who is let in, read from the finished policies: what an edge declares and nothing else, and none of Istio's traps.

`admits` reads policies as Istio documents them and knows nothing of how they were made. It does not prove what Envoy decides:
the engine's own verdicts do that.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings

from components.graph.model import Graph, Workload
from components.graph.names import EGRESS, INGRESS, SERVICE_LABEL
from components.manifests import Manifest, object_key
from components.mesh.objects import region_objects, tenant_objects
from components.settings import load
from tests.support import oracle
from tests.support.graphs import loaded, trees
from tests.support.program import changed

slow = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


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


def _path(spelled: str, path: str) -> bool:
    if "{" in spelled:
        return re.fullmatch(re.escape(spelled).replace(r"\{\*\*\}", ".*").replace(r"\{\*\}", "[^/]+"), path) is not None
    return path.startswith(spelled[:-1]) if spelled.endswith("*") else path == spelled


def _claims(conditions: list[dict[str, Any]], token: dict[str, Any] | None, sni: str) -> bool:
    for condition in conditions:
        if condition["key"] == "connection.sni":
            given_values = [sni]
        else:
            claim = re.fullmatch(r"request\.auth\.claims\[(\w+)\]", condition["key"])
            assert claim
            given_values = str((token or {}).get(claim[1], "")).split()
        if "values" in condition and not set(condition["values"]) & set(given_values):
            return False
        if "notValues" in condition and set(condition["notValues"]) & set(given_values):
            return False
    return True


def admits(
    objects: Iterable[Manifest],
    namespace: str,
    labels: dict[str, str],
    *,
    principal: str = "",
    method: str = "",
    path: str = "",
    token: dict[str, Any] | None = None,
    sni: str = "",
) -> bool:
    """Whether the ALLOW policies of a pod admit a request; a namespace without any policy is an error, not a yes."""
    mine = [
        policy["spec"]
        for policy in of_kind(objects, "AuthorizationPolicy", namespace)
        if policy["spec"].get("selector", {}).get("matchLabels", {}).items() <= labels.items()
    ]
    assert {} in mine, f"{namespace} has no default deny"
    for rule in (rule for spec in mine if spec.get("action") == "ALLOW" for rule in spec["rules"]):
        sources = [one["source"] for one in rule.get("from", [])]
        operations = [one["operation"] for one in rule.get("to", [])]
        asks_token = [f"{token['iss']}/{token['sub']}"] if token else []
        if sources and not any(
            ("principals" not in one or principal in one["principals"])
            and (
                "requestPrincipals" not in one
                or any(_path(want, have) for want in one["requestPrincipals"] for have in asks_token)
            )
            for one in sources
        ):
            continue
        if operations and not any(method in one["methods"] and any(_path(p, path) for p in one["paths"]) for one in operations):
            continue
        if _claims(rule.get("when", []), token, sni):
            return True
    return False


def token_of(graph: Graph, client: str, *scopes: str, **others: str) -> dict[str, Any]:
    return {"iss": graph.settings.identity.issuer, "sub": "someone", "azp": client, "scope": " ".join(scopes), **others}


@slow
@given(trees(tenants=3, services=6))
def test_a_callee_admits_what_an_edge_declares_and_nothing_else(tree: dict[str, Any]) -> None:
    graph = Graph.of(loaded(tree))
    for region in graph.regions:
        objects = everything(graph, region).values()
        here = [workload for workload in graph.workloads.values() if region in workload.regions]
        for callee in here:
            for caller in graph.workloads.values():
                for origin in graph.regions:
                    declared = oracle.declared(tree, caller.ref, origin, callee.ref, region)
                    for method, path in oracle.requests(declared):
                        wanted = any(operation.covers(method, path) for operation in declared)
                        principal = graph.principal(caller, origin)
                        labels = {SERVICE_LABEL: callee.name}
                        assert admits(objects, callee.tenant, labels, principal=principal, method=method, path=path) == wanted, (
                            f"{principal} {method} {path} at {callee.ref} of {region}"
                        )


@slow
@given(trees(tenants=3, services=6))
def test_a_route_asks_for_its_client_and_every_scope_at_the_gateway_and_again_at_the_service(tree: dict[str, Any]) -> None:
    graph = Graph.of(loaded(tree))
    for region in graph.regions:
        objects = everything(graph, region).values()
        gateway = graph.gateway_principal(INGRESS, region)
        for route in graph.routes:
            service = route.service
            good = token_of(graph, route.clients[0].client_id, *route.settings.scopes, typ="Bearer")
            bad: list[dict[str, Any] | None] = [
                None,
                {**good, "azp": "nobody.web"},
                {**good, "iss": "https://elsewhere.example"},
                {**good, "typ": "ID"},
                *({**good, "scope": good["scope"].replace(scope, "other")} for scope in route.settings.scopes),
            ]
            labels = {SERVICE_LABEL: service.name}
            for operation in oracle.routed(tree, service.ref):
                inside = {"method": operation.method, "path": operation.sample}
                outside = {"method": operation.method, "path": f"/{service.tenant}{operation.sample}"}
                runs = region in service.regions
                assert admits(objects, INGRESS.namespace, INGRESS.selector, token=good, **outside) == runs
                assert admits(objects, service.tenant, labels, principal=gateway, token=good, **inside) == runs
                own = graph.principal(service, region)
                assert not admits(objects, service.tenant, labels, principal=own, token=good, **inside)
                for token in bad:
                    assert not admits(objects, INGRESS.namespace, INGRESS.selector, token=token, **outside)
                    assert not admits(objects, service.tenant, labels, principal=gateway, token=token, **inside)
            outside = {"method": "GET", "path": f"/{service.tenant}/admin"}
            assert not admits(objects, INGRESS.namespace, INGRESS.selector, token=good, **outside)


@slow
@given(trees(tenants=3, services=6))
def test_the_egress_gateway_admits_a_caller_to_its_own_hosts_only(tree: dict[str, Any]) -> None:
    graph = Graph.of(loaded(tree))
    hosts = {edge.host for edge in graph.egress} | {"elsewhere.example"}
    for region in graph.regions:
        objects = everything(graph, region).values()
        for workload in graph.workloads.values():
            for host in hosts:
                wanted = region in workload.regions and oracle.reaches(tree, workload.ref, host, 443)
                principal = graph.principal(workload, region)
                assert admits(objects, EGRESS.namespace, EGRESS.selector, principal=principal, sni=host) == wanted


EVERYBODYS = {
    f"{name.partition('.')[2]}/{name}.svc.cluster.local" for name in ("istiod.istio-system", "telemetry-gateway.observability")
}
"""Whom every sidecar reaches without an edge: who configures it and who takes its spans."""


def asks_vault(tree: dict[str, Any], workload: Workload) -> bool:
    """Random graphs ask for no secrets: what uses a database has its credential from there."""
    databases = [name for name, made in tree["tenants"].items() for name in (f"{name}/{store}" for store in made["databases"])]
    return any(oracle.uses(tree, workload.ref, store) for store in databases)


def _source_labels(spec: dict[str, Any]) -> list[dict[str, str]]:
    return [match["sourceLabels"] for kind in ("http", "tls") for route in spec.get(kind, []) for match in route["match"]]


@slow
@given(trees(tenants=3, services=6))
def test_a_sidecar_names_its_edges_and_nothing_else(tree: dict[str, Any]) -> None:
    graph = Graph.of(loaded(tree))
    for region in graph.regions:
        objects = everything(graph, region).values()
        for workload in graph.workloads.values():
            found = [
                one["spec"]
                for one in of_kind(objects, "Sidecar", workload.tenant)
                if one["spec"].get("workloadSelector", {}).get("labels") == {SERVICE_LABEL: workload.name}
            ]
            assert len(found) == (region in workload.regions)
            for spec in found:
                assert spec["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
                hosts = set(spec["egress"][0]["hosts"])
                services = {host for host in hosts if re.search(r"^[^.].*/[^/]*\.svc\.cluster\.local$", host)}
                wanted = {
                    f"{other.tenant}/{other.name}.{other.tenant}.svc.cluster.local"
                    for other in graph.workloads.values()
                    if any(oracle.declared(tree, workload.ref, region, other.ref, code) for code in graph.regions)
                }
                for store in graph.stores.values():
                    names = (f"{store.name}-{role}" for role in ("r", "ro", "rw")) if store.kind == "database" else (store.name,)
                    if oracle.uses(tree, workload.ref, store.ref):
                        wanted |= {f"{store.tenant}/{name}.{store.tenant}.svc.cluster.local" for name in names}
                external = {edge.host for edge in graph.egress if edge.service == workload}
                wanted |= {"vault/vault.vault.svc.cluster.local"} if asks_vault(tree, workload) else set()
                wanted |= {f"istio-egress/{EGRESS.name}.istio-egress.svc.cluster.local"} if external else set()
                # A neighbour's route beyond the region lies where only its own caller names it.
                wanted |= {
                    f"istio-eastwest/{other.name}.{other.tenant}.svc.cluster.local"
                    for other in graph.workloads.values()
                    if other.tenant == workload.tenant
                    and set(oracle.destinations(tree, workload.ref, region, other.ref)) - {region}
                }
                assert services - EVERYBODYS == wanted
                own = {host[2:] for host in hosts if host.startswith("./")}
                assert {host for host in own if not host.endswith(".svc.cluster.local")} == external
                own |= {host.partition("/")[2] for host in hosts if host.startswith("istio-eastwest/")}
                routes = [
                    one["spec"] for one in (*of_kind(objects, "VirtualService", workload.tenant), *_led_beyond(objects, workload))
                ]
                mine = [one for one in routes if {SERVICE_LABEL: workload.name} in _source_labels(one)]
                # A Sidecar leaves out VirtualServices of a namespace that it does not name together with their host; its own
                # namespace's name and the dot are one to it, and a host twice is a fault.
                routed = {host for one in mine for host in one["hosts"]}
                assert own <= routed <= own | {host.partition("/")[2] for host in hosts if host.startswith(f"{workload.tenant}/")}
                spelt = [re.sub(r"^\./", f"{workload.tenant}/", host) for host in hosts]
                assert len(spelt) == len(set(spelt))


def _led_beyond(objects: Iterable[Manifest], workload: Workload) -> list[Manifest]:
    routes = of_kind(objects, "VirtualService", "istio-eastwest")
    return [one for one in routes if one["spec"]["exportTo"] == [workload.tenant]]


def _rules(objects: Iterable[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for policy in of_kind(objects, "AuthorizationPolicy"):
        if policy["spec"].get("action") == "ALLOW":
            assert policy["spec"]["rules"], "an ALLOW policy without rules"
            for rule in policy["spec"]["rules"]:
                yield f"{policy['metadata']['namespace']}/{policy['metadata']['name']}", rule


@slow
@given(trees(tenants=4, services=10))
def test_no_rule_uses_a_shorthand_or_leaves_out_who_how_or_what(tree: dict[str, Any]) -> None:
    graph = Graph.of(loaded(tree))
    full = re.compile(r"(eu|us|ap)-[a-z]+-\d\.[a-z0-9.-]+/ns/[a-z0-9-]+/sa/[a-z0-9-]+")
    for region in graph.regions:
        objects = everything(graph, region).values()
        for where, rule in _rules(objects):
            sources = [one["source"] for one in rule.get("from", [])]
            for source in sources:
                assert set(source) <= {"principals", "requestPrincipals"}, where
                assert all(full.fullmatch(principal) for principal in source.get("principals", [])), where
                assert source.get("principals") or source.get("requestPrincipals"), where
            if where != f"{INGRESS.namespace}/health":
                assert sources, where
            if where.startswith(f"{EGRESS.namespace}/"):
                assert [condition["key"] for condition in rule["when"]] == ["connection.sni"], where
                continue
            assert rule["to"], where
            for operation in (one["operation"] for one in rule["to"]):
                assert operation["methods"], where
                assert operation["paths"], where
                assert all(
                    path.count("*") == 0 or re.fullmatch(r"[^*]*/\*|[^*]*(/\{\*\}[^*]*)+(/\{\*\*\})?", path)
                    for path in operation["paths"]
                )
                assert "*" not in operation["methods"]
                assert all(f"{host}:*" in operation["hosts"] for host in operation.get("hosts", []) if ":" not in host), where
        specs = [policy["spec"] for policy in of_kind(objects, "AuthorizationPolicy")]
        assert {spec.get("action", "none") for spec in specs} == {"ALLOW", "CUSTOM", "DENY", "none"}
        assert all(spec["rules"] == [{}] for spec in specs if spec.get("action") == "DENY"), "a path is allowed, never denied"


def test_the_health_path_alone_needs_no_token() -> None:
    objects = everything(Graph.of(load(changed("prod"))), "eu-west-1").values()
    assert admits(objects, INGRESS.namespace, INGRESS.selector, method="GET", path="/healthz/mesh")
    assert not admits(objects, INGRESS.namespace, INGRESS.selector, method="POST", path="/healthz/mesh")
    assert not admits(objects, INGRESS.namespace, INGRESS.selector, method="GET", path="/healthz/mesh/x")
