"""An attacker at the gateways of the shipped graph: spoofed headers, spellings of the issuer's paths, names that lead inside.

Istio's own builder, the real Envoy and Cilium's own engine answer. Not proven: what Keycloak makes of a path, and the balancer
before the gateway.
"""

import time
from typing import Any

import pytest

from components.graph.model import Graph
from components.graph.names import EGRESS, INGRESS, ISSUER_NAMESPACE, ISSUER_PORT, ISSUER_SERVICE, ISSUER_SERVICE_PORT
from components.identity.issuer import POD_LABELS
from components.manifests import manifest
from components.mesh.issuer import issuer_objects
from components.operators.cert_manager import OFF, chart_values
from components.settings import load
from sandbox.charts import chart_dirs, render
from sandbox.cilium_verdicts import CILIUM_POLICIES, NETWORK_POLICY, Flow, Lookup, judge, of_kind
from sandbox.istio_pki import Token
from sandbox.istio_verdicts import Answer, Built, Request
from tests.support.equivalence_engines import Engines
from tests.support.equivalence_world import worlds
from tests.support.program import stack_settings

REGION = "eu-west-1"
TREE = stack_settings("dev")
DOMAIN = TREE["edge"]["domain"]
ISSUER = f"id.{DOMAIN}"
ISSUED = f"outbound|{ISSUER_SERVICE_PORT}||{ISSUER_SERVICE}.{ISSUER_NAMESPACE}.svc.cluster.local"
PUBLIC = {
    "token": "/realms/clearing/protocol/openid-connect/token",
    "keys": "/realms/clearing/protocol/openid-connect/certs",
    "discovery": "/realms/clearing/.well-known/openid-configuration",
    "log-in": "/realms/clearing/login-actions/authenticate?session_code=a%3Bb;c&tab_id=x",
    "style": "/resources/7kx2a/login/keycloak.v2/css/styles.css",
}
HIDDEN = {
    "administration": "/admin/master/console/",
    "another realm": "/realms/master/protocol/openid-connect/token",
    "a longer name": "/realms/clearing-admin/protocol/openid-connect/token",
    "dots": "/realms/clearing/../master/protocol/openid-connect/token",
    "encoded dots": "/realms/clearing/%2e%2e/master/protocol/openid-connect/token",
    "encoded slash": "/realms/clearing/..%2fmaster/protocol/openid-connect/token",
    "encoded twice": "/realms/clearing/%252e%252e/master/protocol/openid-connect/token",
    "parameters": "/realms/clearing/..;/master/protocol/openid-connect/token",
    "parameters with a value": "/realms/clearing/..;a=b/..;/admin/",
    "encoded parameters": "/realms/clearing/..%3b/master/",
    "backslash": "/realms/clearing/..%5c..%5cadmin/",
    "parameters below the files": "/resources/..;/admin/",
    "metrics": "/metrics",
    "a tenant": "/bank-a/accounts",
}
Asked = tuple[Built, dict[str, Answer]]


def requests(bearer: tuple[tuple[str, str], ...], token: str) -> dict[str, Request]:
    def at(host: str, path: str, *headers: tuple[str, str], method: str = "GET") -> Request:
        return Request(proxy=INGRESS.name, host=host, path=path, headers=headers, method=method)

    accounts = "/bank-a/accounts"
    return {
        **{f"public {name}": at(ISSUER, path) for name, path in PUBLIC.items()},
        **{f"hidden {name}": at(ISSUER, path) for name, path in HIDDEN.items()},
        "a tenant's path with a token at the issuer's host": at(ISSUER, accounts, *bearer),
        "the issuer's path at the API's host": at(DOMAIN, PUBLIC["token"]),
        "another host": at("elsewhere.example", accounts, *bearer),
        "the host by header": at("elsewhere.example", accounts, *bearer, ("X-Forwarded-Host", DOMAIN)),
        "no token": at(DOMAIN, accounts),
        "token in the query": at(DOMAIN, f"{accounts}?access_token={token}"),
        "token in a cookie": at(DOMAIN, accounts, ("Cookie", f"access_token={token}")),
        "the gateway's certificate by header": at(DOMAIN, accounts, ("X-Forwarded-Client-Cert", "URI=spiffe://anybody")),
        "from the health path": at(DOMAIN, "/healthz/mesh/../../bank-a/accounts"),
        "the health path by header": at(DOMAIN, accounts, ("X-Envoy-Original-Path", "/healthz/mesh")),
        "a method by header": at(DOMAIN, "/bank-a/accounts", *bearer, ("X-HTTP-Method-Override", "GET"), method="DELETE"),
        "everything right": at(DOMAIN, accounts, *bearer),
    }


@pytest.fixture(scope="module")
def asked() -> Asked:
    world, engines = worlds(TREE)[REGION].copied(), Engines()
    port = {"name": "http", "port": ISSUER_SERVICE_PORT, "targetPort": ISSUER_PORT}
    spec = {"selector": dict(POD_LABELS), "ports": [port]}
    more = [
        *issuer_objects(Graph.of(load(TREE)), REGION),
        manifest("v1", "Service", ISSUER_SERVICE, namespace=ISSUER_NAMESPACE, spec=spec),
    ]
    world.objects.update({f"issuer {number}": each for number, each in enumerate(more)})
    now = int(time.time())
    claims: dict[str, Any] = {"iss": TREE["identity"]["issuer"], "aud": world.audience, "sub": "someone", "iat": now}
    claims |= {"exp": now + 3600, "azp": "bank-a.web", "scope": "accounts.read"}
    engines.pki.authorities(world.domain)
    token = engines.pki.tokens({"good": Token(key="issuer", claims=claims)})["good"]
    wanted = requests((("Authorization", f"Bearer {token}"),), token)
    built, said = engines.envoy(world, list(wanted.values()))
    return built, dict(zip(wanted, said, strict=True))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_issuers_public_paths_reach_it_without_a_token(asked: Asked, name: str):
    answer = asked[1][f"public {name}"]
    assert (answer.verdict, answer.cluster) == ("200", ISSUED)


@pytest.mark.parametrize("name", HIDDEN)
def test_nothing_else_reaches_the_issuer_in_whatever_spelling(asked: Asked, name: str):
    assert asked[1][f"hidden {name}"].verdict in {"400", "403", "404"}


def test_a_token_in_its_place_at_the_apis_host_is_the_only_way_to_a_tenant(asked: Asked):
    answers = {name: answer for name, answer in asked[1].items() if not name.startswith(("public", "hidden"))}
    assert {name for name, answer in answers.items() if answer.verdict == "200"} == {"everything right"}
    assert {answer.verdict for answer in answers.values()} == {"200", "403", "404"}


def test_no_proxy_hands_on_what_a_caller_wrote_about_certificates(asked: Asked):
    def details(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value.get("forwardClientCertDetails", "SANITIZE")] if "httpFilters" in value and "statPrefix" in value else []
            return own + [found for each in value.values() for found in details(each)]
        return [found for each in value for found in details(each)] if isinstance(value, list) else []

    by_proxy = {name: set(details([each["config"] for each in listeners])) for name, listeners in asked[0].listeners.items()}
    seen = {name: found for name, found in by_proxy.items() if found}
    assert {"bank-b/trans-ms", INGRESS.name} <= set(seen)
    assert {each for found in seen.values() for each in found} <= {"SANITIZE", "SANITIZE_SET"}


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("93.184.216.34", True),
        ("10.0.224.7", False),  # the API server's and AWS's interfaces stand in the intra subnets
        ("10.1.224.7", False),
        ("172.20.0.1", False),
        ("100.64.0.9", False),
        ("169.254.170.23", False),
        ("169.254.169.254", False),
    ],
)
def test_a_name_of_the_internet_that_leads_inside_is_not_followed(address: str, reached: bool):  # noqa: FBT001
    world = worlds(TREE)[REGION]
    host = TREE["access"]["egress"]["bank-a-rates"]["host"]
    said = judge(
        of_kind(world.objects.values(), (*CILIUM_POLICIES, *NETWORK_POLICY)),
        world.namespaces(),
        world.pods.values(),
        [Flow(id="configuration", source=EGRESS.name, target="istiod", port=15012)],
        [Lookup(id="host", source=EGRESS.name, dns_server="dns", name=host)],
        cluster_name=REGION,
        names={host: address},
    )
    assert said.flows["configuration"].allowed
    assert said.lookups["host"].resolve == "allow"
    assert said.lookups["host"].usable is reached


def test_no_annotation_of_an_ingress_makes_a_certificate():
    """The names of controllers are held to the operator's own list: it does not start with one it does not know."""
    folder = chart_dirs()["cert-manager"]
    objects = render(folder, "cert-manager", "cert-manager", chart_values(["product-shop"]))
    (controller,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == ("Deployment", "cert-manager")]
    arguments = controller["spec"]["template"]["spec"]["containers"][0]["args"]
    (chosen,) = [each.removeprefix("--controllers=") for each in arguments if each.startswith("--controllers=")]
    assert {"*", "-ingress-shim", "-gateway-shim"} <= set(chosen.split(","))
    source = "".join(
        each.read_text(encoding="utf-8") for each in (folder.parents[2] / "pkg" / "controller").rglob("controller.go")
    )
    assert {name for name in OFF if f'ControllerName = "{name}"' in source} == set(OFF)
