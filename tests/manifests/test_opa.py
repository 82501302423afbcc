"""The pod's OPA, started with the container's own arguments on the compiled ConfigMaps, asked the way Envoy asks.

Proves the flags, the files, the wire format, reloading and what is logged. What Envoy puts into the question, and that it
refuses when there is no answer, is not proven here.
"""

import http.client
import json
import shutil
import socket
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.decision.container import opa_arguments
from components.decision.objects import DATA_FILE, tenant_objects
from components.graph.model import Graph
from components.graph.names import RISK_FILE
from components.settings import load
from sandbox import opa, opa_wire
from tests.support.program import changed

ISSUER = "https://id.api.dev.clearing.example/realms/clearing"
DOMAIN = "eu-west-1.dev.mycompany.internal"
API = f"spiffe://{DOMAIN}/ns/bank-a/sa/api-ms"
WORKER = f"spiffe://{DOMAIN}/ns/bank-b/sa/worker"
PATIENCE_SECONDS = 120
REFUSED = 7
SECRETS = ("s3cr3t-token", "s3cr3t-cookie", "s3cr3t-key", "s3cr3t-body", "s3cr3t-query", "s3cr3t-claim")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(met, what, process=None):
    """Waits for a state; the limit only ends a run that would hang."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not met():
        assert process is None or process.poll() is None, f"opa ended: {what}"
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def pod():
    tree = changed("dev")
    del tree["access"]["calls"]["bank-a-api-to-bank-b-trans"]["conditions"]["hours"]  # the process has the real clock
    made = {one["metadata"]["name"]: one["data"] for one in tenant_objects(Graph.of(load(tree)), "eu-west-1", "bank-b")}
    home = Path(tempfile.mkdtemp(prefix="opa"))  # a socket's path has 107 bytes
    opa_wire.project(home / "etc/policy", made["opa-policy"])
    opa_wire.project(home / "etc/workload", made["opa-data-trans-ms"])
    opa_wire.project(home / "etc/risk", made["workload-risk"])
    port, health, log = free_port(), free_port(), home / "log"
    here = {
        "/etc/opa": f"{home}/etc",
        "/run/opa": str(home),
        "127.0.0.1:9191": f"127.0.0.1:{port}",
        "0.0.0.0:8282": f"127.0.0.1:{health}",
    }
    arguments = opa_arguments("bank-b/trans-ms")
    for there, local in here.items():
        assert any(there in argument for argument in arguments), there
        arguments = [argument.replace(there, local) for argument in arguments]
    process = opa_wire.start(arguments, log)
    try:
        until(lambda: opa_wire.healthy(health), "healthy", process)
        yield SimpleNamespace(port=port, health=health, log=log, home=home)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home)


def transfer(text='{"amount_minor_units":5}', **changes):
    claims = {"iss": ISSUER, "azp": "bank-a.web", "scope": "transfers.write", "exp": 1_800_000_000}
    return opa.request(API, "POST", "/transfer", **{"claims": claims, "body": text, **changes})


def metadata(answer):
    """What the rules tell the proxy; the plugin adds the id under which the decision is logged."""
    assert answer["dynamicMetadata"].pop("decision_id")
    return answer["dynamicMetadata"]


def refused(pod, asked):
    return opa_wire.check(pod.port, asked).get("status", {}).get("code", 0) == REFUSED


def test_the_rules_are_strict_formatted_and_tested_in_every_line():
    checked = opa.opa("check", "--strict", opa.FILES, opa.FILES.parents[2] / "sandbox" / "opa.rego")
    assert checked.returncode == 0, checked.stderr
    listed = opa.opa("fmt", "--list", opa.FILES)
    assert (listed.returncode, listed.stdout) == (0, "")
    coverage = opa.test_coverage()
    assert coverage.failed == ()
    assert len(coverage.passed) > 30
    assert (coverage.percent, coverage.missed) == (100.0, ())


def test_a_declared_call_is_answered_with_ok_and_its_edge(pod):
    answer = opa_wire.check(pod.port, transfer())
    assert answer["status"].get("code", 0) == 0
    assert metadata(answer) == {"edges": ["calls/bank-a-api-to-bank-b-trans"]}


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        (transfer(claims=None), ["scope", "token"]),
        (transfer('{"amount_minor_units":100000001}'), ["amount"]),
        (transfer(headers={"x-envoy-auth-partial-body": "true"}), ["amount"]),
        (opa.request(WORKER, "POST", "/transfer"), ["path"]),
        (opa.request(WORKER, "GET", "/settlements/..;/authorize"), ["path"]),
        (opa.request(API.replace("bank-a", "bank-c"), "POST", "/transfer"), ["no edge"]),
        (opa.request("", "POST", "/transfer"), ["undecidable"]),
    ],
)
def test_a_refusal_is_a_403_whose_reasons_only_the_proxy_sees(pod, asked, reasons):
    answer = opa_wire.check(pod.port, asked)
    assert answer["status"]["code"] == REFUSED
    assert answer["denied"] == {"status": {"code": 403}, "body": '{"error":"forbidden"}'}
    assert metadata(answer) == {"reasons": reasons}


@pytest.mark.parametrize("text", ["{", '{"amount_minor_units":1}{', "\x00", ""])
def test_a_body_that_is_no_json_is_refused_where_an_amount_is_asked_for_and_nowhere_else(pod, text):
    assert metadata(opa_wire.check(pod.port, transfer(text))) == {"reasons": ["amount"]}
    plain = opa.request(WORKER.replace("worker", "auth-ms"), "POST", "/authorize", body=text)
    assert not refused(pod, plain)


def test_a_risk_that_the_responder_writes_refuses_the_next_call_and_lets_it_pass_again(pod):
    risk = pod.home / "etc/risk"
    raised = json.dumps({f"{DOMAIN}/ns/bank-a/sa/api-ms": "medium"})
    assert not refused(pod, transfer())
    opa_wire.project(risk, {RISK_FILE: raised})
    until(lambda: refused(pod, transfer()), "refused for the risk")
    mark = len(pod.log.read_text())
    opa_wire.project(risk, {RISK_FILE: "{ not json"})
    until(lambda: '"err":"' in pod.log.read_text()[mark:], "the broken file reported")
    assert refused(pod, transfer()), "the last good risks stay"
    opa_wire.project(risk, {RISK_FILE: '["low"]'})
    until(lambda: metadata(opa_wire.check(pod.port, transfer())) == {"reasons": ["undecidable"]}, "undecidable")
    opa_wire.project(risk, {RISK_FILE: "{}"})
    until(lambda: not refused(pod, transfer()), "allowed again")


def test_an_edge_that_goes_is_refused_without_a_restart(pod):
    folder = pod.home / "etc/workload"
    before = (folder / DATA_FILE).read_text()
    data = json.loads(before)
    del data["calls"]["bank-b-worker-to-trans"]
    assert not refused(pod, opa.request(WORKER, "GET", "/settlements/1"))
    opa_wire.project(folder, {DATA_FILE: json.dumps(data)})
    until(lambda: refused(pod, opa.request(WORKER, "GET", "/settlements/1")), "the edge gone")
    opa_wire.project(folder, {DATA_FILE: before})
    until(lambda: not refused(pod, opa.request(WORKER, "GET", "/settlements/1")), "the edge back")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/data/risk"), ("PUT", "/v1/policies/x"), ("GET", "/v1/data"), ("POST", "/v1/query")]
)
def test_the_api_behind_its_socket_refuses_everything(pod, method, path):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(pod.home / "api.sock"))
    connection.request(method, path, body="{}")
    assert connection.getresponse().status == 401
    connection.close()


def test_the_diagnostic_port_serves_health_and_metrics_and_no_data(pod):
    for path, status in {"/health": 200, "/metrics": 200, "/v1/data": 401}.items():
        connection = http.client.HTTPConnection("127.0.0.1", pod.health)
        connection.request("GET", path)
        assert connection.getresponse().status == status, path
        connection.close()


def test_the_decision_log_says_why_and_holds_no_secret(pod):
    mark = len(pod.log.read_text())
    headers = {
        "authorization": "Bearer s3cr3t-token",
        "cookie": "session=s3cr3t-cookie",
        "x-api-key": "s3cr3t-key",
        "x-request-id": "request-77",
    }
    claims = {"iss": ISSUER, "azp": "bank-a.web", "email": "s3cr3t-claim@bank.example", "scope": "none"}
    asked = transfer('{"memo":"s3cr3t-body","amount_minor_units":5}', claims=claims, headers=headers)
    asked["attributes"]["request"]["http"]["path"] = "/transfer?iban=s3cr3t-query"
    assert refused(pod, asked)
    until(lambda: "request-77" in pod.log.read_text()[mark:], "logged")
    said = pod.log.read_text()[mark:]
    assert [secret for secret in SECRETS if secret in said] == []
    entry = next(json.loads(line) for line in said.splitlines() if "request-77" in line)
    assert entry["result"]["reasons"] == ["scope"]
    assert entry["labels"]["workload"] == "bank-b/trans-ms"
    assert entry["input"]["attributes"]["source"]["principal"] == API
    assert entry["input"]["attributes"]["request"]["http"]["path"] == "/transfer"
