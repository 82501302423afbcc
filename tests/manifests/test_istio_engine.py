"""Istio's own builder and the real Envoy, on policies written by hand: what each spelling of a rule really admits.

Says nothing about HTTP/2, waypoints or what a service makes of the path it is given.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sandbox.istio_pki import Leaf, Pki, RefusedError
from sandbox.istio_verdicts import Answer, IstioVerdicts, Proxy, Request, built
from tests.support import istio_cases as bank
from tests.support.istio_cases import EU, US

Callers = dict[str, Leaf]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.authorities(EU, US)
    return made


@pytest.fixture(scope="module")
def callers(pki: Pki) -> Callers:
    """By name: workloads of each region, and certificates that should be worth nothing."""
    eu = {f"eu {name}": bank.spiffe_id(EU, name) for name in bank.CALLERS}
    eu |= {"suffix": bank.spiffe_id(f"{EU}.evil.example", "api-ms"), "third region": bank.spiffe_id("ap.bank.internal", "api-ms")}
    us = {f"us {name}": bank.spiffe_id(US, name) for name in bank.CALLERS} | {"impostor": bank.spiffe_id(EU, "api-ms")}
    unknown = pki.leaves({"unknown authority": bank.spiffe_id(EU, "api-ms")}, signed_by="unknown.example")
    return pki.leaves(eu, signed_by=EU) | pki.leaves(us, signed_by=US) | unknown


Open = Callable[..., AbstractContextManager[IstioVerdicts]]


@pytest.fixture(scope="module")
def open_mesh(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Open:
    def opened(mesh: str, objects: Any = None, proxies: Any = bank.PROXIES, **more: Any) -> IstioVerdicts:
        jwks = {bank.KEYS_URI: pki.key_set("issuer")}
        folder: Path = tmp_path_factory.mktemp("mesh")
        objects = bank.policies() if objects is None else objects
        return IstioVerdicts(objects, mesh, proxies, folder, pki, **({"bundles": (US,), "jwks": jwks} | more))

    return opened


@pytest.fixture(scope="module")
def eu(open_mesh: Open) -> Iterator[IstioVerdicts]:
    with open_mesh(bank.mesh()) as running:
        yield running


def one(mesh: IstioVerdicts, caller: Leaf | None, method: str, path: str, proxy: str = "payments", **more: Any) -> Answer:
    return mesh.ask([Request(proxy=proxy, caller=caller, method=method, path=path, host=more.pop("host", proxy), **more)])[0]


def test_only_telemetry_is_missing_from_what_istio_built(eu: IstioVerdicts):
    assert {name for names in eu.built.dropped.values() for name in names} == {"istio.metadata_exchange"}


@pytest.mark.parametrize(
    ("caller", "call", "verdict"),
    [
        ("eu api-ms", "POST /transfer", "200"),
        ("eu api-ms", "GET /transfer", "403"),
        ("eu api-ms", "PUT /transfer", "403"),
        ("eu api-ms", "POST /accounts/7", "403"),
        ("eu api-ms", "GET /fx", "403"),
        ("eu web", "POST /transfer", "403"),
        ("suffix", "POST /transfer", "tls"),
        ("third region", "POST /transfer", "tls"),
        ("unknown authority", "POST /transfer", "tls"),
        (None, "POST /transfer", "tls"),
    ],
)
def test_identity_and_operation_decide_together(eu: IstioVerdicts, callers: Callers, caller: str | None, call: str, verdict):
    method, path = call.split()
    answer = one(eu, callers[caller] if caller else None, method, path)
    assert answer.verdict == verdict
    assert answer.principal == (bank.spiffe_id(EU, "api-ms") if verdict == "200" else "")


def test_tls_1_2_gives_the_same_refusals(eu: IstioVerdicts, callers: Callers):
    assert one(eu, callers["eu api-ms"], "POST", "/transfer", tls_max="1.2").verdict == "200"
    assert one(eu, callers["impostor"], "POST", "/transfer", tls_max="1.2").verdict == "tls"


def test_a_host_matches_in_any_case_and_with_the_ports_that_are_listed_and_no_other_host_does(
    eu: IstioVerdicts, callers: Callers
):
    hosts = {"payments": "200", "PAYMENTS": "200", "payments:8080": "200", "payments.evil.example": "403", "10.0.0.1": "403"}
    seen = {host: one(eu, callers["eu api-ms"], "POST", "/transfer", host=host).verdict for host in hosts}
    assert seen == hosts


@pytest.mark.parametrize(
    ("method", "table"), [("POST", bank.TRANSFER), ("GET", bank.BELOW)], ids=["exact", "prefix and template"]
)
def test_every_spelling_of_a_path_is_refused_or_forwarded_as_what_was_allowed(eu: IstioVerdicts, callers: Callers, method, table):
    requests = [
        Request(proxy="payments", caller=callers["eu api-ms"], method=method, path=path, host="payments") for path in table
    ]
    seen = {request.path: (answer.verdict, answer.path) for request, answer in zip(requests, eu.ask(requests), strict=True)}
    assert seen == bank.expected(table)


def test_without_decoding_a_prefix_is_left_by_encoded_slashes(open_mesh: Open, callers: Callers):
    with open_mesh(bank.mesh(pathNormalization={"normalization": "MERGE_SLASHES"})) as merging:
        answer = one(merging, callers["eu api-ms"], "GET", "/files/..%2fadmin")
    assert (answer.verdict, answer.path) == ("200", "/files/..%2fadmin")


def test_a_path_that_deny_misses_by_a_spelling_is_admitted(eu: IstioVerdicts, callers: Callers):
    seen = {
        path: one(eu, callers["eu api-ms"], "POST", path, "denied").verdict for path in ("/transfer", "/transfer/", "/TRANSFER")
    }
    assert seen == {"/transfer": "403", "/transfer/": "200", "/TRANSFER": "200"}


def test_a_star_inside_a_path_is_a_literal_star(eu: IstioVerdicts, callers: Callers):
    assert one(eu, callers["eu api-ms"], "GET", "/a*b", "literal").verdict == "200"
    assert one(eu, callers["eu api-ms"], "GET", "/axb", "literal").verdict == "403"


def test_a_port_in_a_rule_is_the_port_that_was_called(eu: IstioVerdicts, callers: Callers):
    assert one(eu, callers["eu api-ms"], "GET", "/x", "ported").verdict == "200"
    assert one(eu, callers["eu api-ms"], "GET", "/x", "ported", port=9090).verdict == "403"


def test_a_tcp_service_is_reached_by_its_caller_only(eu: IstioVerdicts, callers: Callers):
    assert one(eu, callers["eu api-ms"], "ECHO", "", "ledger").verdict == "200"
    assert one(eu, callers["eu web"], "ECHO", "", "ledger").verdict == "reset"


def test_plain_text_is_cut_off_under_strict_and_only_under_strict(eu: IstioVerdicts, open_mesh: Open):
    assert one(eu, None, "POST", "/transfer", plaintext=True).verdict == "reset"
    with open_mesh(bank.mesh(), [found for found in bank.policies() if found["kind"] != "PeerAuthentication"]) as permissive:
        assert one(permissive, None, "POST", "/transfer", plaintext=True).verdict == "403"


def test_a_federated_caller_gets_its_own_grants_and_not_its_namesakes(eu: IstioVerdicts, callers: Callers):
    assert one(eu, callers["us api-ms"], "GET", "/fx").principal == bank.spiffe_id(US, "api-ms")
    assert one(eu, callers["us api-ms"], "POST", "/transfer").verdict == "403"
    assert one(eu, callers["us web"], "GET", "/fx").verdict == "403"
    assert one(eu, callers["impostor"], "POST", "/transfer").verdict == "tls"


def test_a_federated_caller_needs_the_admitted_domain_and_the_bundle(open_mesh: Open, callers: Callers):
    with open_mesh(bank.mesh(caCertificates=None)) as not_admitted, open_mesh(bank.mesh(), bundles=()) as no_bundle:
        assert one(not_admitted, callers["us api-ms"], "GET", "/fx").verdict == "tls"
        assert one(no_bundle, callers["us api-ms"], "GET", "/fx").verdict == "tls"
        assert one(not_admitted, callers["eu api-ms"], "POST", "/transfer").verdict == "200"
        assert one(no_bundle, callers["eu api-ms"], "POST", "/transfer").verdict == "200"


def test_an_alias_makes_one_identity_of_two_regions(open_mesh: Open, callers: Callers):
    with open_mesh(bank.mesh(caCertificates=None, trustDomainAliases=[US])) as merged:
        assert one(merged, callers["us api-ms"], "POST", "/transfer").verdict == "200"


def test_one_trusted_set_for_all_domains_lets_a_region_mint_anothers_identities(open_mesh: Open, callers: Callers):
    with open_mesh(bank.mesh(), spiffe_validator=False) as concatenated:
        assert one(concatenated, callers["impostor"], "POST", "/transfer").verdict == "200"


@pytest.mark.parametrize("source", bank.SOURCES)
def test_only_a_source_with_a_trust_domain_keeps_the_federated_namesake_out(eu: IstioVerdicts, callers: Callers, source: str):
    _, admits = bank.SOURCES[source]
    assert one(eu, callers["eu api-ms"], "GET", "/x", source).verdict == "200"
    assert one(eu, callers["us api-ms"], "GET", "/x", source).verdict == ("200" if admits else "403")


@pytest.fixture(scope="module")
def signed(pki: Pki) -> dict[str, str]:
    return pki.tokens(bank.tokens())


@pytest.mark.parametrize("token", bank.VERDICT_ON_TOKENS)
def test_a_token_counts_when_everything_in_it_is_right(eu: IstioVerdicts, callers: Callers, signed: dict[str, str], token: str):
    bearer = (("Authorization", f"Bearer {signed[token]}"),)
    assert one(eu, callers["eu gateway"], "GET", "/balance", "balances", headers=bearer).verdict == bank.VERDICT_ON_TOKENS[token]


def test_a_good_token_is_not_enough_without_its_caller_its_header_or_at_all(
    eu: IstioVerdicts, callers: Callers, signed: dict[str, str]
):
    bearer = (("Authorization", f"Bearer {signed['good']}"),)
    assert one(eu, callers["eu web"], "GET", "/balance", "balances", headers=bearer).verdict == "403"
    assert one(eu, callers["eu gateway"], "GET", f"/balance?access_token={signed['good']}", "balances").verdict == "403"
    assert one(eu, callers["eu gateway"], "GET", "/balance", "balances").verdict == "403"


def test_a_valid_token_of_the_issuer_is_asked_for_by_the_policy_and_not_by_the_authentication(
    eu: IstioVerdicts, callers: Callers, signed: dict[str, str]
):
    bearer = (("Authorization", f"Bearer {signed['no scope']}"),)
    assert one(eu, callers["eu gateway"], "GET", "/balance", "anyone", headers=bearer).verdict == "200"
    assert one(eu, callers["eu gateway"], "GET", "/balance", "anyone").verdict == "403"


def test_values_of_one_condition_are_alternatives(eu: IstioVerdicts, callers: Callers, signed: dict[str, str]):
    bearer = (("Authorization", f"Bearer {signed['one scope of two']}"),)
    assert one(eu, callers["eu gateway"], "GET", "/balance", "either", headers=bearer).verdict == "200"


@pytest.mark.parametrize("mistake", bank.mistakes())
def test_what_istio_would_drop_in_silence_is_refused_by_name(tmp_path: Path, mistake: str):
    wrong, mesh, message = bank.mistakes()[mistake]
    with pytest.raises(RefusedError) as refused:
        built([wrong], mesh, bank.PROXIES[:1], tmp_path)
    assert len(refused.value.faults) == 1
    assert message in refused.value.faults[0]


def test_a_custom_policy_refuses_while_its_authorizer_does_not_answer(open_mesh: Open, callers: Callers):
    provider = {"service": "opa.opa.svc.cluster.local", "port": 9191, "failOpen": False, "statusOnError": "403"}
    mesh = bank.mesh(extensionProviders=[{"name": "opa", "envoyExtAuthzGrpc": provider}])
    custom = bank.security("AuthorizationPolicy", "opa", {"action": "CUSTOM", "provider": {"name": "opa"}, "rules": [{}]})
    objects = [*bank.policies(), bank.service("opa", "opa", 9191, "grpc"), custom]
    with open_mesh(mesh, objects, custom="127.0.0.1:1") as asking, open_mesh(mesh, objects, custom="drop") as alone:
        refused = one(asking, callers["eu api-ms"], "POST", "/transfer")
        assert (refused.verdict, refused.reason) == ("403", "ext_authz_error")
        assert one(alone, callers["eu api-ms"], "POST", "/transfer").verdict == "200"
        assert "envoy.filters.http.ext_authz" in alone.built.dropped["payments"]


def test_a_gateway_leads_each_host_to_its_service_and_no_other(open_mesh: Open, pki: Pki):
    tls = {"mode": "SIMPLE", "credentialName": "api-tls"}
    server = {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["api.bank.example"], "tls": tls}
    ways = [
        {"match": [{"uri": {"prefix": f"/{name}/"}}], "route": [{"destination": {"host": f"{name}.bank-a.svc.cluster.local"}}]}
        for name in ("payments", "balances")
    ]
    routes = {"hosts": ["api.bank.example"], "gateways": ["ingress/api"], "http": ways}
    objects = [
        bank.networking("Gateway", "api", "ingress", {"selector": {"istio": "ingress"}, "servers": [server]}),
        bank.networking("VirtualService", "api", "bank-a", routes),
        bank.service("payments", "bank-a", 8080),
        bank.service("balances", "bank-a", 8080),
        bank.service("ingress", "ingress", 8443, "https", istio="ingress"),
    ]
    labels = {"istio": "ingress"}
    gateway = Proxy(name="ingress", namespace="ingress", service_account="ingress", labels=labels, port=8443, kind="gateway")
    leaf = pki.leaves({"api": "spiffe://edge/api"}, signed_by=EU)["api"]
    with open_mesh(bank.mesh(), objects, [gateway], credentials={"api-tls": leaf}) as edge:

        def seen(host: str, path: str, sni: str = "api.bank.example") -> tuple[str, str]:
            answer = one(edge, None, "GET", path, "ingress", host=host, sni=sni)
            return answer.verdict, answer.cluster

        assert seen("api.bank.example", "/payments/x") == ("200", "outbound|8080||payments.bank-a.svc.cluster.local")
        assert seen("api.bank.example", "/balances/x") == ("200", "outbound|8080||balances.bank-a.svc.cluster.local")
        assert seen("api.bank.example", "/ledger/x") == ("404", "")
        assert seen("other.bank.example", "/payments/x") == ("404", "")
        assert seen("api.bank.example", "/payments/x", sni="other.bank.example")[0] in {"tls", "reset"}


def test_a_sidecar_reaches_what_its_scope_names_and_unknown_hosts_only_where_any_is_allowed(tmp_path: Path):
    external = {
        "hosts": ["api.partner.example"],
        "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        "resolution": "DNS",
    }
    narrow = {"workloadSelector": {"labels": {"app": "payments"}}, "egress": [{"hosts": ["bank-a/api.partner.example"]}]}
    objects = [
        bank.service("balances", "bank-a", 8080),
        bank.service("fx", "bank-b", 8080),
        bank.networking("ServiceEntry", "partner", "bank-a", external),
        bank.networking("Sidecar", "payments", "bank-a", narrow),
    ]
    proxies = [bank.proxy("payments"), bank.proxy("literal")]
    whole = ["api.partner.example:443", "balances.bank-a.svc.cluster.local:8080", "fx.bank-b.svc.cluster.local:8080"]
    only = built(objects, bank.mesh(), proxies, tmp_path / "registry").outbound
    assert only == {"payments": ["api.partner.example:443"], "literal": whole}
    anything = built(objects, bank.mesh(outboundTrafficPolicy={"mode": "ALLOW_ANY"}), proxies, tmp_path / "any").outbound
    assert anything["literal"] == ["*", *whole]
