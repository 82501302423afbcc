"""Whose words say that a request was refused, and which line of a log is about it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from components.mesh.telemetry import access_log_provider
from sandbox.proof.refusals import LAYERS, Trail, alert, by_words, judged, refusal, stopped_by
from sandbox.proof.world import Answer, Pod

FIELDS = tuple(access_log_provider()["envoyFileAccessLog"]["logFormat"]["labels"])
BEGAN = "2026-11-21T21:16:31.519890984Z"


def entry(**said: Any) -> dict[str, Any]:
    """A line with the fields that the program's format has, at the time of the request."""
    assert set(said) <= set(FIELDS)
    return {**dict.fromkeys(FIELDS), "time": "2026-11-21T21:16:31.560Z", "status": 403, "flags": "-", **said}


def answer(status: int = 403, error: str = "", local: str = "10.0.0.1:5000") -> Answer:
    return Answer(status=status, body="", error=error, at=BEGAN, seconds=0.05, local=local)


def pod(namespace: str = "bank-b", name: str = "trans-ms-1") -> Pod:
    return Pod(
        region="eu-west-1", namespace=namespace, name=name, node="", address="10.0.0.2", labels={}, processes={}, ready=True
    )


@pytest.mark.parametrize(
    ("said", "layer"),
    [
        ({"details": "rbac_access_denied_matched_policy[none]"}, "mesh-authorization"),
        ({"termination": "rbac_access_denied_matched_policy[none]", "status": 0}, "mesh-authorization"),
        ({"details": "ext_authz_denied", "flags": "UAEX"}, "opa"),
        ({"details": "ext_authz_error", "flags": "UAEX"}, "opa-failure"),
        ({"details": "rate_limiter_error", "status": 503}, "rate-limit-failure"),
        ({"details": "jwt_authn_access_denied{Jwt_is_expired}", "status": 401}, "request-authentication"),
        ({"details": "request_rate_limited", "status": 429, "flags": "RL"}, "rate-limit"),
        ({"details": "local_rate_limited", "status": 429, "flags": "RL"}, "rate-limit"),
        ({"upstream_cluster": "BlackHoleCluster", "flags": "UH", "status": 0}, "egress"),
        ({"details": "direct_response", "status": 502}, "egress"),
        ({"details": "filter_chain_not_found", "flags": "NR", "status": 0}, "mesh-mtls"),
        ({"details": "path_normalization_failed", "status": 400}, "proxy"),
        ({"details": "route_not_found", "status": 404}, "egress"),
        ({"details": "route_not_found", "status": 404, "self": "spiffe://d/ns/a/sa/b", "tls_version": "TLSv1.3"}, "proxy"),
        ({"details": "upstream_reset_before_response_started{remote_connection_failure|TLS_error:_CERT}"}, "mesh-mtls"),
    ],
)
def test_a_filters_words_name_the_layer_it_enforces(said: dict[str, Any], layer: str) -> None:
    assert refusal(entry(**said)) == layer
    assert layer in LAYERS


@pytest.mark.parametrize(
    "said",
    [
        {"details": "via_upstream", "status": 403},
        {"details": "via_upstream", "status": 502},
        {"details": "no_healthy_upstream", "flags": "UH", "status": 503},
        {"details": "upstream_response_timeout", "flags": "UT", "status": 504},
        {"details": "upstream_reset_before_response_started{connection_timeout}", "flags": "UF", "status": 503},
        {"details": "direct_response", "status": 200},
        {"details": "direct_response", "status": 502, "self": "spiffe://d/ns/a/sa/b", "tls_version": "TLSv1.3"},
    ],
)
def test_a_failure_or_a_services_own_refusal_is_no_layers(said: dict[str, Any]) -> None:
    assert refusal(entry(**said)) == ""


def test_what_a_gateway_has_no_way_for_the_gateway_refuses() -> None:
    assert refusal(entry(details="filter_chain_not_found", flags="NR"), gateway=True) == "gateway"
    assert refusal(entry(details="route_not_found", flags="NR"), gateway=True) == "gateway"


@pytest.mark.parametrize(
    ("words", "layer"),
    [
        ('admission webhook "validation.gatekeeper.sh" denied the request: [x] no', "gatekeeper"),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged', "pod-security"),
        ("ValidatingAdmissionPolicy 'floor' with binding 'floor' denied request: no", "admission-policy"),
        ('pods is forbidden: User "u" cannot list resource "pods" in API group ""', "kubernetes-rbac"),
        ('{"kind":"Status","reason":"Unauthorized","code":401}', "kubernetes-authentication"),
        ("Unauthorized", "kubernetes-authentication"),
        ("the user is Unauthorized to do this", ""),
        ('{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}', "vault"),
        ('{"errors":["error validating token: invalid subject (sub) claim"]}', "vault"),
        ('{"errors":["Vault is sealed"]}', ""),
        ('{"errors":["namespace not found"]}', ""),
        ('{"errors":["failed to fetch keys: connection refused"]}', ""),
        ("ERROR:  permission denied for table entries", "postgres"),
        ("FATAL:  connection requires a valid client certificate", "postgres"),
        ("connection to server at ::1, port 5432 failed: SSL error: tlsv1 alert unknown ca", "postgres"),
        ("FATAL:  the database system is starting up", ""),
        ('FATAL:  database "ledger" does not exist', ""),
        ('failed calling webhook "validation.gatekeeper.sh": context deadline exceeded', ""),
        ('FATAL:  password authentication failed for user "v-x"', "postgres"),
        ("rpc error: code = PermissionDenied desc = no identity issued", "spire"),
        ("connection refused", ""),
        ("503 Service Unavailable", ""),
    ],
)
def test_a_message_names_the_system_that_speaks(words: str, layer: str) -> None:
    assert by_words(words) == layer


def test_the_callees_alert_is_its_refusal_and_a_broken_connection_is_not() -> None:
    refused = answer(status=0, error='Get "https://10.0.0.2:8080/": remote error: tls: certificate required')
    assert judged(refused, [Trail(pod(), ())])[0] == "mesh-mtls"
    assert judged(refused, [Trail(pod("istio-ingress", "ingress-gateway-1"), ())])[0] == "gateway"
    assert alert(answer(status=0, error="read: connection reset by peer")) == ""
    assert judged(answer(status=0, error="EOF"), [Trail(pod(), ())])[0] == ""


def test_a_line_is_found_by_the_requests_id_and_no_others() -> None:
    lines = (entry(request_id="one", details="ext_authz_denied"), entry(request_id="two", details="via_upstream"))
    trail = Trail(pod(), lines)
    assert judged(answer(), [trail], request="one")[0] == "opa"
    assert judged(answer(), [trail], request="two")[0] == ""
    assert judged(answer(), [trail], request="three")[0] == ""


def test_a_line_is_found_by_the_callers_end_at_the_time_of_the_call() -> None:
    refused = {"source_address": "10.0.0.1:5000", "details": "filter_chain_not_found"}
    assert judged(answer(0, "reset"), [Trail(pod(), (entry(**refused),))])[0] == "mesh-mtls"
    earlier = entry(**refused, time="2026-11-21T21:10:00.000Z")
    assert judged(answer(0, "reset"), [Trail(pod(), (earlier,))])[0] == ""
    another = entry(**{**refused, "source_address": "10.0.0.1:5001"})
    assert judged(answer(0, "reset"), [Trail(pod(), (another,))])[0] == ""


def test_one_connections_lines_are_told_apart_by_the_request() -> None:
    mine, before = (
        entry(source_address="10.0.0.1:5000", request_id=name, details=said)
        for name, said in (("mine", "via_upstream"), ("before", "ext_authz_denied"))
    )
    assert judged(answer(), [Trail(pod(), (mine, before))], request="mine")[0] == ""
    assert judged(answer(), [Trail(pod(), (before,))], request="mine")[0] == ""


def test_by_name_alone_only_a_connection_that_carried_no_request_is_found() -> None:
    name = "outbound_.8080_._.trans-ms.bank-b.svc.cluster.local"
    broken = answer(0, "EOF", local="10.9.9.9:1")
    others = Trail(pod(), (entry(server_name=name, request_id="x", details="rbac_access_denied_matched_policy[none]"),))
    gateway = Trail(pod("istio-eastwest", "g"), (entry(server_name=name, details="filter_chain_not_found", status=0),))
    assert judged(broken, [others, gateway], request="mine", server_name=name)[0] == "gateway"
    assert judged(broken, [others], request="mine", server_name=name)[0] == ""


def test_by_path_alone_a_line_of_another_status_is_not_it() -> None:
    lines = (entry(path="/a", request_id="x", details="jwt_authn_access_denied{Jwt_is_expired}", status=401),)
    assert judged(answer(401, local=""), [Trail(pod(), lines)], path="/a")[0] == "request-authentication"
    assert judged(answer(403, local=""), [Trail(pod(), lines)], path="/a")[0] == ""


def test_the_callers_own_proxy_tells_the_id_by_which_the_callees_line_is_found() -> None:
    own = Trail(pod("bank-a"), (entry(source_address="10.0.0.1:5000", request_id="given", details="via_upstream"),))
    callee = Trail(pod(), (entry(source_address="10.0.0.9:1", request_id="given", details="ext_authz_denied"),))
    assert judged(answer(), [callee, own])[0] == "opa"
    assert judged(answer(), [callee])[0] == ""


def test_of_many_requests_on_one_connection_the_nearest_in_time_is_meant() -> None:
    times = {"before": "2026-11-21T21:00:00.100Z", "mine": "2026-11-21T21:00:00.501Z", "after": "2026-11-21T21:00:00.900Z"}
    own = Trail(pod("bank-a"), tuple(entry(source_address="10.0.0.1:5000", request_id=one, time=at) for one, at in times.items()))
    callee = Trail(
        pod(), tuple(entry(request_id=one, details=said) for one, said in zip(times, ("", "ext_authz_denied", ""), strict=True))
    )
    assert judged(replace(answer(), at="2026-11-21T21:00:00.500Z"), [callee, own])[0] == "opa"


def test_what_was_answered_nobody_refused() -> None:
    lines = (entry(request_id="one", details="ext_authz_denied"),)
    assert judged(answer(200), [Trail(pod(), lines)], request="one")[0] == ""


def test_lines_that_come_late_are_waited_for() -> None:
    class Late:
        asked = 0

        def logs(self, _pod: Pod, _container: str, _since: str) -> list[str]:
            self.asked += 1
            refused = json.dumps(entry(request_id="one", details="ext_authz_denied"))
            return ["not a line of it", '{"level":"info"}', *([refused] if self.asked > 1 else [])]

    late: Any = Late()
    layer, evidence = stopped_by(late, pod(), answer(), request="one", patience=5)
    assert (layer, late.asked) == ("opa", 2)
    assert "ext_authz_denied" in evidence.words
    assert "trans-ms-1" in evidence.source
    assert stopped_by(late, pod(), answer(), request="other", patience=0)[0] == ""
