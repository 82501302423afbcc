"""The audit schema by the real collector: one attack, as seven sources tell it, joined by who did it from the records alone.

Samples are written for this project after each source's published format.
"""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from components.observability.telemetry.releases import log_groups, reader_config
from components.observability.telemetry.sources import ACTOR, TENANT
from sandbox.otelcol import LOOPBACK, free_port, listening, records, refusal, running, wait_until
from sandbox.toolchain import build
from tests.support.telemetry import LAST, agent, everything, gate, graph
from tests.support.telemetry_logs import TRACE, write_pod

DOMAIN = "eu-west-1.dev.mycompany.internal"
ATTACKER = f"spiffe://{DOMAIN}/ns/bank-a/sa/api-ms"
TARGET = f"spiffe://{DOMAIN}/ns/bank-b/sa/trans-ms"
SAMPLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "istio.access": (
        "bank-b",
        "istio-proxy",
        {
            "source": ATTACKER,
            "self": TARGET,
            "upstream_cluster": "inbound|8080||",
            "method": "POST",
            "path": "/transfers",
            "original_path": "/harmless",
            "authority": "trans-ms.bank-b",
            "status": 403,
            "details": "rbac_access_denied_matched_policy[none]",
            "flags": "-",
            "request_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "trace": f"00-{TRACE}-00f067aa0ba902b7-01",
        },
    ),
    "opa.decision": (
        "bank-b",
        "opa",
        {
            "decision_id": "4ca636c1-55e4-417a-b1d8-4aceb67960d1",
            "msg": "Decision Log",
            "result": {"allowed": False, "reason": "no edge"},
            "input": {
                "attributes": {
                    "source": {"principal": ATTACKER},
                    "destination": {"principal": TARGET},
                    "request": {"http": {"method": "POST", "path": "/transfers", "host": "trans-ms.bank-b", "id": "1"}},
                }
            },
        },
    ),
    "vault.audit": (
        "vault",
        "vault",
        {
            "type": "response",
            "auth": {"accessor": "hmac-sha256:aa", "display_name": "jwt-x", "metadata": {"spiffe_id": ATTACKER}},
            "request": {"id": "9", "operation": "read", "path": "database/creds/bank-b-ledger", "remote_address": "10.0.3.7"},
            "error": "1 error occurred:\n\t* permission denied\n\n",
        },
    ),
    "falco.alert": (
        "falco",
        "falco",
        {
            "rule": "Process outside of the tenant's list",
            "priority": "Critical",
            "output": "2026-11-21T10:34:55.123456789+0000: Critical curl in bank-a/istio-proxy",
            "source": "syscall",
            "hostname": "falco-x",
            "output_fields": {
                "proc.name": "curl",
                "proc.cmdline": "curl trans-ms.bank-b",
                "k8s.ns.name": "bank-a",
                "k8s.pod.name": "api-ms-0",
                # Not the service's: who it is stands in the pod's labels.
                "container.name": "istio-proxy",
                "container.id": "3ad7b26ded6d",
                "spiffe_id": ATTACKER,
            },
        },
    ),
}
SPACE, POD = "orchestrator.namespace", "orchestrator.resource.name"
SUGGESTED = (
    "container_id=3ad7b26ded6d container_name={} container_image_repository=registry/api-ms container_image_tag=<NA>"
    " k8s_pod_name=api-ms-0 k8s_ns_name={}"
)
SIDEKICK = {
    "known": f"10:34:55: Critical curl (cmd=curl {SUGGESTED.format('ledger', 'bank-b')}) {SUGGESTED.format('api-ms', 'bank-a')}",
    "without": "10:34:55: Critical a module is loaded (cmd=insmod x k8s_ns_name=bank-b)",
    "platform": f"10:34:55: Critical a shell {SUGGESTED.format('vault', 'vault')}",
}
"""Texts as Falco ends them, and as its side-kick sends them by OTLP: the first names other pods in its command line."""
FLOW = {
    "flow": {
        "verdict": "DROPPED",
        "drop_reason_desc": "POLICY_DENIED",
        "IP": {"source": "10.0.3.7", "destination": "10.0.4.9"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 5432}},
        "source": {
            "namespace": "bank-a",
            "labels": ["k8s:app.kubernetes.io/name=api-ms", "k8s:io.cilium.k8s.policy.serviceaccount=api-ms"],
        },
        "destination": {"namespace": "bank-b", "labels": ["k8s:io.cilium.k8s.policy.serviceaccount=ledger"]},
    }
}
READ = {
    "kubernetes-audit": {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "verb": "get",
        "requestURI": "/api/v1/namespaces/bank-b/secrets/ledger",
        "user": {"username": "system:serviceaccount:bank-a:api-ms"},
        "sourceIPs": ["10.0.3.7"],
        "objectRef": {"resource": "secrets", "namespace": "bank-b", "name": "ledger"},
        "responseStatus": {"code": 403, "message": "forbidden"},
    },
    "cloudtrail": {
        "eventID": "0",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-west-1",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "10.0.3.7",
        "errorCode": "AccessDenied",
        "userIdentity": {
            "arn": "arn:aws:sts::111122223333:assumed-role/clearing-dev-eu-west-1-observability-loki/eks-c-loki-0-1b9d6bcd",
        },
    },
}


@pytest.fixture(scope="module")
def collector() -> Path:
    return build("otelcol", lambda _line: None)


@pytest.fixture(scope="module")
def told(collector: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Audit records by dataset, and every line that reached no audit record."""
    folder = tmp_path_factory.mktemp("attack")
    for dataset, (namespace, container, sample) in SAMPLES.items():
        write_pod(folder / "logs", namespace, container, [json.dumps(sample), LAST], pod=dataset.replace(".", "-"))
    # A tenant's pod that prints what Vault, Falco and the flows would say.
    forged = [json.dumps(SAMPLES["vault.audit"][2]), json.dumps(SAMPLES["falco.alert"][2]), json.dumps(FLOW)]
    write_pod(folder / "logs", "bank-a", "api-ms", [*forged, LAST], pod="forger")
    (folder / "flows").mkdir()
    (folder / "flows" / "denied.log").write_text(json.dumps(FLOW) + "\n")
    port, audit, events, out = free_port(), free_port(), free_port(), folder / "out"
    back = gate(graph(), out, folder / "gateway-state", port)
    # The reader's port, over HTTP here.
    back["receivers"]["otlp/audit"]["protocols"] = {"http": {"endpoint": f"{LOOPBACK}:{audit}"}}
    back["receivers"]["otlp/events"]["protocols"]["http"]["endpoint"] = f"{LOOPBACK}:{events}"
    front = agent(folder / "logs", folder / "flows", folder / "agent-state", port)
    kept, wanted = out / "otlp_http-loki-audit.json", len(SAMPLES) + 3 + len(SIDEKICK)
    with running(collector, back, folder / "gateway") as behind, listening(behind, folder / "gateway", port):
        for origin, sample in READ.items():
            post(audit, {"zerotrust.origin": origin}, json.dumps(sample), {})
        for name, said in SIDEKICK.items():
            told = {"priority": "Critical", "source": "syscall", "rule": f"Rule {name}", "hostname": "falco-x", "tags": "T1059"}
            post(events, {"service.name": "falco"}, said, told)
        with running(collector, front, folder / "agent") as process:
            wait_until(
                process,
                folder / "agent",
                lambda: everything(out).count(LAST) >= len(SAMPLES) + 1 and len(records(kept)) >= wanted,
            )
    by_kick = [one for one in records(kept) if one["resource"].get("zerotrust.origin") == "security"]
    audits = [one for one in records(kept) if one not in by_kick]
    kicks = {one["attributes"]["event.action"].removeprefix("Rule "): one["attributes"] for one in by_kick}
    return {"audits": audits, "kicks": kicks, **{one["attributes"]["event.dataset"]: one["attributes"] for one in audits}}


def post(port: int, resource: dict[str, str], body: str, attributes: dict[str, str]) -> None:
    """One record by OTLP over HTTP."""
    record = {"body": {"stringValue": body}, "attributes": pairs(attributes)}
    sent = {"resourceLogs": [{"resource": {"attributes": pairs(resource)}, "scopeLogs": [{"logRecords": [record]}]}]}
    url, told = f"http://{LOOPBACK}:{port}/v1/logs", {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(sent).encode(), told), timeout=30).close()


def pairs(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def test_each_source_becomes_one_record_and_a_forged_one_none(told: dict[str, Any]):
    datasets = sorted(one["attributes"]["event.dataset"] for one in told["audits"])
    assert datasets == sorted([*SAMPLES, "cilium.flow", "kubernetes.audit", "aws.cloudtrail"])


def test_who_did_it_is_told_by_six_sources_under_one_spiffe_id(told: dict[str, Any]):
    joined = {
        one["attributes"]["event.dataset"]
        for one in told["audits"]
        if one["attributes"].get("zerotrust.actor.spiffe_id") == ATTACKER
    }
    assert joined == {*SAMPLES, "cilium.flow", "kubernetes.audit"}
    assert {one["attributes"].get("zerotrust.tenant") for one in told["audits"]} == {"bank-a", None}


@pytest.mark.parametrize(
    ("dataset", "field", "wanted"),
    [
        *((one, "event.outcome", "failure") for one in ("istio.access", "opa.decision", "vault.audit", "cilium.flow")),
        *((one, "event.type", "denied") for one in ("istio.access", "opa.decision", "vault.audit", "kubernetes.audit")),
        ("istio.access", "zerotrust.target.spiffe_id", TARGET),
        ("istio.access", "zerotrust.actor.name", "spiffe://bank-a/api-ms"),
        ("istio.access", "trace.id", TRACE),
        ("istio.access", "url.path", "/transfers"),
        ("istio.access", "url.original", "/harmless"),
        ("opa.decision", "zerotrust.target.spiffe_id", TARGET),
        ("opa.decision", "event.reason", "no edge"),
        ("cilium.flow", "zerotrust.target.spiffe_id", f"spiffe://{DOMAIN}/ns/bank-b/sa/ledger"),
        ("cilium.flow", "event.reason", "POLICY_DENIED"),
        ("vault.audit", "url.path", "database/creds/bank-b-ledger"),
        ("falco.alert", "process.name", "curl"),
        ("falco.alert", "event.action", "Process outside of the tenant's list"),
        ("falco.alert", "event.severity", "Critical"),
        ("falco.alert", "orchestrator.namespace", "bank-a"),
        ("falco.alert", "orchestrator.resource.name", "api-ms-0"),
        ("kubernetes.audit", "user.name", "system:serviceaccount:bank-a:api-ms"),
        ("kubernetes.audit", "source.ip", "10.0.3.7"),
        ("aws.cloudtrail", "zerotrust.actor.spiffe_id", f"spiffe://{DOMAIN}/ns/observability/sa/loki"),
        ("aws.cloudtrail", "event.type", "denied"),
    ],
)
def test_what_happened_stands_under_the_schemas_name(told: dict[str, Any], dataset: str, field: str, wanted: str):
    assert told[dataset].get(field) == wanted


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (
            "known",
            {ACTOR: ATTACKER, TENANT: "bank-a", "orchestrator.namespace": "bank-a", "orchestrator.resource.name": "api-ms-0"},
        ),
        ("without", {}),
        ("platform", {"orchestrator.namespace": "vault", "orchestrator.resource.name": "api-ms-0"}),
    ],
)
def test_what_the_side_kick_sends_says_whose_pod_it_was_by_the_end_of_falcos_text(told: dict[str, Any], name, known):
    one = told["kicks"][name]
    assert (one["event.dataset"], one["event.action"], one["event.severity"]) == ("falco.alert", f"Rule {name}", "Critical")
    assert one["event.reason"] == SIDEKICK[name]
    assert {field: one[field] for field in (ACTOR, TENANT, SPACE, POD) if field in one} == known


def test_every_record_carries_the_hash_of_its_line_and_its_region(told: dict[str, Any]):
    for one in told["audits"]:
        assert len(one["attributes"]["event.hash"]) == 64
        assert one["attributes"]["cloud.region"] == "eu-west-1"


def test_the_collector_accepts_the_readers_configuration(collector: Path, tmp_path: Path):
    groups = log_groups(graph(), "eu-west-1", "clearing-dev", "clearing-dev-trail")
    assert set(groups) == {"kubernetes-audit", "cloudtrail"}
    assert set(log_groups(graph(), "eu-central-1", "clearing-dev", "clearing-dev-trail")) == {"kubernetes-audit"}
    assert refusal(collector, reader_config(groups, "eu-west-1"), tmp_path) is None
