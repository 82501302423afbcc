"""When the pod's OPA is asked: Istio's own builder makes the listeners of the shipped stack, the real Envoy answers for them.

The authorizer is one that never answers, so that whatever comes to it says so. What OPA decides is not proven here.
"""

from collections.abc import Iterator

import pytest
import yaml

from components.decision.objects import authorizer_filter, region_objects
from components.mesh.mesh_config import authorizer_provider, mesh_config
from sandbox.istio_pki import Pki
from sandbox.istio_verdicts import IstioVerdicts, Request
from tests.manifests.test_mesh_verdicts import REGION, jwks_url, objects, proxies, shipped

BROKEN = (("Authorization", "Bearer e30.e30.e30"),)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IstioVerdicts, dict]]:
    graph, pki = shipped("prod"), Pki(tmp_path_factory.mktemp("pki"))
    domain = graph.trust_domain(REGION)
    pki.authorities(*(graph.trust_domain(code) for code in graph.regions))
    names = {workload.ref: f"spiffe://{graph.principal(workload, REGION)}" for workload in graph.workloads.values()}
    running = IstioVerdicts(
        [*objects(graph, REGION), *region_objects(graph, REGION)],
        yaml.safe_dump(mesh_config(graph, REGION)),
        [one for one in proxies(graph, REGION) if one.kind == "sidecar"],
        tmp_path_factory.mktemp("mesh"),
        pki,
        bundles=[graph.trust_domain(code) for code in graph.regions],
        jwks={jwks_url(graph): pki.key_set("issuer")},
        custom="127.0.0.1:1",
    )
    with running:
        yield running, pki.leaves(names, signed_by=domain)


@pytest.mark.parametrize(
    ("caller", "path", "headers", "refused"),
    [
        ("bank-a/api-ms", "/transfer", (), ("403", "ext_authz_error")),
        ("bank-a/api-ms", "/transfer", BROKEN, ("401", "jwt_authn_access_denied")),
        ("bank-a/api-ms", "/undeclared", (), ("403", "rbac_access_denied")),
        ("bank-a/frontend", "/transfer", (), ("403", "rbac_access_denied")),
    ],
)
def test_opa_is_asked_about_what_tokens_and_rules_let_through(mesh, caller, path, headers, refused):
    running, leaves = mesh
    asked = Request(proxy="bank-b/trans-ms", caller=leaves[caller], method="POST", path=path, host="x", headers=headers)
    (answer,) = running.ask([asked])
    verdict, reason = refused
    assert answer.verdict == verdict
    assert answer.reason.startswith(reason)


def test_the_authorizer_is_asked_as_the_mesh_s_provider_says():
    wanted, made = authorizer_provider()["envoyExtAuthzGrpc"], authorizer_filter()["typed_config"]
    envoy, body = made["grpc_service"]["envoy_grpc"], wanted["includeRequestBodyInCheck"]
    assert envoy["cluster_name"] == f"outbound|{wanted['port']}||{wanted['service']}"
    assert envoy["authority"] == wanted["service"]
    assert made["grpc_service"]["timeout"] == wanted["timeout"]
    assert made["with_request_body"] == {
        "max_request_bytes": body["maxRequestBytes"],
        "allow_partial_message": body["allowPartialMessage"],
    }
    assert made["status_on_error"] == {"code": "Forbidden"}
    assert wanted["statusOnError"] == "403"
    assert "failure_mode_allow" not in made
    assert wanted["failOpen"] is False
