"""What is promised for an outage or a rotation is judged from the outcomes alone. By hand-made outcomes, no sandbox."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from components.graph.model import Graph
from components.settings import load_file
from sandbox.local.plan import Plan
from sandbox.proof import faults, sights
from sandbox.proof.credentials import caller_certificate, serial
from sandbox.proof.journal import NOTES
from sandbox.proof.load import Outcome, recovered
from sandbox.proof.losses import FROZEN, Fault
from sandbox.proof.outages import Seen, judged
from sandbox.proof.results import Evidence, Outage
from sandbox.proof.rotations import Watched
from sandbox.proof.rotations import judged as judged_rotation
from sandbox.proof.traffic import sample
from sandbox.proof.world import Answer, Pod, ProofError, World

FAULT: Final = Fault(
    component="OPA",
    how=FROZEN,
    region="eu-west-1",
    promise="refused",
    source="a document",
    namespace="bank-a",
    container="opa",
    hurts=frozenset({"hurt"}),
)
BEGAN, RETURNED = 100.0, 110.0


def answer(*, ok: bool) -> Answer:
    return Answer(status=200 if ok else 403, body="{}", error="", at="2026-11-21T00:00:00Z", seconds=0.1)


def outcome(stream: str, at: float, *, ok: bool, authorised: bool = True) -> Outcome:
    return Outcome(stream=stream, authorised=authorised, began=at, ended=at + 0.1, answer=answer(ok=ok), reached=ok)


def outcomes(*, hurt_from: float = BEGAN, hurt_to: float = RETURNED) -> list[Outcome]:
    """From before to after the outage: one stream that it hurts for a time, one that it does not, one that is forbidden."""
    times = [99.0 + step * 0.5 for step in range(30)]
    return [
        *(outcome("hurt", at, ok=not hurt_from <= at < hurt_to) for at in times),
        *(outcome("other", at, ok=True) for at in times),
        *(outcome("forbidden", at, ok=False, authorised=False) for at in times),
    ]


def seen(found: list[Outcome], **fields: object) -> Seen:
    return replace(Seen(outcomes=tuple(found), began=BEGAN, returned=RETURNED), **fields)  # type: ignore[arg-type]


def verdict(found: list[Outcome], fault: Fault = FAULT, **fields: object) -> Outage:
    return judged(fault, seen(found, **fields))


def test_a_component_without_which_requests_are_refused_keeps_its_promise() -> None:
    found = verdict(outcomes(hurt_to=111.0))
    assert found.holds
    assert (found.lost, found.answered) == (22, 0)
    assert found.recovered == pytest.approx(1.1)
    assert found.allowed == 2 * 28
    assert found.forbidden == 28


def test_an_authorised_answer_while_the_decider_is_away_is_a_decider_that_was_not_asked() -> None:
    assert not verdict(outcomes(hurt_from=103.0)).holds


def test_a_stream_that_never_failed_was_not_refused() -> None:
    assert not verdict(outcomes(hurt_from=0.0, hurt_to=0.0)).holds


def test_one_forbidden_answer_is_too_many() -> None:
    found = verdict([*outcomes(), outcome("forbidden", 112.0, ok=True, authorised=False)])
    assert not found.holds
    assert found.answered == 1
    assert any(one.source == "forbidden" for one in found.evidence)


def test_a_stream_that_the_outage_does_not_hurt_loses_nothing() -> None:
    assert not verdict([*outcomes(), outcome("other", 105.0, ok=False)]).holds


def test_a_promise_that_nobody_notices_is_broken_by_one_lost_request() -> None:
    kept = replace(FAULT, promise="kept", hurts=frozenset())
    quiet = [one for one in outcomes() if one.stream != "hurt"]
    found = verdict(quiet, kept)
    assert found.holds
    assert found.recovered is None
    assert not verdict([*quiet, outcome("other", 105.0, ok=False), outcome("other", 106.0, ok=True)], kept).holds


def test_what_was_lost_before_the_outage_is_not_its() -> None:
    kept = replace(FAULT, promise="kept", hurts=frozenset())
    quiet = [one for one in outcomes() if one.stream != "hurt"]
    assert verdict([outcome("other", 99.2, ok=False), *quiet], kept).holds


def test_requests_that_do_not_come_back_break_every_promise() -> None:
    found = verdict(outcomes(hurt_to=1000.0))
    assert not found.holds
    assert found.recovered is None
    assert not verdict(outcomes(), trouble="not steady within 60 s").holds


@pytest.mark.parametrize(("most", "holds"), [(9.0, False), (11.0, True)])
def test_what_is_promised_within_a_time_is_held_to_it(most: float, holds: bool) -> None:  # noqa: FBT001 - a case's own
    assert verdict(outcomes(), replace(FAULT, within=most)).holds is holds


def test_what_else_must_be_seen_counts() -> None:
    sight = Evidence(source="the API server", words="would make it")
    found = verdict(outcomes(), looked=((sight, False),))
    assert not found.holds
    assert sight in found.evidence


@pytest.mark.parametrize("missing", ["forbidden", "authorised"])
def test_an_outage_without_requests_shows_nothing(missing: str) -> None:
    assert not verdict([one for one in outcomes() if one.authorised != (missing == "authorised")]).holds


@pytest.mark.parametrize("stream", ["hurt", "other", "forbidden"])
def test_an_outage_of_which_a_stream_noticed_nothing_shows_nothing(stream: str) -> None:
    def away(one: Outcome) -> bool:
        return one.stream == stream and BEGAN <= one.began <= RETURNED

    loose = replace(FAULT, within=20.0)
    assert verdict(outcomes(), loose).holds
    assert not verdict([one for one in outcomes() if not away(one)], loose).holds
    assert not verdict(outcomes(), loose, away=109.6, returned=109.9).holds


def test_a_cache_was_away_when_the_service_says_so_and_is_back_when_it_does_no_more() -> None:
    class Known:
        graph = Graph.of(load_file(Path(__file__).parents[2] / "Pulumi.local.yaml"))

    world: Any = Known()
    callee = next(call.callee for call in world.graph.calls if call.key == sights.TRANSFER)

    def booked(error: str = "", region: str = "eu-west-1") -> Outcome:
        result = {"id": 1, "database_user": "v"} | ({"cache_error": error} if error else {})
        body = json.dumps({"identity": f"spiffe://{world.graph.principal(callee, region)}", "result": result})
        said = replace(answer(ok=True), body=body)
        return Outcome(stream=sights.TRANSFER, authorised=True, began=0.0, ended=0.1, answer=said, reached=True)

    def holds(*found: Outcome) -> bool:
        return sights.cache_was_missed(world, "eu-west-1", found)[0][1]

    back = [booked()] * 3
    assert holds(booked("connection refused"), *back)
    assert not holds(*back)
    assert not holds(booked("connection refused", "eu-central-1"), *back)
    assert not holds(*back, booked("connection refused"))


def test_recovery_is_the_slowest_streams_first_answer_of_an_unbroken_row() -> None:
    found = [
        outcome("one", 109.0, ok=False),
        outcome("one", 111.0, ok=True),
        outcome("one", 112.0, ok=False),
        outcome("one", 113.0, ok=True),
        outcome("two", 110.5, ok=True),
    ]
    assert recovered(found, RETURNED) == pytest.approx(3.1)
    assert recovered([one for one in found if one.stream == "two"], RETURNED) == 0.0
    assert recovered([outcome("one", 120.0, ok=False)], RETURNED) is None


def rotated(found: list[Outcome], **fields: object) -> Watched:
    whole = Watched(subject="an identity", began=BEGAN, ended=115.0, outcomes=tuple(found), changes=3, evidence=())
    return replace(whole, **fields)  # type: ignore[arg-type]


def test_a_rotation_holds_only_when_enough_was_replaced_and_no_request_failed() -> None:
    quiet = outcomes(hurt_from=0.0, hurt_to=0.0)
    assert judged_rotation(rotated(quiet)).holds
    assert not judged_rotation(rotated(quiet, changes=2)).holds
    assert not judged_rotation(rotated(quiet, trouble="it did not end")).holds
    nobody = Evidence(source="around the sidecar", words="no log says who refused it")
    unowned = judged_rotation(rotated(quiet, refused=((nobody, False),)))
    assert not unowned.holds
    assert nobody in unowned.evidence
    assert not judged_rotation(rotated([one for one in quiet if one.authorised])).holds
    assert not judged_rotation(rotated([])).holds
    broken = judged_rotation(rotated(outcomes()))
    assert not broken.holds
    assert broken.failed == 20
    answered = judged_rotation(rotated([*quiet, outcome("forbidden", 105.0, ok=True, authorised=False)]))
    assert not answered.holds
    assert answered.failed == 1


class Local(World):
    """A home, and nothing that runs."""

    def __init__(self, home: Path) -> None:
        self.plan = Plan(home=home, regions=())


@pytest.fixture
def world(tmp_path: Path) -> Local:
    return Local(tmp_path)


@contextmanager
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def state(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_what_is_frozen_goes_on_even_when_looking_at_it_fails(world: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    with sleeping() as process:
        pod = Pod(
            region="eu-west-1",
            namespace="bank-a",
            name="a",
            node="n",
            address="",
            labels={},
            processes={"opa": process.pid},
            ready=True,
        )
        monkeypatch.setattr(faults, "processes", lambda number: [number])

        def look() -> None:
            assert state(process) == "T"
            assert [one.read_text() for one in (world.plan.home / NOTES).iterdir()] == ["opa of bank-a/a in eu-west-1 frozen"]
            msg = "looked"
            raise ProofError(msg)

        with pytest.raises(ProofError, match="looked"), faults.frozen(world, pod, "opa"):
            look()
        os.waitid(os.P_PID, process.pid, os.WCONTINUED)
        assert state(process) != "T"
        assert not list((world.plan.home / NOTES).iterdir())


def test_a_containers_processes_are_those_of_its_control_groups(tmp_path: Path) -> None:
    for number, groups in ((10, "0::/a\n"), (11, "0::/a\n"), (12, "0::/b\n")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cgroup").write_text(groups, encoding="utf-8")
    (tmp_path / "13").mkdir()
    assert faults.processes(10, tmp_path) == [10, 11]
    with pytest.raises(ProofError, match="no more"):
        faults.processes(13, tmp_path)


def test_a_process_began_when_it_was_started() -> None:
    before = time.time()
    with sleeping() as process:
        assert faults.begun(process.pid) == pytest.approx(before, abs=0.5)


def test_a_container_runs_again_only_by_a_process_begun_after_it_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = Pod(region="r", namespace="n", name="a", node="n", address="", labels={}, processes={"opa": 1}, ready=True)
    others = iter([replace(pod, processes=found) for found in ({"opa": 1}, {"opa": 2}, {}, {"opa": 3})])

    class Listed(Local):
        def pods(self, region: str, namespace: str, **labels: str) -> list[Pod]:
            assert (region, namespace, labels) == ("r", "n", {})
            return [replace(pod, name="another", processes={"opa": 9}), next(others)]

    monkeypatch.setattr(faults, "begun", {1: 10.0, 2: 11.0, 3: 21.0, 9: 30.0}.__getitem__)
    assert faults.await_again(Listed(Path("/nothing")), pod, "opa", 20.0) == 21.0


def test_a_restart_is_over_when_only_ready_pods_that_are_new_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (
        Pod(region="r", namespace="bank-b", name=name, node="n", address="", labels={}, processes={}, ready=True)
        for name in ("old", "new")
    )
    steps = iter(
        [
            ([old], True),  # before
            ([old, new], True),
            ([replace(new, ready=False)], True),
            ([new], True),  # the old one is no endpoint any more, and still ends
            ([new], False),
            ([], False),
        ]
    )
    left: list[Any] = []
    applied: list[Mapping[str, Any]] = []

    class Replaced(Local):
        def pods(self, *_: str, **__: str) -> list[Pod]:
            left[:] = next(steps)
            return list(left[0])

    class Server:
        def apply(self, wanted: Mapping[str, Any], manager: str) -> None:
            applied.append(wanted)
            assert manager

        def get(self, _api: str, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
            assert (kind, namespace, name) == ("Pod", "bank-b", "old")
            return {"kind": kind} if left[1] else None

    monkeypatch.setattr(faults, "replicas", lambda *_: 1)
    world = Replaced(Path("/nothing"))
    world.clusters = cast("Any", {"r": Server()})
    workload = Graph.of(load_file(Path(__file__).parents[2] / "Pulumi.local.yaml")).workloads["bank-b/trans-ms"]
    faults.restart(world, "r", workload)
    assert next(steps) == ([], False), "it looked until the old one was gone, and no longer"
    assert applied[0]["metadata"] == {"name": "trans-ms", "namespace": "bank-b"}
    assert list(applied[0]["spec"]["template"]["metadata"]["annotations"]) == ["kubectl.kubernetes.io/restartedAt"]


def test_a_sample_fits_the_settings_pattern() -> None:
    assert sample("/accounts/{id}") == "/accounts/7"
    assert sample("/settlements/*") == "/settlements/7"
    assert sample("/transfer") == "/transfer"


def test_what_is_no_certificate_has_no_serial_number() -> None:
    with pytest.raises(ProofError):
        serial(b"nothing")
    assert caller_certificate(f"By=spiffe://a;Hash={'ab' * 32};URI=spiffe://b") == "ab" * 32
    assert not caller_certificate("{}")
