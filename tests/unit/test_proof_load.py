"""A load's requests: who answered, by whom a refusal is owned up to, and when it is steady. By a program of this test's."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.proof import sights
from sandbox.proof.load import Load, Outcome, Stream, meanwhile, outcome_of
from sandbox.proof.world import Answer, Pod, ProofError, World


@pytest.mark.parametrize(
    ("began", "ended", "counts"),
    [(99, 100.5, False), (99, 111, True), (100, 101, True), (110, 115, True), (110.5, 111, False), (90, 91, False)],
)
def test_a_request_falls_into_a_time_when_it_is_sent_in_it_or_waits_all_of_it(
    began: float, ended: float, *, counts: bool
) -> None:
    one = replace(refused_at(1), began=began, ended=ended)
    assert (meanwhile([one], 100, 110) == [one]) is counts


OWN: Final = frozenset({"spiffe://here/ns/a/sa/b", "spiffe://there/ns/a/sa/b"})


def line(status: int, body: object) -> str:
    return json.dumps({"status": status, "body": json.dumps(body), "error": "", "at": "2026-11-21T21:00:00.5Z", "seconds": 0.25})


@pytest.mark.parametrize(
    ("status", "body", "authorised", "forbidden"),
    [
        (200, {"identity": "spiffe://there/ns/a/sa/b"}, True, True),
        (502, {"identity": "spiffe://here/ns/a/sa/b"}, False, True),
        (200, {"identity": "spiffe://here/ns/a/sa/c"}, False, True),
        (200, [], False, True),
        (403, {"error": "no"}, False, False),
    ],
)
def test_the_service_itself_answers_or_nobody_does(status: int, body: object, *, authorised: bool, forbidden: bool) -> None:
    stream = Stream(name="call", authorised=True, pod=None, url="http://service/", callees=OWN)
    assert outcome_of(stream, line(status, body)).answered is authorised
    assert outcome_of(replace(stream, authorised=False), line(status, body)).answered is forbidden


def test_a_line_of_the_calling_program_becomes_an_outcome() -> None:
    stream = Stream(name="call", authorised=True, pod=None, url="http://service/", callees=OWN)
    found = outcome_of(stream, line(200, {}))
    assert found.ended - found.began == pytest.approx(0.25)
    with pytest.raises(ValueError, match="Expecting"):
        outcome_of(stream, "cut o")


class Local(World):
    """Calls a program of this test's in place of the real one, and enters nowhere."""

    def __init__(self, program: Path) -> None:
        self.__dict__["app"] = program


HERE: Final = frozenset({"here"})
PROGRAM: Final = f"""#!{sys.executable} -IS
import datetime, json, sys, time
if sys.argv[-1] == "http://silent/":
    time.sleep(60)
for _ in range(3):
    said = json.dumps({{"identity": "here", "shown": " ".join(sys.argv)}}) if sys.argv[-1] == "http://open/" else "no"
    status, at = 200 if said != "no" else 403, datetime.datetime.now(datetime.UTC).isoformat()
    print(json.dumps(dict(status=status, body=said, error="", at=at, seconds=0.01)), flush=True)
    time.sleep(0.02)
"""


@pytest.fixture
def world(tmp_path: Path) -> Local:
    program = tmp_path / "app"
    program.write_text(PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    return Local(program)


def test_a_load_goes_on_with_a_new_process_and_a_token_asked_anew_and_leaves_none_behind(world: Local) -> None:
    tokens = iter(range(10_000))
    opened = Stream(
        name="open",
        authorised=True,
        pod=None,
        url="http://open/",
        callees=HERE,
        token=lambda: f"token-{next(tokens)}",
        every=0.02,
    )
    closed = Stream(name="closed", authorised=False, pod=None, url="http://closed/", callees=HERE, every=0.02)
    with Load(world, (opened, closed)) as load:
        load.wait_unbroken(time.time(), row=4, seconds=10)
    shown = {one.answer.body.split("Bearer ")[1].split()[0] for one in load.outcomes() if one.stream == "open"}
    assert len(shown) > 1
    last = time.time()
    time.sleep(0.1)
    assert not load.outcomes(last)


def test_a_load_that_is_not_steady_does_not_begin(world: Local) -> None:
    refused = Stream(name="call", authorised=True, pod=None, url="http://closed/", callees=HERE, every=0.02)
    with pytest.raises(ProofError, match="call: 403"), Load(world, (refused,), steady_seconds=0.5):
        pass

    def none_given() -> str:
        msg = "nobody signs in"
        raise ProofError(msg)

    with (
        pytest.raises(ProofError, match="nobody signs in"),
        Load(world, (replace(refused, token=none_given),), steady_seconds=0.5),
    ):
        pass
    gone = Pod(region="r", namespace="n", name="a", node="", address="", labels={}, processes={"app": 1 << 30}, ready=True)
    with (
        pytest.raises(ProofError, match="its pod is there no more"),
        Load(world, (replace(refused, pod=gone),), steady_seconds=0.5),
    ):
        pass
    silent = replace(refused, url="http://silent/")
    with pytest.raises(ProofError, match="was never answered"), Load(world, (silent,), steady_seconds=0.5):
        pass


def refused_at(second: int) -> Outcome:
    at = f"2026-11-21T21:00:{second:02}Z"
    answer = Answer(status=403, body="no", error="", at=at, seconds=0.1, local="10.0.0.1:5000")
    return Outcome(stream="forbidden", authorised=False, began=0.0, ended=0.1, answer=answer, reached=False)


class Logged:
    """A world whose proxies wrote this."""

    def __init__(self, *details: str) -> None:
        self.lines = [
            json.dumps(
                {"request_id": "", "source_address": "10.0.0.1:5000", "time": f"2026-11-21T21:00:{10 * at:02}Z", "details": said}
            )
            for at, said in enumerate(details, 1)
        ]

    def logs(self, _pod: Pod, _container: str, _since: str) -> list[str]:
        return self.lines


@pytest.mark.parametrize(
    ("details", "holds"),
    [
        (["rbac_access_denied_matched_policy[none]"], True),
        (["rbac_access_denied_matched_policy[none]", "via_upstream"], True),
        (["rbac_access_denied_matched_policy[none]", "jwt_authn_access_denied{Jwt_verification_fails}"], False),
        (["ext_authz_denied"], False),
        (["via_upstream"], False),
        ([], False),
    ],
)
def test_of_what_is_forbidden_one_refusal_at_least_and_none_by_another_layer(
    details: list[str], monkeypatch: pytest.MonkeyPatch, *, holds: bool
) -> None:
    monkeypatch.setattr(sights, "_TICK_SECONDS", 0.0)
    monkeypatch.setattr(sights, "_FLUSH_SECONDS", 0.1)
    pod = Pod(region="r", namespace="n", name="a", node="", address="", labels={}, processes={}, ready=True)
    forbidden = Stream(
        name="forbidden", authorised=False, pod=pod, url="", callees=OWN, refused_by="mesh-authorization", passes=(pod,)
    )
    world: Any = Logged(*details)
    allowed = replace(forbidden, name="allowed", authorised=True)
    found = sights.refused(world, (forbidden, allowed), [refused_at(10), refused_at(20)])
    assert [holds for _, holds in found] == [holds]
    assert [holds for _, holds in sights.refused(world, (forbidden,), [])] == [False]


NOWHERE = ((503, "no healthy upstream"),) * 2


@pytest.mark.parametrize(
    ("answers", "gone", "holds"),
    [
        (NOWHERE, OWN, True),
        (NOWHERE, frozenset(), False),
        (NOWHERE, frozenset({"spiffe://r/ns/n/sa/other"}), False),
        ((*NOWHERE, (403, "no")), OWN, False),
        (((403, "no healthy upstream"),), OWN, False),
        ((), OWN, False),
    ],
)
def test_what_had_nowhere_to_go_is_told_only_of_a_service_that_is_gone_and_of_every_request(
    answers: tuple[tuple[int, str], ...], gone: frozenset[str], monkeypatch: pytest.MonkeyPatch, *, holds: bool
) -> None:
    monkeypatch.setattr(sights, "_TICK_SECONDS", 0.0)
    monkeypatch.setattr(sights, "_FLUSH_SECONDS", 0.0)
    stream = Stream(name="forbidden", authorised=False, pod=None, url="", callees=OWN, refused_by="mesh-authorization")
    world: Any = Logged()
    outcomes = [
        replace(known, answer=replace(known.answer, status=status, body=body))
        for known, (status, body) in ((refused_at(10), one) for one in answers)
    ]
    ((said, seen),) = sights.refused(world, (stream,), outcomes, gone=gone)
    assert seen is holds, said
