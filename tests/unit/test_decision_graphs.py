"""Random graphs: OPA allows a request exactly when the settings do, context included; read from the settings by other code."""

import itertools
import json
import random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components.decision.data import workload_data
from components.graph.model import Graph
from sandbox import opa
from tests.support import graphs, oracle

MOST_QUESTIONS = 600
LEVELS = ("low", "medium", "high")


def within(window: dict[str, str] | None, hour: int) -> bool:
    if not window:
        return True
    start, end = (int(window[key][:2]) for key in ("start", "end"))
    return start <= hour < end if start < end else hour >= start or hour < end


def allowed(tree: dict[str, Any], asked: dict[str, Any]) -> bool:
    """What the settings say of a request with its context."""
    ceiling = LEVELS.index(asked["risk"] or "low")
    scopes = set(asked["scopes"] or ())
    if asked["caller"] is None:
        return ceiling <= LEVELS.index("medium") and any(
            operation.covers(asked["method"], asked["path"])
            and asked["scopes"] is not None
            and asked["client"] in {ref.replace("/", ".") for ref in tree["access"]["routes"][operation.edge]["clients"]}
            and scopes >= set(tree["access"]["routes"][operation.edge]["scopes"])
            and asked["origin"] == asked["region"]
            for operation in oracle.routed(tree, asked["callee"])
        )
    for operation in oracle.declared(tree, asked["caller"], asked["origin"], asked["callee"], asked["region"]):
        wanted = tree["access"]["calls"][operation.edge].get("conditions") or {}
        limit, needed = wanted.get("amount_limit_minor_units"), set(wanted.get("scopes") or ())
        if (
            operation.covers(asked["method"], asked["path"])
            and scopes >= needed
            and within(wanted.get("hours"), asked["hour"])
            and (limit is None or (asked["amount"] is not None and asked["amount"] <= limit))
            and ceiling <= LEVELS.index(wanted.get("risk_ceiling", "medium"))
        ):
            return True
    return False


def principal(tree: dict[str, Any], asked: dict[str, Any]) -> str:
    namespace, account = (asked["caller"] or "istio-ingress/ingress-gateway").split("/")
    return f"{asked['origin']}.{tree['identity']['trust_domain_base']}/ns/{namespace}/sa/{account}"


def contexts(tree: dict[str, Any], edge: str | None, callee: str) -> list[dict[str, Any]]:
    """A context that most edges take, and every one that differs from it in one thing."""
    client = f"{callee.split('/', maxsplit=1)[0]}.web"
    limit = (tree["access"]["calls"].get(edge, {}).get("conditions") or {}).get("amount_limit_minor_units", 1)
    taken = {"client": client, "scopes": graphs.SCOPES, "hour": 22, "amount": 1, "risk": None}
    changes = {
        "client": ("x.web",),
        "scopes": (None, (), *((scope,) for scope in graphs.SCOPES)),
        "hour": (*range(3, 6), 23),
        "amount": (None, limit, limit + 1),
        "risk": LEVELS,
    }
    return [taken, *({**taken, key: value} for key, values in changes.items() for value in values)]


def questions(tree: dict[str, Any], chance: random.Random) -> list[dict[str, Any]]:
    """Pairs of every kind: each declared operation in every context, requests and pairs that are not declared in a kind one."""
    found: list[dict[str, Any]] = []
    for callee, region in itertools.product(oracle.services(tree), sorted(tree["regions"])):
        if region not in oracle.regions_of(tree, callee):
            continue
        for caller, origin in itertools.product([None, *oracle.services(tree)], sorted(tree["regions"])):
            edge = oracle.routed(tree, callee) if caller is None else oracle.declared(tree, caller, origin, callee, region)
            ends = {"caller": caller, "origin": origin, "callee": callee, "region": region}
            for operation in chance.sample(edge, min(len(edge), 2)):
                asked = {**ends, "method": operation.method, "path": operation.sample}
                found += [{**asked, **context} for context in contexts(tree, operation.edge, callee)]
            requests = oracle.requests(edge)
            for method, path in chance.sample(requests, min(len(requests), 8 if edge else 1)):
                found.append({**ends, "method": method, "path": path, **contexts(tree, None, callee)[0]})
    return chance.sample(found, min(len(found), MOST_QUESTIONS))


def as_question(tree: dict[str, Any], data: dict[str, Any], asked: dict[str, Any]) -> opa.Question:
    name = principal(tree, asked)
    claims = {"iss": tree["identity"]["issuer"], "azp": asked["client"], "scope": " ".join(asked["scopes"] or ())}
    body = None if asked["amount"] is None else json.dumps({"amount_minor_units": asked["amount"]})
    return opa.Question(
        data={"workload": data, "risk": {name: asked["risk"]} if asked["risk"] else {}},
        input=opa.request(
            f"spiffe://{name}", asked["method"], asked["path"], claims=None if asked["scopes"] is None else claims, body=body
        ),
        now_ns=asked["hour"] * 3600 * 10**9,
    )


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(tree=graphs.trees(tenants=3, services=8), seed=st.integers(0, 2**32))
def test_opa_allows_exactly_what_the_settings_allow(tree, seed):
    wanted = Graph.of(graphs.loaded(tree))
    data = {
        (ref, region): workload_data(wanted, region, workload)
        for ref, workload in wanted.workloads.items()
        for region in workload.regions
    }
    asked = questions(tree, random.Random(seed))  # noqa: S311 - picks cases, no secret
    decisions = opa.ask([as_question(tree, data[one["callee"], one["region"]], one) for one in asked])
    differ = [
        (one, decision.reasons, decision.edges)
        for one, decision in zip(asked, decisions, strict=True)
        if decision.allowed != allowed(tree, one)
    ]
    assert not differ
