"""Spans through the gateway's own configuration in the real collector: who reports them, and which traces are kept.

The port of the proxies is HTTP here, where a header is what the proxy in front would send; that it does is Istio's word.
"""

import json
import urllib.request
from typing import Any

import pytest

from sandbox.otelcol import LOOPBACK, free_port, listening, running, spans, wait_until
from sandbox.toolchain import build
from tests.manifests.test_telemetry_redaction import pairs
from tests.support.telemetry import gate, graph
from tests.support.telemetry_logs import PEER, SELF

ORDINARY = 200
START = 1763721295000000000
ALWAYS: dict[str, dict[str, Any]] = {
    "failed": {"status": {"code": 2}},
    "denied": {"attributes": {"http.status_code": "403"}},
    "denied-numbered": {"attributes": {"http.response.status_code": 401}},
    "limited": {"attributes": {"http.status_code": "429"}},
    "flagged": {"attributes": {"response_flags": "UAEX"}},
    "slow": {"end": START + 1_500_000_000},
}
FORGED = {"zerotrust_reporter_id": "spiffe://forged", "zerotrust.reporter": "spiffe://forged"}


def trace_id(number: int) -> str:
    """Spread over all bits: whether a trace is sampled hangs on its id."""
    return f"{(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def send(port: int, batch: list[dict[str, Any]], headers: dict[str, str]) -> None:
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": batch}]}]}
    url, told = f"http://{LOOPBACK}:{port}/v1/traces", {"Content-Type": "application/json", **headers}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), told), timeout=30).close()


def span(number: int, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    return {
        "traceId": trace_id(number),
        "spanId": f"{number + 1:016x}",
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(wanted.get("end", START + 20_000_000)),
        "attributes": pairs({**FORGED, "http.method": "GET", "response_flags": "-", **wanted.get("attributes", {})}),
        "status": wanted.get("status", {"code": 0}),
    }


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Spans that reached Tempo."""
    folder = tmp_path_factory.mktemp("traces")
    collector, port, proxies = build("otelcol", lambda _line: None), free_port(), free_port()
    config = gate(graph(), folder / "out", folder / "state", port)
    # As the gRPC port has it, by the same key.
    assert config["receivers"]["otlp/mesh"]["protocols"]["grpc"]["include_metadata"]
    config["receivers"]["otlp/mesh"]["protocols"] = {"http": {"endpoint": f"{LOOPBACK}:{proxies}", "include_metadata": True}}
    config["processors"]["tail_sampling"]["decision_wait"] = "1s"
    header = f'By={SELF};Hash=aa;Subject="CN=x, URI=spiffe://forged";URI=spiffe://forged,By={SELF};Hash=bb;Subject="";URI={PEER}'
    out = folder / "out" / "otlp_grpc-tempo.json"
    with running(collector, config, folder / "run") as process, listening(process, folder / "run", proxies):
        with listening(process, folder / "run", port):
            send(proxies, [span(number, "ordinary", {}) for number in range(ORDINARY)], {"X-Forwarded-Client-Cert": header})
        special = [span(ORDINARY + place, name, wanted) for place, (name, wanted) in enumerate(ALWAYS.items())]
        send(proxies, special, {"X-Forwarded-Client-Cert": header})
        send(proxies, [span(ORDINARY + len(ALWAYS), "headless", {"status": {"code": 2}})], {})
        wait_until(process, folder / "run", lambda: {*ALWAYS, "headless"} <= {one["name"] for one in spans(out)})
    return spans(out)


@pytest.mark.parametrize("name", sorted(ALWAYS))
def test_a_trace_that_failed_was_denied_or_was_slow_is_always_kept(kept: list[dict[str, Any]], name: str):
    assert [one["name"] for one in kept].count(name) == 1


def test_of_the_others_a_part_is_kept(kept: list[dict[str, Any]]):
    assert 0 < [one["name"] for one in kept].count("ordinary") < ORDINARY / 2


def test_a_span_names_the_proxy_that_sent_it_by_its_certificate_and_not_what_the_sender_claims(kept: list[dict[str, Any]]):
    certified = [one for one in kept if one["name"] != "headless"]
    assert {one["attributes"].get("zerotrust_reporter_id") for one in certified} == {PEER}
    assert "spiffe://forged" not in json.dumps(kept)


def test_a_span_that_came_past_a_proxy_has_no_reporter(kept: list[dict[str, Any]]):
    (one,) = (one for one in kept if one["name"] == "headless")
    assert not {"zerotrust_reporter_id", "zerotrust.reporter"} & set(one["attributes"])
