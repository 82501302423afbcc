"""The same questions to two Rego engines: OPA, which runs in the pods, and rego-cpp, which shares no code with it.

A vector names the expected decision, so agreement in error is not enough. rego-cpp (regopy 1.5.2) differs in strings: it keeps
escapes of literals unexpanded and prints a quote out of a function's result unescaped, so the rules keep backslashes out of
patterns and quotes out of answers. It also ends a string of the input at a NUL byte: the one vector it is not asked.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import regopy

from components.decision.data import workload_data
from components.graph.model import Graph
from components.settings import load_file
from sandbox import opa

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
GRAPH = Graph.of(load_file(ROOT / "Pulumi.dev.yaml"))
ISSUER = "https://id.api.dev.clearing.example/realms/clearing"
DOMAIN = "eu-west-1.dev.mycompany.internal"
TRANS, FRONTEND, WORKER = "bank-b/trans-ms", "bank-a/frontend", "bank-b/worker"
API = f"spiffe://{DOMAIN}/ns/bank-a/sa/api-ms"
FAR_API = "spiffe://eu-central-1.dev.mycompany.internal/ns/bank-a/sa/api-ms"
STRANGE_API = "spiffe://us-east-1.dev.mycompany.internal/ns/bank-a/sa/api-ms"
SETTLER = f"spiffe://{DOMAIN}/ns/bank-b/sa/worker"
GATEWAY = f"spiffe://{DOMAIN}/ns/istio-ingress/sa/ingress-gateway"
NOON = 12 * 3600 * 10**9
TOKEN = {"iss": ISSUER, "azp": "bank-a.web", "scope": "openid transfers.write accounts.read"}
ALLOWED: tuple[str, ...] = ()


def transfer(principal: str = API, *, text: str = '{"amount_minor_units":100}', **changes: Any) -> dict[str, Any]:
    return opa.request(principal, "POST", "/transfer", **{"claims": TOKEN, "body": text, **changes})


def settle(path: str) -> dict[str, Any]:
    return opa.request(SETTLER, "GET", path)


def visit(path: str = "/", **changes: Any) -> dict[str, Any]:
    return opa.request(GATEWAY, "GET", path, **{"claims": TOKEN, **changes})


def without(asked: dict[str, Any], *path: str) -> dict[str, Any]:
    changed = json.loads(json.dumps(asked))
    here = changed
    for part in path[:-1]:
        here = here[part]
    del here[path[-1]]
    return changed


RISKY = {f"{DOMAIN}/ns/bank-a/sa/api-ms": "medium"}
Vector = tuple[str, Any, int, Any, tuple[str, ...]]
VECTORS: dict[str, Vector] = {
    # name: workload, input, clock, risks, reasons
    "declared call": (TRANS, transfer(), NOON, {}, ALLOWED),
    "declared call from the other region": (TRANS, transfer(FAR_API), NOON, {}, ALLOWED),
    "same account of an unknown region": (TRANS, transfer(STRANGE_API), NOON, {}, ("region",)),
    "another account": (TRANS, transfer(API.replace("api-ms", "auth-ms")), NOON, {}, ("no edge",)),
    "trust domain with a tail": (TRANS, transfer(API.replace(".internal", ".internal.evil.example")), NOON, {}, ("region",)),
    "account with a tail": (TRANS, transfer(f"{API}-2"), NOON, {}, ("no edge",)),
    "account with a longer path": (TRANS, transfer(f"{API}/x"), NOON, {}, ("no edge",)),
    "principal without its scheme": (TRANS, transfer(API.removeprefix("spiffe://")), NOON, {}, ("undecidable",)),
    "scopes as a list": (TRANS, transfer(claims={**TOKEN, "scope": ["transfers.write"]}), NOON, {}, ALLOWED),
    "scope missing": (TRANS, transfer(claims={**TOKEN, "scope": "accounts.read"}), NOON, {}, ("scope",)),
    "no token": (TRANS, transfer(claims=None), NOON, {}, ("scope", "token")),
    "token nobody verified": (
        TRANS,
        transfer(claims=None, headers={"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzY29wZSI6InRyYW5zZmVycy53cml0ZSJ9."}),
        NOON,
        {},
        ("scope", "token"),
    ),
    "other issuer": (TRANS, transfer(claims={**TOKEN, "iss": "https://evil.example"}), NOON, {}, ("scope", "token")),
    "first minute of the window": (TRANS, transfer(), 5 * 3600 * 10**9, {}, ALLOWED),
    "nanosecond before the window": (TRANS, transfer(), 5 * 3600 * 10**9 - 1, {}, ("hours",)),
    "last minute of the window": (TRANS, transfer(), 23 * 3600 * 10**9 - 10**9, {}, ALLOWED),
    "end of the window": (TRANS, transfer(), 23 * 3600 * 10**9, {}, ("hours",)),
    "a later day": (TRANS, transfer(), (20_000 * 86_400 + 43_200) * 10**9, {}, ALLOWED),
    "amount at the limit": (TRANS, transfer(text='{"amount_minor_units":100000000}'), NOON, {}, ALLOWED),
    "amount above the limit": (TRANS, transfer(text='{"amount_minor_units":100000001}'), NOON, {}, ("amount",)),
    "amount zero": (TRANS, transfer(text='{"amount_minor_units":0}'), NOON, {}, ALLOWED),
    "amount negative": (TRANS, transfer(text='{"amount_minor_units":-1}'), NOON, {}, ("amount",)),
    "amount with a fraction": (TRANS, transfer(text='{"amount_minor_units":1.5}'), NOON, {}, ("amount",)),
    "amount as text": (TRANS, transfer(text='{"amount_minor_units":"5"}'), NOON, {}, ("amount",)),
    "amount beyond exact numbers": (TRANS, transfer(text='{"amount_minor_units":9007199254740993}'), NOON, {}, ("amount",)),
    "amount missing": (TRANS, transfer(text='{"to":"x"}'), NOON, {}, ("amount",)),
    "amount twice": (TRANS, transfer(text='{"amount_minor_units":999999999,"amount_minor_units":1}'), NOON, {}, ("amount",)),
    "amount twice in capitals": (TRANS, transfer(text='{"Amount_Minor_Units":9,"amount_minor_units":1}'), NOON, {}, ("amount",)),
    "amount behind an escape": (
        TRANS,
        transfer(text='{"amount\\u005fminor_units":999999999,"amount_minor_units":1}'),
        NOON,
        {},
        ("amount",),
    ),
    "amount deeper": (TRANS, transfer(text='{"a":{"amount_minor_units":1}}'), NOON, {}, ("amount",)),
    "amount beside text of other languages": (TRANS, transfer(text='{"to":"Ünal","amount_minor_units":1}'), NOON, {}, ALLOWED),
    "body cut off": (TRANS, {**transfer(), "truncated_body": True}, NOON, {}, ("amount",)),
    "body that is no JSON": (TRANS, transfer(text='{"amount_minor_units":1}{'), NOON, {}, ("amount",)),
    "body in part": (TRANS, transfer(headers={"x-envoy-auth-partial-body": "true"}), NOON, {}, ("amount",)),
    "body of another type": (TRANS, transfer(headers={"content-type": "text/json"}), NOON, {}, ("amount",)),
    "no body": (TRANS, opa.request(API, "POST", "/transfer", claims=TOKEN), NOON, {}, ("amount",)),
    "risk above the ceiling": (TRANS, transfer(), NOON, RISKY, ("risk",)),
    "risk of somebody else": (TRANS, transfer(FAR_API), NOON, RISKY, ALLOWED),
    "risk that is no level": (TRANS, transfer(), NOON, {"x": "severe"}, ("undecidable",)),
    "risks that are no mapping": (TRANS, transfer(), NOON, ["low"], ("undecidable",)),
    "everything at once": (
        TRANS,
        transfer(claims=None, text="{}"),
        0,
        {next(iter(RISKY)): "high"},
        ("amount", "hours", "risk", "scope", "token"),
    ),
    "other method": (TRANS, opa.request(API, "PUT", "/transfer", claims=TOKEN), NOON, {}, ("method",)),
    "method in small letters": (TRANS, opa.request(API, "post", "/transfer", claims=TOKEN), NOON, {}, ("method",)),
    "other path": (TRANS, opa.request(API, "POST", "/transfers", claims=TOKEN), NOON, {}, ("path",)),
    "operation of another caller": (TRANS, opa.request(API, "GET", "/settlements/1"), NOON, {}, ("path",)),
    "gateway where no route leads": (TRANS, visit("/transfer"), NOON, {}, ("no edge",)),
    "route with its token": (FRONTEND, visit(), NOON, {}, ALLOWED),
    "route by another client": (FRONTEND, visit(claims={**TOKEN, "azp": "bank-b.partner"}), NOON, {}, ("client",)),
    "route without a token": (FRONTEND, visit(claims=None), NOON, {}, ("client", "scope", "token")),
    "route asked inside the mesh": (FRONTEND, opa.request(API, "GET", "/", claims=TOKEN), NOON, {}, ("no edge",)),
    "path as outside sees it": (FRONTEND, visit("/bank-a/accounts"), NOON, {}, ("path",)),
    "one segment": (FRONTEND, visit("/accounts/7"), NOON, {}, ALLOWED),
    "one empty segment": (FRONTEND, visit("/accounts/"), NOON, {}, ("path",)),
    "two segments": (FRONTEND, visit("/accounts/7/8"), NOON, {}, ("path",)),
    "caller of a worker": (WORKER, opa.request(API, "GET", "/"), NOON, {}, ("no edge",)),
    "nothing": (TRANS, None, NOON, {}, ("undecidable",)),
    "a number": (TRANS, 3, NOON, {}, ("undecidable",)),
    "an empty object": (TRANS, {}, NOON, {}, ("undecidable",)),
    "no caller": (TRANS, without(transfer(), "attributes", "source"), NOON, {}, ("undecidable",)),
    "no method": (TRANS, without(transfer(), "attributes", "request", "http", "method"), NOON, {}, ("undecidable",)),
    "no path": (TRANS, without(transfer(), "attributes", "request", "http", "path"), NOON, {}, ("undecidable",)),
}
PATHS: dict[str, bool] = {
    "/settlements/a/b": True,
    "/settlements/": True,
    "/settlements/a?next=/../x%2f;": True,
    "/settlements/a:b@c,d=e": True,
    "/settlements/...": True,
    "/settlements": False,
    "/settlementsx/a": False,
    "/Settlements/a": False,
    "/settlements/../authorize": False,
    "/settlements/..": False,
    "/settlements/./a": False,
    "/settlements//a": False,
    "//settlements/a": False,
    "/x/../settlements/a": False,
    "/settlements/%2e%2e/authorize": False,
    "/settlements/..%2fauthorize": False,
    "/settlements/%252e%252e/authorize": False,
    "/settlements/..;/authorize": False,
    "/settlements/%2e%2e;/authorize": False,
    "/settlements/a;v=1": False,
    "/settlements/..\\authorize": False,
    "/settlements\\a": False,
    "/settlements/a%00": False,
    "/settlements/a\x00": False,
    "/settlements/a b": False,
    "/settlements/a\n": False,
    "/settlements/é": False,
    "/settlements/a#b": False,
    "http://callee/settlements/a": False,
    "*": False,
    "": False,
}
VECTORS |= {f"path {path!r}": (TRANS, settle(path), NOON, {}, ALLOWED if fits else ("path",)) for path, fits in PATHS.items()}
DATA = {ref: workload_data(GRAPH, REGION, GRAPH.workloads[ref]) for ref in (TRANS, FRONTEND, WORKER)}


@pytest.fixture(scope="module")
def decisions() -> dict[str, opa.Decision]:
    questions = [
        opa.Question(data={"workload": DATA[ref], "risk": risks}, input=asked, now_ns=clock)
        for ref, asked, clock, risks, _ in VECTORS.values()
    ]
    return dict(zip(VECTORS, opa.ask(questions), strict=True))


def test_opa_decides_every_vector_as_written(decisions):
    wrong = {name: decisions[name].reasons for name, vector in VECTORS.items() if decisions[name].reasons != vector[4]}
    assert not wrong
    assert all(decision.allowed == (decision.reasons == ALLOWED) for decision in decisions.values())


def test_a_second_engine_gives_the_same_whole_document(decisions):
    compiled: dict[str, tuple[regopy.Interpreter, regopy.Bundle]] = {}
    differ = {}
    for name, (ref, asked, clock, risks, _) in VECTORS.items():
        if "\\x00" in name:
            continue
        key = json.dumps([ref, risks, clock])
        if key not in compiled:
            engine = regopy.Interpreter()
            for file in opa.rule_files():
                engine.add_module(file.name, file.read_text(encoding="utf-8"))
            engine.add_data({"workload": DATA[ref], "risk": risks})
            query = f"x := data.zerotrust.authz.decision with data.zerotrust.conditions.now_ns as {clock}"
            compiled[key] = (engine, engine.build(query))
        engine, bundle = compiled[key]
        engine.set_input(asked)
        answer = json.loads(str(engine.query_bundle(bundle)))["bindings"]["x"]
        if answer != decisions[name].answer:
            differ[name] = (answer, decisions[name].answer)
    assert not differ


def test_no_refusal_tells_the_caller_its_reason(decisions):
    told = {(decision.answer["body"], json.dumps(decision.answer["headers"])) for decision in decisions.values()}
    assert len(told) == 2, "one answer for everything allowed, one for everything refused"
