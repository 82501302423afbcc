"""The shipped graph's objects under Istio's own builder, and what the real Envoy says at the gateways and to plain text.

The builder checks strictly: an unknown field of an object or of the mesh configuration is refused. OPA is left out, so what is
seen here is refused or admitted by Istio alone. Every pair of services is `test_equivalence`'s. Not proven: injection, SPIRE,
and a gateway's way on from its own listener.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import yaml

from components.graph.model import Graph
from components.graph.names import EASTWEST, EGRESS, GATEWAYS, INGRESS, REGION_REACH_LABEL, SERVICE_LABEL
from components.manifests import Manifest
from components.mesh.authentication import audience, jwks_url
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects, tenant_objects
from components.settings import load
from sandbox.istio_pki import Leaf, Pki, RefusedError, Token
from sandbox.istio_verdicts import Answer, Built, IstioVerdicts, Proxy, Request, built
from tests.support.program import STACKS, stack_settings

REGION = "eu-west-1"
PORTS = {INGRESS: 8443, EGRESS: 15443, EASTWEST: 15443}
pytestmark = pytest.mark.timeout(1800)  # the first case builds the tool where it is not in the cache


@cache
def shipped(stack: str) -> Graph:
    return Graph.of(load(stack_settings(stack)))


def service(place: int, name: str, namespace: str, port: int, labels: Mapping[str, str]) -> Manifest:
    ports = [{"name": "http" if port == 8080 else "tls", "port": port, "targetPort": port}]
    spec = {"clusterIP": f"10.96.0.{place}", "selector": dict(labels), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def objects(graph: Graph, region: str) -> list[Manifest]:
    found = [*region_objects(graph, region), *(one for tenant in graph.tenants for one in tenant_objects(graph, region, tenant))]
    serving = [one for one in graph.workloads.values() if one.serves and region in one.regions]
    found += [service(i + 1, one.name, one.tenant, one.port, {SERVICE_LABEL: one.name}) for i, one in enumerate(serving)]
    return found + [service(i + 200, one.name, one.namespace, PORTS[one], one.selector) for i, one in enumerate(GATEWAYS)]


def proxies(graph: Graph, region: str) -> list[Proxy]:
    found = [
        Proxy(
            name=one.ref,
            namespace=one.tenant,
            service_account=one.name,
            labels={SERVICE_LABEL: one.name} | ({REGION_REACH_LABEL: one.name} if graph.spans_regions(one) else {}),
            port=one.port,
        )
        for one in graph.workloads.values()
        if region in one.regions
    ]
    return found + [
        Proxy(
            name=one.name, namespace=one.namespace, service_account=one.name, labels=one.selector, port=PORTS[one], kind="gateway"
        )
        for one in GATEWAYS
    ]


@dataclass
class Mesh:
    """One region's proxies in Envoy, and everybody who may knock."""

    graph: Graph
    running: IstioVerdicts
    callers: dict[str, Leaf]
    """By principal."""
    pki: Pki

    def ask(self, *requests: Request) -> list[Answer]:
        return self.running.ask(requests)

    def bearer(self, **claims: str) -> tuple[tuple[str, str], ...]:
        now = int(time.time())
        usual = {
            "iss": self.graph.settings.identity.issuer,
            "aud": audience(self.graph),
            "sub": "someone",
            "iat": now,
            "exp": now + 300,
        }
        token = self.pki.tokens({"token": Token(key="issuer", claims=usual | claims)})["token"]
        return (("Authorization", f"Bearer {token}"),)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    graph, pki = shipped("prod"), Pki(tmp_path_factory.mktemp("pki"))
    domains = [graph.trust_domain(code) for code in graph.regions]
    pki.authorities(*domains)
    callers: dict[str, Leaf] = {}
    for code in graph.regions:
        own = [graph.principal(one, code) for one in graph.workloads.values()]
        own += [graph.gateway_principal(one, code) for one in GATEWAYS]
        callers |= pki.leaves({principal: f"spiffe://{principal}" for principal in own}, signed_by=graph.trust_domain(code))
    certificate = pki.leaves({"ingress": f"spiffe://{domains[0]}/ns/istio-ingress/sa/tls"}, signed_by=domains[0])["ingress"]
    running = IstioVerdicts(
        objects(graph, REGION),
        yaml.safe_dump(mesh_config(graph, REGION)),
        proxies(graph, REGION),
        tmp_path_factory.mktemp("mesh"),
        pki,
        bundles=domains,
        credentials={"ingress-tls": certificate},
        jwks={jwks_url(graph): pki.key_set("issuer")},
    )
    with running:
        yield Mesh(graph, running, callers, pki)


@pytest.mark.parametrize("stack", STACKS)
def test_istio_takes_every_object_and_every_key_of_the_mesh_configuration(stack: str, tmp_path: Any) -> None:
    graph = shipped(stack)
    for region in graph.regions:
        jwks = {jwks_url(graph): Pki(tmp_path / "pki").key_set("issuer")}
        made = built(
            objects(graph, region), yaml.safe_dump(mesh_config(graph, region)), proxies(graph, region), tmp_path, jwks=jwks
        )
        known = {"istio.metadata_exchange", "istio.alpn", "envoy.filters.http.ext_authz"}
        assert {name for names in made.dropped.values() for name in names} <= known


def test_a_misspelt_key_of_the_mesh_configuration_is_seen(tmp_path: Any) -> None:
    graph = shipped("prod")
    config = mesh_config(graph, REGION) | {"outboundTrafficPolcy": {"mode": "REGISTRY_ONLY"}}
    with pytest.raises(RefusedError, match="outboundTrafficPolcy"):
        built(objects(graph, REGION), yaml.safe_dump(config), proxies(graph, REGION), tmp_path)


def test_no_service_takes_plain_text(mesh: Mesh) -> None:
    requests = [
        Request(proxy=call.callee.ref, plaintext=True, method=op.methods[0], path="/introspect", host="x")
        for call in mesh.graph.calls
        for op in call.operations
    ]
    assert {answer.verdict for answer in mesh.ask(*requests)} == {"reset"}


GOOD = {"azp": "bank-a.web", "scope": "openid accounts.read"}


@pytest.mark.parametrize(
    ("path", "claims", "verdict"),
    [
        ("/bank-a/accounts", GOOD, "200"),
        ("/bank-a/accounts/7?x=1", GOOD, "200"),
        ("/bank-a", GOOD, "200"),
        ("//bank-a/x/../accounts", GOOD, "200"),
        ("/bank-a/accounts", None, "403"),
        ("/bank-a/accounts", GOOD | {"scope": "openid"}, "403"),
        ("/bank-a/accounts", GOOD | {"azp": "bank-b.partner"}, "403"),
        ("/bank-a/accounts", GOOD | {"typ": "ID"}, "403"),
        ("/bank-a/accounts", GOOD | {"aud": "https://elsewhere.example"}, "403"),
        ("/bank-a/accounts", GOOD | {"iss": "https://elsewhere.example"}, "401"),
        ("/bank-a/accounts/7/8", GOOD, "403"),
        ("/bank-a/admin", GOOD, "403"),
        ("/bank-b/transfer", GOOD, "403"),
        ("/accounts", GOOD, "403"),
        ("/healthz/mesh", None, "200"),
    ],
)
def test_the_gateway_and_the_service_ask_for_the_same_token(
    mesh: Mesh, path: str, claims: dict[str, str] | None, verdict: str
) -> None:
    headers = mesh.bearer(**claims) if claims else ()
    domain = mesh.graph.settings.edge.domain
    asked = [Request(proxy=INGRESS.name, path=path, host=domain, headers=headers, sni=sni) for sni in ("", domain)]
    assert [answer.verdict for answer in mesh.ask(*asked)] == [verdict, verdict]
    if path == "/bank-a/accounts":
        gateway = mesh.callers[mesh.graph.gateway_principal(INGRESS, REGION)]
        inside = Request(proxy="bank-a/frontend", caller=gateway, path="/accounts", host="frontend", headers=headers)
        assert mesh.ask(inside)[0].verdict == verdict


def test_the_gateway_serves_one_host_and_tls_1_3(mesh: Mesh) -> None:
    headers, domain = mesh.bearer(**GOOD), mesh.graph.settings.edge.domain
    other, old = mesh.ask(
        Request(proxy=INGRESS.name, path="/bank-a/accounts", host="elsewhere.example", headers=headers),
        Request(proxy=INGRESS.name, path="/healthz/mesh", host=domain, tls_max="1.2"),
    )
    assert other.verdict == "404"
    assert old.verdict == "tls"


def chains(made: Built, gateway: str) -> dict[str, list[Mapping[str, Any]]]:
    """The filters of a gateway's filter chains, by server name."""
    return {
        ",".join(chain["filterChainMatch"]["serverNames"]): chain["filters"]
        for listener in made.listeners[gateway]
        for chain in listener["config"]["filterChains"]
    }


def test_the_egress_gateway_knows_a_host_by_its_caller_and_name(mesh: Mesh) -> None:
    (edge,) = mesh.graph.egress
    found = chains(mesh.running.built, EGRESS.name)
    assert set(found) == {edge.host}
    rbac, proxy = found[edge.host]
    text = json.dumps(rbac)
    assert f"spiffe://{mesh.graph.principal(edge.service, REGION)}" in text
    assert text.count("spiffe://") == 1
    assert proxy["typedConfig"]["cluster"] == f"outbound|{edge.port}||{edge.host}"


def test_the_east_west_gateway_passes_on_to_callees_of_other_regions_and_no_one_else(mesh: Mesh) -> None:
    reached = {call.callee for call in mesh.graph.calls if set(call.origins(REGION)) - {REGION}}
    names = {f"outbound_.{one.port}_._.{one.name}.{one.tenant}.svc.cluster.local" for one in reached}
    assert set(chains(mesh.running.built, EASTWEST.name)) == names
