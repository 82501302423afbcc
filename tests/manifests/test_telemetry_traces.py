"""Spans through the gateway's own configuration in the real collector: who reports them, which are kept, and whose they are.

The port of the proxies is HTTP here, where a header is what the proxy in front would send; that it does is Istio's word.
"""

import json
import urllib.request
from typing import Any

import pytest

from components.graph.traces import trace_names
from components.observability.telemetry import gateway
from sandbox.otelcol import LOOPBACK, free_port, listening, running, spans, wait_until
from sandbox.toolchain import build
from tests.manifests.test_telemetry_redaction import pairs
from tests.support.telemetry import REGION, gate, graph
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
DOMAIN = SELF.removeprefix("spiffe://").partition("/")[0]
OTHERS = {
    "callee": SELF,
    "gateway": f"spiffe://{DOMAIN}/ns/istio-ingress/sa/ingress-gateway",
    "longer-name": f"spiffe://{DOMAIN}/ns/bank-ab/sa/api-ms",
    "shorter-path": f"spiffe://{DOMAIN}/ns/bank-a",
    "other-domain": "spiffe://evil.internal/ns/bank-a/sa/api-ms",
    "domain-by-pattern": f"spiffe://{DOMAIN.replace('.', 'x')}/ns/bank-a/sa/api-ms",
    "name-in-path": f"spiffe://{DOMAIN}/ns/istio-ingress/sa/x/ns/bank-a/sa/y",
}
"""Spans of other reporters, each the one span of a trace that failed."""
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
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Spans that reached the store, by the name that they were written under."""
    folder = tmp_path_factory.mktemp("traces")
    collector, port, proxies = build("otelcol", lambda _line: None), free_port(), free_port()
    config = gate(graph(), folder / "out", folder / "state", port)
    # As the gRPC port has it, by the same key.
    assert config["receivers"]["otlp/mesh"]["protocols"]["grpc"]["include_metadata"]
    config["receivers"]["otlp/mesh"]["protocols"] = {"http": {"endpoint": f"{LOOPBACK}:{proxies}", "include_metadata": True}}
    config["processors"]["tail_sampling"]["decision_wait"] = "1s"
    header = f'By={SELF};Hash=aa;Subject="CN=x, URI=spiffe://forged";URI=spiffe://forged,By={SELF};Hash=bb;Subject="";URI={PEER}'
    names = trace_names(graph())

    def written() -> dict[str, list[dict[str, Any]]]:
        return {name: spans(folder / "out" / f"otlp_grpc-traces-{name}.json") for name in names}

    with running(collector, config, folder / "run") as process, listening(process, folder / "run", proxies):
        with listening(process, folder / "run", port):
            send(proxies, [span(number, "ordinary", {}) for number in range(ORDINARY)], {"X-Forwarded-Client-Cert": header})
        special = [span(ORDINARY + place, name, wanted) for place, (name, wanted) in enumerate(ALWAYS.items())]
        send(proxies, special, {"X-Forwarded-Client-Cert": header})
        number = ORDINARY + len(ALWAYS)
        send(proxies, [span(number, "headless", {"status": {"code": 2}})], {})
        for place, (name, reporter) in enumerate(OTHERS.items(), start=1):
            sent = [span(number + place, name, {"status": {"code": 2}})]
            send(proxies, sent, {"X-Forwarded-Client-Cert": f'By={SELF};Hash=aa;Subject="";URI={reporter}'})
        wanted = {*ALWAYS, *OTHERS, "headless"}
        wait_until(process, folder / "run", lambda: wanted <= {one["name"] for found in written().values() for one in found})
    return written()


@pytest.fixture(scope="module")
def kept(stored: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All of them but those of other reporters."""
    return [one for found in stored.values() for one in found if one["name"] not in OTHERS]


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


def test_a_span_is_written_under_the_tenant_of_the_proxy_that_sent_it_and_under_no_other_name(
    stored: dict[str, list[dict[str, Any]]],
):
    homes = {name: {one["name"] for one in found} for name, found in stored.items()}
    assert homes.pop("bank-a") == {*ALWAYS, "ordinary"}
    assert homes.pop("bank-b") == {"callee"}
    assert homes.pop("platform") == {"headless", *OTHERS} - {"callee"}
    assert set().union(*homes.values()) == set()


def test_every_exporter_of_traces_bears_its_name_for_the_store_refuses_what_bears_none():
    config = gateway.config(graph(), REGION)
    told = {name: one["headers"] for name, one in config["exporters"].items() if name.startswith("otlp_grpc/")}
    assert told == {f"otlp_grpc/traces-{name}": {"X-Scope-OrgID": name} for name in trace_names(graph())}
    fed = {name for one in config["service"]["pipelines"].values() for name in one["exporters"] if name.startswith("otlp_grpc/")}
    assert fed == set(told)
