"""Spellings of a path before the compiled edges: what Envoy forwards is something the settings allow, whatever was written.

Envoy normalises, Istio's rule matches and the same normalised path is what the service gets and what the pod's OPA is asked
about. So a vector is safe when it is refused, or when the path that is forwarded is itself declared. OPA is asked about the
forwarded path and must refuse what a service could read once more: it is stricter than Istio, never laxer than the settings.
Not proven: what a service makes of a path that both admit.
"""

from functools import cache

import pytest

from sandbox import opa
from sandbox.istio_verdicts import Request
from tests.support import oracle
from tests.support.equivalence_engines import Engines
from tests.support.equivalence_world import worlds
from tests.support.program import stack_settings

REGION = "eu-west-1"
EXACT = {
    "caller": "bank-b/auth-ms",
    "method": "POST",
    "paths": (
        *(
            "/authorize",
            "/authorize?x=1",
            "//authorize",
            "/./authorize",
            "/x/../authorize",
            "/%61uthorize",
            "/x%2f..%2fauthorize",
        ),
        *("/authorize/", "/authorize%2f", "/AUTHORIZE", "/authorize;x=1", "/authorize/..;/authorize", "/%252e%252e/authorize"),
        *("/authorize%3fx", "/authorize%20", "/authorize%00", "/authorize/../transfer", "/authorizex", "/authorize/x"),
    ),
}
PREFIX = {
    "caller": "bank-b/worker",
    "method": "GET",
    "paths": (
        *("/settlements/7", "/settlements/", "/settlements/a/b", "/settlements", "/settlementsx"),
        *("/settlements/../authorize", "/settlements/%2e%2e/authorize", "/settlements/.%2e/authorize"),
        *("/settlements/..\\authorize", "/settlements/..;/authorize", "/settlements/..%2fauthorize"),
        *("/settlements/..%5cauthorize", "/settlements//../authorize", "/settlements/%252e%252e/authorize"),
        *("/settlements/..%00/authorize", "/settlements/%2e%2e;/authorize", "/settlements/..%3b/authorize"),
        *("/settlements/x;y=1", "/settlements/%2e;/authorize", "//settlements/7", "/x/../settlements/7"),
    ),
}
READ_AGAIN = ("/settlements/%252e%252e/authorize", "/settlements/%2e%2e;/authorize", "/settlements/..%3b/authorize")
"""What Istio forwards below the prefix and a careless service would take for something above it: OPA alone refuses."""


@cache
def engines():
    return Engines()


@cache
def answers(which):
    """By path: Istio's verdict, the path forwarded, OPA's verdict on the path forwarded, and whether it is declared."""
    case = {"exact": EXACT, "prefix": PREFIX}[which]
    tree = stack_settings("dev")
    world, engine = worlds(tree)[REGION], engines()
    identity = world.identities[case["caller"]]
    leaf = engine.pki.leaves({"caller": f"spiffe://{identity}"}, signed_by=world.domain)["caller"]
    method = case["method"]
    asked = [Request(proxy="bank-b/trans-ms", caller=leaf, method=method, path=path, host="trans-ms") for path in case["paths"]]
    _, said = engine.envoy(world, asked)
    forwarded = {path: answer.path for path, answer in zip(case["paths"], said, strict=True) if answer.verdict == "200"}
    data = world.opa("bank-b/trans-ms")
    decided = opa.evaluate(data, [opa.request(f"spiffe://{identity}", method, path) for path in forwarded.values()])
    declared = oracle.declared(tree, case["caller"], REGION, "bank-b/trans-ms", REGION)
    return {
        path: (answer.verdict, forwarded.get(path, ""), None, False) for path, answer in zip(case["paths"], said, strict=True)
    } | {
        path: ("200", target, decision.allowed, any(one.covers(method, target.split("?")[0]) for one in declared))
        for (path, target), decision in zip(forwarded.items(), decided, strict=True)
    }


@pytest.mark.parametrize("which", ["exact", "prefix"])
def test_nothing_is_forwarded_that_is_not_declared(which):
    found = answers(which)
    assert {path for path, (verdict, *_) in found.items() if verdict not in {"200", "400", "403"}} == set()
    assert {path: target for path, (verdict, target, _, declared) in found.items() if verdict == "200" and not declared} == {}
    assert sum(verdict == "200" for verdict, *_ in found.values()) >= 5
    assert sum(verdict != "200" for verdict, *_ in found.values()) >= 5


def test_an_exact_path_has_one_spelling_at_the_service():
    targets = {target.split("?")[0] for verdict, target, *_ in answers("exact").values() if verdict == "200"}
    assert targets == {"/authorize"}
    assert all(decided for verdict, _, decided, _ in answers("exact").values() if verdict == "200")


def test_opa_refuses_what_a_service_could_read_once_more():
    found = answers("prefix")
    assert {path for path, (verdict, _, decided, _) in found.items() if verdict == "200" and not decided} >= set(READ_AGAIN)
    passed = {target for verdict, target, decided, _ in found.values() if verdict == "200" and decided}
    assert passed >= {"/settlements/7", "/settlements/a/b"}
    assert not [target for target in passed if any(mark in target for mark in (";", "%", "\\", "..", "//"))]
