"""What the access graph says of a request, which requests are made of it, and what counts as an answer and as a difference.

Held to the settings of the stack that the sandbox runs. That calls come out as expected is the proof's to show, not this file's.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from components.graph.model import Graph
from components.mesh.telemetry import access_log_provider
from components.settings import load_file
from components.settings.access import HoursSettings, OperationSettings
from sandbox.proof import matrix
from sandbox.proof.declared import Asked, declared, is_open, refuser, requests, sample, samples, unmet
from sandbox.proof.refusals import Trail
from sandbox.proof.results import Cell
from sandbox.proof.world import Answer, Pod

ROOT = Path(__file__).parents[2]
GRAPH = Graph.of(load_file(ROOT / "Pulumi.local.yaml"))
ALL = frozenset({"accounts.read", "transfers.write"})
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOME, OTHER = "eu-west-1", "eu-central-1"
FIELDS = tuple(access_log_provider()["envoyFileAccessLog"]["logFormat"]["labels"])


def asked(caller: str, callee: str, method: str, path: str, **other: Any) -> Asked:
    return Asked(
        **{
            "region": HOME,
            "callee_region": HOME,
            "way": "sidecar",
            "scopes": ALL,
            "caller": GRAPH.workloads[caller],
            "callee": GRAPH.workloads[callee],
            "method": method,
            "path": path,
            **other,
        }
    )


TRANSFER = asked("bank-a/api-ms", "bank-b/trans-ms", "POST", "/transfer")


def test_a_declared_request_is_expected_to_be_answered_by_its_edge() -> None:
    assert declared(GRAPH, TRANSFER, NOON) == "bank-a-api-to-bank-b-trans"
    assert declared(GRAPH, asked("bank-a/frontend", "bank-a/api-ms", "GET", "/accounts/7"), NOON) == "bank-a-frontend-to-api"
    assert declared(GRAPH, asked("bank-b/worker", "bank-b/trans-ms", "GET", "/settlements/7/x"), NOON) == "bank-b-worker-to-trans"


@pytest.mark.parametrize(
    "other",
    [
        {"method": "GET"},
        {"path": "/transfers"},
        {"path": "/transfer/7"},
        {"path": "/"},
        {"caller": GRAPH.workloads["bank-a/frontend"]},
        {"caller": GRAPH.workloads["bank-b/api-ms"]},
        {"callee": GRAPH.workloads["bank-a/trans-ms"]},
        {"scopes": None},
        {"scopes": frozenset({"accounts.read"})},
        {"amount": 100_000_001},
    ],
)
def test_any_other_request_is_not(other: dict[str, Any]) -> None:
    assert declared(GRAPH, replace(TRANSFER, **other), NOON) == ""


def test_what_is_not_declared_is_refused_by_the_first_layer_that_knows_enough() -> None:
    frontend = replace(TRANSFER, caller=GRAPH.workloads["bank-a/frontend"])
    home_only = replace(TRANSFER, callee=GRAPH.workloads["bank-a/auth-ms"])
    assert refuser(GRAPH, replace(TRANSFER, scopes=None)) == "opa"
    assert refuser(GRAPH, replace(TRANSFER, scopes=None, way="east-west", callee_region=OTHER)) == "opa"
    assert refuser(GRAPH, replace(TRANSFER, path="/transfers")) == "mesh-authorization"
    assert refuser(GRAPH, frontend) == "egress"
    assert refuser(GRAPH, replace(frontend, way="direct")) == "mesh-authorization"
    assert refuser(GRAPH, replace(frontend, way="east-west", callee_region=OTHER)) == "mesh-authorization"
    assert refuser(GRAPH, replace(home_only, way="east-west", callee_region=OTHER)) == "gateway"


def test_another_region_is_reached_by_calls_of_every_region_alone() -> None:
    assert declared(GRAPH, replace(TRANSFER, callee_region=OTHER), NOON) == "bank-a-api-to-bank-b-trans"
    introspect = asked("bank-a/api-ms", "bank-a/auth-ms", "POST", "/introspect")
    assert declared(GRAPH, introspect, NOON) == "bank-a-api-to-auth"
    assert declared(GRAPH, replace(introspect, callee_region=OTHER), NOON) == ""


@pytest.mark.parametrize(
    ("start", "end", "at", "expected"),
    [
        ("05:00", "23:00", "05:00", True),
        ("05:00", "23:00", "22:59", True),
        ("05:00", "23:00", "23:00", False),
        ("05:00", "23:00", "04:59", False),
        ("22:00", "04:00", "22:00", True),
        ("22:00", "04:00", "03:59", True),
        ("22:00", "04:00", "04:00", False),
        ("22:00", "04:00", "12:00", False),
    ],
)
def test_hours_are_from_the_first_minute_to_the_one_before_the_end(start: str, end: str, at: str, expected: bool) -> None:  # noqa: FBT001
    hours = HoursSettings(start=start, end=end)
    assert is_open(hours, datetime.fromisoformat(f"2026-11-21T{at}:59Z")) is expected


def test_what_is_lacking_has_its_name() -> None:
    of_call = next(call for call in GRAPH.calls if call.key == "bank-a-api-to-bank-b-trans").conditions
    conditions = of_call.model_copy(update={"hours": HoursSettings(start="05:00", end="23:00")})
    night = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
    assert unmet(conditions, TRANSFER, NOON) == ()
    assert unmet(conditions, replace(TRANSFER, scopes=None), NOON) == ("token", "scope")
    assert unmet(conditions, replace(TRANSFER, scopes=frozenset({"accounts.read"})), NOON) == ("scope",)
    assert unmet(conditions, replace(TRANSFER, amount=100_000_001), night) == ("amount", "hours")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("/", "/"), ("/accounts", "/accounts"), ("/accounts/{id}/x", "/accounts/7/x"), ("/settlements/*", "/settlements/7")],
)
def test_a_sample_is_a_path_that_the_pattern_means(pattern: str, path: str) -> None:
    assert sample(pattern) == path


def test_a_callee_is_asked_for_all_that_is_declared_and_for_each_with_another_method_and_path() -> None:
    for callee in GRAPH.workloads.values():
        found = samples(GRAPH, callee)
        edges: Sequence[Any] = (*GRAPH.index.calls_to.get(callee.ref, ()), *GRAPH.routes_to(callee))
        operations: list[OperationSettings] = [operation for edge in edges for operation in edge.operations]
        wanted = {(method, sample(path)) for one in operations for method in one.methods for path in one.paths}
        assert wanted <= set(found)
        for method, path in wanted:
            assert [other for other, same in found if same == path and (other, path) not in wanted], (callee.ref, path)
            assert (method, path.rstrip("/") + "/undeclared") in found
        assert ("GET", "/undeclared") in found
        assert len(set(found)) == len(found)


def test_every_ordered_pair_is_asked_in_every_region_and_way() -> None:
    pairs = Counter((one.region, one.caller.ref, one.callee.ref, one.way) for one in requests(GRAPH))
    serving = [callee for callee in GRAPH.workloads.values() if callee.serves]
    wanted = {
        (region, caller, callee.ref, way)
        for region in GRAPH.regions
        for caller in GRAPH.workloads
        for callee in serving
        for way in ("sidecar", "direct", "east-west")
        if caller != callee.ref
    }
    assert set(pairs) == wanted
    assert min(pairs.values()) >= 4


def test_each_condition_is_left_unmet_once_by_the_one_who_else_may() -> None:
    lesser = [one for one in requests(GRAPH) if one.lacking]
    assert {one.lacking for one in lesser} == {"token", "scope", "amount"}
    for one in lesser:
        assert declared(GRAPH, one, NOON) == ""
        assert declared(GRAPH, replace(one, scopes=ALL, amount=1), NOON) == "bank-a-api-to-bank-b-trans"


def test_every_call_of_the_graph_is_made_with_all_that_it_asks_for() -> None:
    made = {declared(GRAPH, one, NOON) for one in requests(GRAPH)}
    assert made == {"", *(call.key for call in GRAPH.calls)}


class Running:
    """A world in which every request is answered as it is told; refusals stand in the logs, in the words of who must refuse."""

    said: Final = {
        "opa": {"details": "ext_authz_denied"},
        "egress": {"details": "direct_response", "status": 502},
        "gateway": {"details": "filter_chain_not_found"},
        "mesh-authorization": {"details": "rbac_access_denied_matched_policy[none]"},
    }

    def __init__(self, verdict: Any) -> None:
        self.graph, self.settings, self.clusters = GRAPH, GRAPH.settings, dict.fromkeys(GRAPH.regions)
        self.verdict, self.entries = verdict, []

    def pod(self, region: str, workload: Any) -> Pod:
        return _pod(region, workload.tenant, workload.name)

    def pods(self, region: str, namespace: str, **_labels: str) -> list[Pod]:
        return [_pod(region, namespace, "gateway")]

    def url(self, workload: Any, path: str) -> str:
        return f"http://{workload.name}.{workload.tenant}.svc.cluster.local:8080{path}"

    def logs(self, _pod: Pod, _container: str, _since: str) -> list[str]:
        return self.entries

    def batch(self, pod: Pod, wanted: Sequence[dict[str, Any]], *_flags: str, user: int | None = None) -> list[Answer]:
        return [self._answer(pod, one, user) for one in wanted]

    def _answer(self, pod: Pod, one: dict[str, Any], _user: int | None) -> Answer:
        request = one["headers"][0].removeprefix("x-request-id: ")
        service, tenant = one["url"].split("/")[2].split(":")[0].split(".")[:2]
        path = "/" + one["url"].split("/", 3)[3]
        region = pod.region if "eastwest" not in one.get("address", "") else OTHER
        allowed, layer = self.verdict(pod, f"{tenant}/{service}", one, path)
        if not allowed and layer:
            said = {"request_id": request, "time": "2026-11-21T12:00:00Z", **self.said[layer]}
            self.entries.append(json.dumps({**dict.fromkeys(FIELDS), **said}))
        identity = f"spiffe://{GRAPH.trust_domain(region)}/ns/{tenant}/sa/{service}"
        body = json.dumps({"identity": identity}) if allowed else '{"error":"forbidden"}'
        return Answer(status=200 if allowed else 403, body=body, error="", at="2026-11-21T12:00:00Z", seconds=0.01)


class Bearers:
    def access_token(self, _client: Any, scopes: Sequence[str]) -> str:
        return " ".join(scopes)


def _pod(region: str, namespace: str, name: str) -> Pod:
    return Pod(region=region, namespace=namespace, name=name, node="", address="10.0.0.2", labels={}, processes={}, ready=True)


def _as_declared(pod: Pod, callee: str, one: dict[str, Any], path: str) -> tuple[bool, str]:
    body = json.loads(one["body"] or "{}")
    token = next((line.removeprefix("Authorization: Bearer ") for line in one["headers"] if line.startswith("Auth")), None)
    scopes = None if token is None else frozenset(token.split())
    meant = asked(
        f"{pod.namespace}/{pod.name}",
        callee,
        one["method"],
        path,
        scopes=scopes,
        amount=body.get("amount_minor_units", 1),
        way="direct" if "server_name" in one else "sidecar",
    )
    return bool(declared(GRAPH, meant, NOON)), refuser(GRAPH, meant)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The cells of a world with a verdict, those within one region."""
    near = [one for one in requests(GRAPH) if one.way != "east-west"]
    monkeypatch.setattr(matrix, "requests", lambda _graph: near)
    monkeypatch.setattr(matrix, "_TICK_SECONDS", 0.0)
    monkeypatch.setattr(matrix, "_FLUSH_SECONDS", 0.2)

    def make(verdict: Any) -> tuple[Cell, ...]:
        world: Any = Running(verdict)
        bearers: Any = Bearers()
        return matrix.cells(world, bearers, lambda _said: None)

    return make


def test_a_world_that_does_what_is_declared_differs_nowhere(made: Any) -> None:
    found = made(_as_declared)
    assert matrix.differences(found) == ()
    assert sum(cell.allowed for cell in found) == sum(bool(cell.edge) for cell in found) > 0
    assert {cell.stopped_by for cell in found if not cell.allowed} == {"mesh-authorization", "opa", "egress"}
    assert {cell.status for cell in found} == {200, 403}


def test_one_request_too_many_that_is_answered_is_a_difference(made: Any) -> None:
    def wider(pod: Pod, callee: str, one: dict[str, Any], path: str) -> tuple[bool, str]:
        allowed, layer = _as_declared(pod, callee, one, path)
        return allowed or (callee, path) == ("bank-a/auth-ms", "/undeclared"), layer

    found = matrix.differences(made(wider))
    assert found
    assert {(cell.callee, cell.path, cell.edge, cell.allowed) for cell in found} == {("bank-a/auth-ms", "/undeclared", "", True)}


def test_a_declared_request_that_is_refused_is_a_difference(made: Any) -> None:
    def narrower(pod: Pod, callee: str, one: dict[str, Any], path: str) -> tuple[bool, str]:
        allowed, layer = _as_declared(pod, callee, one, path)
        return path != "/transfer" and allowed, layer

    assert {(cell.edge, cell.lacking) for cell in matrix.differences(made(narrower))} == {("bank-a-api-to-bank-b-trans", "")}


def test_a_refusal_by_another_layer_than_the_one_that_must_is_a_difference(made: Any) -> None:
    def by_one_alone(pod: Pod, callee: str, one: dict[str, Any], path: str) -> tuple[bool, str]:
        allowed, layer = _as_declared(pod, callee, one, path)
        return allowed, "mesh-authorization" if layer == "opa" else layer

    found = matrix.differences(made(by_one_alone))
    assert {cell.lacking for cell in found} == {"token", "scope", "amount"}
    assert {(cell.expected, cell.stopped_by) for cell in found} == {("opa", "mesh-authorization")}


def test_a_refusal_that_nobody_owns_up_to_is_a_difference(made: Any) -> None:
    def silent(pod: Pod, callee: str, one: dict[str, Any], path: str) -> tuple[bool, str]:
        allowed, layer = _as_declared(pod, callee, one, path)
        return allowed, "" if callee == "shared/notifications" else layer

    assert {cell.callee for cell in matrix.differences(made(silent))} == {"shared/notifications"}


def test_a_gateways_line_stands_for_one_request_and_the_other_way_round() -> None:
    host = "outbound_.8080_._.auth-ms.bank-a.svc.cluster.local"
    meant = replace(TRANSFER, callee=GRAPH.workloads["bank-a/auth-ms"], way="east-west", callee_region=OTHER)

    def sent(second: float, took: float) -> Any:
        at = datetime.fromtimestamp(NOON.timestamp() + second, UTC).isoformat()
        answer = Answer(status=0, body="", error="EOF", at=at, seconds=took)
        return matrix.Sent(asked=meant, request="one", answer=answer)

    def line(second: float, **said: Any) -> dict[str, Any]:
        at = datetime.fromtimestamp(NOON.timestamp() + second, UTC).isoformat()
        return {"time": at, "server_name": host, "details": "filter_chain_not_found", **said}

    def named(waiting: list[Any], *lines: dict[str, Any]) -> list[int]:
        gateways = {OTHER: [Trail(_pod(OTHER, "istio-eastwest", "gateway"), lines)], HOME: []}
        found = matrix._at_gateways(waiting, gateways)
        assert set(found.values()) <= {"gateway"}
        return [number for number, one in enumerate(waiting) if id(one) in found]

    long, short = sent(0, 5), sent(1, 1)
    assert named([long, short], line(1.5)) == [1]
    assert named([long, short], line(1.5), line(1.6)) == [0, 1]
    assert named([long, short], line(3), line(1.5)) == [0, 1]
    assert named([short], line(4), line(1.5, server_name="another"), line(1.5, request_id="x"), line(1.5, details="")) == []


def test_an_answer_counts_when_the_callee_itself_gave_it() -> None:
    def sent(body: str, status: int = 200) -> Any:
        answer = Answer(status=status, body=body, error="", at="2026-11-21T12:00:00Z", seconds=0.01)
        return matrix.Sent(asked=TRANSFER, request="one", answer=answer)

    own = f"spiffe://{GRAPH.trust_domain(HOME)}/ns/bank-b/sa/trans-ms"
    assert matrix.answered(GRAPH, sent(json.dumps({"identity": own})))
    assert matrix.answered(GRAPH, sent(json.dumps({"identity": own}), 502))
    assert not matrix.answered(GRAPH, sent(json.dumps({"identity": own.replace("trans-ms", "api-ms")})))
    assert not matrix.answered(GRAPH, sent(json.dumps({"identity": own.replace(HOME, OTHER)})))
    assert not matrix.answered(GRAPH, sent("ok"))
    assert not matrix.answered(GRAPH, sent("[]"))
