"""The redaction by the real collector: planted secrets in twelve formats go in by an agent, and none comes out of the gateway.

Not proven: secrets of a form that no rule has and that no name beside them gives away (a bare password in a sentence, a card
number inside of Base64).
"""

import json
import random
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from components.observability.telemetry import agents, redaction
from components.observability.telemetry.patterns import RULES
from sandbox.otelcol import LOOPBACK, free_port, listening, quiet, records, refusal, running, spans, wait_until
from sandbox.toolchain import build
from tests.support.telemetry import LAST, bodies, everything, gate, graph, through
from tests.support.telemetry_logs import FORMATS, PEER, SELF, TRACE, write_pod
from tests.support.telemetry_secrets import no_card, secrets, spellings

SEED = 20261121
LATE = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
"""The rest of a key whose beginning is in an earlier record."""
BENIGN = (
    *("amount=4999.00 EUR", "balance 5105105105105.10", "order 20261121103455123456", "ts=1763721295123456789", "port 15012"),
    *("request 7c9e6679-7425-40de-944b-e07fc1f90ae7", "uuid 41111111-1111-4111-8111-123456789012", "Basic authentication failed"),
    *(f"00-{TRACE}-4111111111111111-01", "sha256:0e82410552da0224327636e5ed3620039d7c501b8713ed93eed95a78296a1352"),
    *(
        "2026-11-21T10:34:55.123456+0100",
        "10.0.3.7:8080",
        "version 1.30.3-rc.1",
        "tokens_total=17",
        "retry in 30s (attempt 2 of 5)",
    ),
)
HARMLESS = {
    "envoy": [FORMATS["envoy"]("orders")],
    "java": [FORMATS["java"](f"{PEER} may not post")],
    "nginx": [FORMATS["nginx"]("orders").replace("curl/8.9", PEER)],
    "structured": [FORMATS["structured"](f"{SELF} asked by {PEER}")],
    "syslog": [FORMATS["syslog"](f"{SELF} up")],
}
"""Lines with an identity and no secret, by format."""


@pytest.fixture(scope="module")
def collector() -> Path:
    return build("otelcol", lambda _line: None)


def planted() -> list[tuple[str, Any]]:
    dice = random.Random(SEED)  # noqa: S311
    return [(form, one) for form in FORMATS for one in secrets(dice)]


def benign() -> list[str]:
    dice = random.Random(SEED)  # noqa: S311
    return [*BENIGN, *(f"order {no_card(dice)}" for _ in range(20))]


@pytest.fixture(scope="module")
def piped(collector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what came out, of every secret in every format, half of the files broken into pieces."""
    folder = tmp_path_factory.mktemp("piped")
    for place, (name, form) in enumerate(FORMATS.items()):
        texts = [form(one.phrase) for told, one in planted() if told == name]
        write_pod(folder / "logs", "bank-a", name, [*texts, LAST], broken_at=90 if place % 2 else 0)
    write_pod(folder / "logs", "bank-a", "benign", [*(f"INFO {PEER} {one}" for one in benign()), LAST])
    for name, lines in HARMLESS.items():
        write_pod(folder / "logs", "bank-a", f"harmless-{name}", [*lines, LAST])
    return through(collector, folder, folder / "logs", len(FORMATS) + len(HARMLESS) + 1)


def leaks(text: str, plain: str) -> list[tuple[str, str]]:
    return [
        (form, one.kind)
        for form, one in planted()
        for needle in one.needles
        if any(spelled in text or spelled in plain for spelled in spellings(needle))
    ]


def test_none_of_several_hundred_planted_secrets_in_twelve_formats_leaves(piped: Path):
    assert len(planted()) >= 500
    assert len(FORMATS) == 12
    text = everything(piped)
    assert leaks(text, "\n".join(str(one["body"]) for one in bodies(piped))) == []
    assert text.count("[redacted:") >= len(planted())


def test_every_line_arrives_a_stack_trace_as_one_and_an_identity_in_every_format_that_names_one(piped: Path):
    held = bodies(piped)
    by_pod = {name: [one["body"] for one in held if one["resource"]["k8s.container.name"] == name] for name in FORMATS}
    for name, lines in by_pod.items():
        mine = [one for told, one in planted() if told == name]
        texts = [line for line in lines if line != LAST]
        assert len(texts) == len(mine), name
        sample = FORMATS[name]("x")
        for identity in (PEER, SELF, TRACE):
            assert sum(identity in line for line in texts) == (len(mine) if identity in sample else 0), (name, identity)


def test_what_only_looks_like_a_secret_survives_byte_for_byte(piped: Path):
    lines = {one["body"] for one in bodies(piped) if one["resource"]["k8s.container.name"] == "benign"}
    assert [one for one in benign() if f"INFO {PEER} {one}" not in lines] == []


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_a_line_with_an_identity_and_no_secret_is_byte_for_byte_what_it_was(piped: Path, name: str):
    held = [one["body"] for one in bodies(piped) if one["resource"]["k8s.container.name"] == f"harmless-{name}"]
    assert [one for one in held if one != LAST] == HARMLESS[name]


@pytest.fixture(scope="module")
def variants(collector: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one collector writes with every rule, twice, and with each one left out, of the same lines."""
    folder = tmp_path_factory.mktemp("variants")
    source = folder / "logs.json"
    source.write_text(
        "".join(
            json.dumps(FORMATS[form](one.phrase)) + "\n" for form, one in planted() if form in {"plain", "structured", "postgres"}
        )
        + json.dumps(f"{LATE}\n-----END PRIVATE KEY-----")
        + "\n"
        + json.dumps(LAST)
        + "\n",
        encoding="utf-8",
    )
    names = ("all", "again", *redaction.rule_names())
    config: dict[str, Any] = {
        "receivers": {
            "file_log": {
                "include": [str(source)],
                "start_at": "beginning",
                "poll_interval": "50ms",
            }
        },
        "processors": {
            "transform/read": {
                "log_statements": [
                    {"context": "log", "statements": ['set(log.body, ParseJSON(Concat(["{\\"a\\":", log.body, "}"], "")))']}
                ]
            },
            "transform/take": {"log_statements": [{"context": "log", "statements": ['set(log.body, log.body["a"])']}]},
            **{
                f"transform/{name}": redaction.agent_processor(without=() if name in {"all", "again"} else (name,))
                for name in names
            },
        },
        "exporters": {f"file/{name}": {"path": str(folder / f"{name}.json"), "flush_interval": "100ms"} for name in names},
        "service": {
            "pipelines": {
                f"logs/{name}": {
                    "receivers": ["file_log"],
                    "processors": ["transform/read", "transform/take", f"transform/{name}"],
                    "exporters": [f"file/{name}"],
                }
                for name in names
            }
        },
    }
    paths = {name: folder / f"{name}.json" for name in names}
    with running(collector, quiet({**config, "extensions": {}}, folder), folder) as process:
        wait_until(process, folder, lambda: all(path.is_file() and LAST in path.read_text() for path in paths.values()))
    return {name: "\n".join(str(one["body"]) for one in records(path)) for name, path in paths.items()}


@pytest.mark.parametrize("rule", redaction.rule_names())
def test_each_rule_is_needed_what_it_takes_out_stays_without_it(variants: dict[str, str], rule: str):
    assert variants[rule] != variants["all"]
    needles = (LATE, *(needle for _, one in planted() for needle in one.needles))
    assert [needle for needle in needles if needle in variants[rule] and needle not in variants["all"]]


def test_the_same_lines_come_out_the_same(variants: dict[str, str]):
    assert variants["all"] == variants["again"]


def post(port: int, signal: str, payload: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{port}/v1/{signal}", json.dumps(payload).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def otlp(value: Any) -> dict[str, Any]:
    match value:
        case dict():
            return {"kvlistValue": {"values": [{"key": key, "value": otlp(one)} for key, one in value.items()]}}
        case list():
            return {"arrayValue": {"values": [otlp(one) for one in value]}}
        case int():
            return {"intValue": str(value)}
        case _:
            return {"stringValue": value}


def pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": otlp(value)} for key, value in values.items()]


def test_structured_bodies_attributes_spans_and_their_events_are_redacted_in_keys_values_and_depth(
    collector: Path, tmp_path: Path
):
    number, mail, token = "4111111111111111", "jane.doe@example.org", "hvs.CAESIJabcdefghijklmnopqrstuvwx"
    deep = {
        "a": [{"pan": int(number), "note": f"to {mail}"}],
        mail: "x",
        "db": {"password": "correct horse"},
        "count": 7,
        "peer": PEER,
    }
    out = tmp_path / "out"
    port, events = free_port(), free_port()
    config = gate(graph(), out, tmp_path / "state", port)
    config["receivers"]["otlp/events"]["protocols"]["http"]["endpoint"] = f"{LOOPBACK}:{events}"
    config["service"]["pipelines"]["traces/in"]["receivers"].append("otlp/events")
    config["processors"]["tail_sampling"]["decision_wait"] = "1s"
    record = {"body": otlp(deep), "attributes": pairs({"card": number, "deep": deep, "peer": PEER})}
    span = {
        "traceId": TRACE,
        "spanId": "00f067aa0ba902b7",
        "name": f"GET /u/{mail}",
        "kind": 2,
        "startTimeUnixNano": "1763721295000000000",
        "endTimeUnixNano": "1763721295100000000",
        "attributes": pairs({"http.url": f"https://x/?token={token}", "peer": PEER, "deep": deep}),
        "events": [{"name": f"sent {mail}", "timeUnixNano": "1763721295000000000", "attributes": pairs({"x": token})}],
        "status": {"code": 2, "message": f"refused {number}"},
    }
    with running(collector, config, tmp_path / "run") as process, listening(process, tmp_path / "run", events):
        post(events, "logs", {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record]}]}]})
        resource = {"attributes": pairs({"owner": mail})}
        post(events, "traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})
        wait_until(process, tmp_path / "run", lambda: bool(bodies(out)) and bool(spans(out / "otlp_grpc-traces-platform.json")))
    text = everything(out)
    assert [needle for needle in (number, mail, token, "correct horse") if needle in text] == []
    (kept,), (told,) = bodies(out), spans(out / "otlp_grpc-traces-platform.json")
    assert kept["body"]["count"] == 7
    assert kept["body"]["peer"] == kept["attributes"]["peer"] == told["attributes"]["peer"] == PEER
    assert told["traceId"] == TRACE


def test_the_collector_accepts_both_configurations_and_refuses_a_misspelt_rule(collector: Path, tmp_path: Path):
    config = agents.config()
    assert refusal(collector, config, tmp_path) is None
    config["processors"]["transform/redact"]["log_statements"][0]["statements"].append("replace_patern(log.body)")
    assert "replace_patern" in str(refusal(collector, config, tmp_path))


def test_the_names_of_rules_are_each_once():
    assert len({rule.name for rule in RULES}) == len(RULES)
