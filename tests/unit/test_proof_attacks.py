"""The logic of the attacks: what is made again and when, what is put back, and the bytes; the proof itself shows the rest."""

import re
from collections import Counter
from contextlib import contextmanager

import pytest

from sandbox.live.client import ServerError
from sandbox.proof import attacks
from sandbox.proof.attacks import raw, registry
from sandbox.proof.attacks.registry import Attempted, Planned, Sent, Switch, perform, told
from sandbox.proof.attacks.switches import Where, added, canonical, changed
from sandbox.proof.refusals import LAYERS, Trail
from sandbox.proof.report.techniques import TECHNIQUES
from sandbox.proof.results import Evidence
from sandbox.proof.world import Answer, Pod, ProofError

SEEN = Evidence(source="test", words="words")


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(registry, "_DRAIN_SECONDS", 0.05)
    monkeypatch.setattr(registry, "_TICK_SECONDS", 0.0)


def stopped(by):
    return Attempted(stopped=bool(by), by=by, evidence=SEEN)


def planned(key, make, expected="opa", **more):
    return Planned(key=key, title=key, family="path", techniques=("T1190",), expected=expected, make=make, **more)


class Layers:
    """Layers that are on or off."""

    def __init__(self):
        self.off, self.history = set(), []

    def switch(self, layer, part="", **more):
        @contextmanager
        def off(_world):
            self.off.add(layer)
            self.history.append(layer)
            yield
            self.off.discard(layer)

        return Switch(layer=layer, off=off, part=part, **more)

    def first_of(self, *layers):
        return lambda _world, _tokens: stopped(next((one for one in layers if one not in self.off), ""))


def performed(wanted, switches=()):
    return perform(wanted, switches, None, None, lambda _line: None)


def test_an_attack_is_made_again_without_the_layer_that_stopped_it_and_that_layer_alone():
    layers = Layers()
    wanted = [
        planned("two", layers.first_of("opa", "mesh-authorization")),
        planned("other", layers.first_of("mesh-authorization", "opa"), "mesh-authorization"),
        planned("third", layers.first_of("opa", "gateway")),
    ]
    made = performed(wanted, [layers.switch("opa"), layers.switch("mesh-authorization")])
    assert [one.key for one in made] == ["two", "other", "third"]
    assert [[(attempt.without, attempt.by) for attempt in one.attempts] for one in made] == [
        [("", "opa"), ("opa", "mesh-authorization")],
        [("", "mesh-authorization"), ("mesh-authorization", "opa")],
        [("", "opa"), ("opa", "gateway")],
    ]
    assert all(one.holds for one in made)
    assert layers.history == ["opa", "mesh-authorization"]


def test_what_goes_through_without_its_layer_holds_only_as_a_single():
    layers = Layers()
    wanted = [
        planned("alone", layers.first_of("opa")),
        planned("single", layers.first_of("opa"), single="nothing else knows it"),
        planned("never made again", layers.first_of("rate-limit"), "rate-limit"),
    ]
    made = performed(wanted, [layers.switch("opa")])
    assert [one.holds for one in made] == [False, True, False]
    assert [one.attempts[-1].stopped for one in made] == [False, False, True]


def test_what_another_layer_stopped_does_not_hold_and_is_not_made_again():
    layers = Layers()
    (made,) = performed([planned("one", layers.first_of("gateway"))], [layers.switch("opa")])
    assert not made.holds
    assert len(made.attempts) == 1


def test_a_layer_that_still_answers_was_not_off():
    layers = Layers()
    (made,) = performed([planned("one", lambda _world, _tokens: stopped("opa"))], [layers.switch("opa")])
    assert not made.holds
    assert "was not off" in made.attempts[1].evidence.words


def test_a_connection_from_before_is_given_another_try():
    layers, answers = Layers(), iter(["opa", "opa", "nobody known", "mesh-authorization"])
    (made,) = performed([planned("one", lambda _world, _tokens: stopped(next(answers)))], [layers.switch("opa")])
    assert made.attempts[1].by == "mesh-authorization"
    assert made.holds


def says(by, words):
    return Attempted(stopped=True, by=by, evidence=Evidence(source="test", words=words))


def test_another_part_of_the_same_layer_does_not_stand_behind_the_first_unless_its_words_are_declared():
    layers = Layers()
    bucket = layers.switch("rate-limit", "bucket")
    (made,) = performed([planned("one", lambda _world, _tokens: stopped("rate-limit"), "rate-limit", switch=bucket)])
    assert not made.holds
    assert made.attempts[1].without == "rate-limit (bucket)"
    assert "was not off" in made.attempts[1].evidence.words


@pytest.mark.parametrize(("second", "holds"), [("another reason", True), ("the same reason", False)])
def test_another_control_of_the_same_layer_is_told_by_its_words(second, holds):
    layers = Layers()
    switch = layers.switch("vault", "one control", behind="another")
    make = lambda _world, _tokens: says("vault", second if layers.off else "the same reason")  # noqa: E731
    (made,) = performed([planned("one", make, "vault", switch=switch, control="the same")])
    assert made.holds is holds


def test_a_refusal_by_another_control_of_the_layer_that_must_is_not_it():
    layers = Layers()
    (made,) = performed(
        [planned("one", lambda _world, _tokens: says("opa", "a malformed request"), control="not declared")],
        [layers.switch("opa")],
    )
    assert not made.holds


@pytest.mark.parametrize("by", ["", "opa-failure", "rate-limit-failure", "nobody known"])
def test_a_refusal_of_nobody_and_a_layers_own_failure_count_as_failed(by):
    layers = Layers()

    def make(_world, _tokens):
        return Attempted(stopped=True, by=by if layers.off else "opa", evidence=SEEN)

    wanted = [planned("one", make), planned("single", make, single="alone")]
    made = performed(wanted, [layers.switch("opa")])
    assert [one.holds for one in made] == [False, False]
    assert all(one.attempts[1].failed and not one.attempts[1].by for one in made)


def test_a_single_that_fails_without_its_layer_does_not_show_that_it_was_real():
    layers = Layers()

    def make(_world, _tokens):
        if not layers.off:
            return stopped("opa")
        msg = "nobody is there"
        raise ProofError(msg)

    (made,) = performed([planned("one", make, single="alone")], [layers.switch("opa")])
    assert not made.holds


def test_what_cannot_be_turned_off_is_made_once():
    layers = Layers()
    (made,) = performed([planned("one", layers.first_of("opa"), unswitchable="a flag")], [layers.switch("opa")])
    assert made.holds
    assert len(made.attempts) == 1
    assert layers.history == []


@pytest.mark.parametrize(("good", "holds"), [("mesh-authorization", True), ("", False)])
def test_a_next_layer_that_fails_closed_is_seen_to_refuse_what_is_allowed_too(good, holds):
    layers = Layers()
    switch = layers.switch("opa", closed="nothing passes", good=(lambda _world, _tokens: stopped(good),))
    (made,) = performed([planned("one", layers.first_of("opa", "gateway"))], [switch])
    assert made.holds is holds
    assert made.closed == "nothing passes"
    assert "what is allowed" in made.attempts[1].evidence.words


def test_an_attack_that_cannot_be_made_is_one_that_nothing_stopped():
    def fails(_world, _tokens):
        msg = "no pod"
        raise ProofError(msg)

    (made,) = performed([planned("one", fails)])
    assert not made.holds
    assert made.attempts[0].evidence.words == "could not be made: no pod"


def test_a_layer_that_cannot_be_turned_off_proves_nothing():
    @contextmanager
    def refused(_world):
        msg = "denied"
        raise ServerError(403, "Forbidden", msg)
        yield

    layers = Layers()
    (made,) = performed([planned("one", layers.first_of("opa", "gateway"))], [Switch(layer="opa", off=refused)])
    assert not made.holds
    assert "could not be turned off: denied" in made.attempts[1].evidence.words


def test_a_layer_that_cannot_be_put_back_ends_the_proof():
    @contextmanager
    def stuck(_world):
        yield
        msg = "not as it was"
        raise ProofError(msg)

    layers = Layers()
    with pytest.raises(ProofError, match="not as it was"):
        performed([planned("one", layers.first_of("opa", "gateway"))], [Switch(layer="opa", off=stuck)])


def pod(name):
    return Pod(region="r", namespace="bank-b", name=name, node="n", address="10.0.0.1", labels={}, processes={}, ready=True)


def answer(status, local="10.0.0.9:1"):
    return Answer(status=status, body="", error="", at="2026-11-21T12:00:00Z", seconds=0.1, local=local)


def test_who_stopped_a_request_is_read_from_the_logs_of_all_it_may_have_come_to(monkeypatch):
    line = {"time": "2026-11-21T12:00:00Z", "source_address": "10.0.0.9:1", "details": "ext_authz_denied"}
    logs = {"callee": [], "behind": [line]}
    monkeypatch.setattr(Trail, "of", lambda _world, one, _since: Trail(one, logs[one.name]))
    monkeypatch.setattr(registry, "_FLUSH_SECONDS", 0.0)
    sent = [
        Sent(answer=answer(403), callee=pod("callee"), others=(pod("behind"),), note="bent"),
        Sent(answer=answer(403, "10.0.0.9:2"), callee=pod("callee")),
        Sent(answer=answer(200), callee=pod("callee")),
    ]
    found = told(None, [*sent, stopped("vault")])
    assert [(one.stopped, one.by) for one in found] == [(True, "opa"), (False, ""), (False, ""), (True, "vault")]
    assert [one.failed for one in found] == [False, True, False, False]
    assert found[0].evidence.words.startswith("bent: ")


class Server:
    """A cluster's objects, with what a server does to them."""

    def __init__(self, *objects):
        self.objects = {one["metadata"]["name"]: one for one in objects}
        self.forgets = False

    def get(self, _version, _kind, _namespace, name):
        return self.objects.get(name)

    def apply(self, manifest, _manager):
        self.objects[manifest["metadata"]["name"]] = manifest
        return manifest

    def delete(self, live, _propagation):
        del self.objects[live["metadata"]["name"]]

    def path(self, _version, _kind, _namespace, name):
        return name

    def request(self, method, path, body=None, *, query=None):
        del query
        if method == "PUT":
            generation = self.objects[path]["metadata"]["generation"] + 1
            if self.forgets and generation > 2:
                body["spec"]["kept"] = False
            self.objects[path] = {**body, "metadata": {**body["metadata"], "generation": generation}}
        return self.objects[path]


def thing():
    about = {"name": "one", "generation": 1, "resourceVersion": "7", "managedFields": [{}]}
    return {"apiVersion": "v1", "kind": "Thing", "metadata": about, "spec": {"kept": True, "mode": "STRICT"}, "status": {}}


def turned_off(server):
    return changed(server, Where("v1", "Thing", None, "one"), lambda found: found["spec"].update(mode="OFF"))


def test_a_changed_object_is_put_back_also_when_the_proof_fails():
    server, before = Server(thing()), canonical(thing())

    def fails():
        with turned_off(server):
            assert server.objects["one"]["spec"]["mode"] == "OFF"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert canonical(server.objects["one"]) == before


@pytest.mark.parametrize(("refusals", "is_off"), [(1, True), (4, True), (5, False)])
def test_a_change_by_somebody_else_in_between_is_read_and_the_own_one_made_again(refusals, is_off):
    class Changing(Server):
        left = refusals

        def request(self, method, path, body=None, *, query=None):
            if method == "PUT" and self.left:
                self.left -= 1
                raise ServerError(409, "Conflict", f'things "{path}": the object has been modified; please apply your changes')
            return super().request(method, path, body, query=query)

    server = Changing(thing())
    if is_off:
        with turned_off(server):
            assert server.objects["one"]["spec"]["mode"] == "OFF"
    else:
        with pytest.raises(ProofError, match="has been modified"), turned_off(server):
            pass
    assert server.objects["one"]["spec"]["mode"] == "STRICT"


def test_an_object_that_is_not_what_it_was_is_said():
    server = Server(thing())
    server.forgets = True
    with pytest.raises(ProofError, match="could not be put back"), turned_off(server):
        pass


def test_an_added_object_stands_for_its_time_and_one_left_over_goes_first():
    left, server = thing(), Server(thing())
    with added(server, {**left, "spec": {"new": True}}):
        assert server.objects["one"]["spec"] == {"new": True}
    assert not server.objects


def test_every_attack_is_told_apart_and_speaks_the_report_s_words():
    keys = [one.key for one in attacks.ATTACKS]
    assert len(set(keys)) == len(keys)
    assert {one.family for one in attacks.ATTACKS} <= set(registry.FAMILIES)
    assert {one.expected for one in attacks.ATTACKS} <= set(LAYERS)
    assert {technique for one in attacks.ATTACKS for technique in one.techniques} <= set(TECHNIQUES)
    switched = {switch.layer for switch in attacks.SWITCHES}
    assert [one.key for one in attacks.ATTACKS if not (one.unswitchable or one.switch or one.expected in switched)] == []
    assert [one.key for one in attacks.ATTACKS if one.unswitchable and (one.single or one.switch)] == []
    assert {one.switch.layer for one in attacks.ATTACKS if one.switch} <= set(LAYERS)


AT_LEAST = {
    "wire": 9,
    "token": 25,
    "path": 20,
    "identity": 14,
    "limits": 4,
    "admission": 42,
    "secrets": 9,
    "egress": 10,
    "runtime": 2,
}


def test_no_family_loses_attacks_unnoticed():
    count = Counter(one.family for one in attacks.ATTACKS)
    assert {family: count[family] for family in AT_LEAST if count[family] < AT_LEAST[family]} == {}
    assert set(AT_LEAST) == set(registry.FAMILIES)
    assert [one.key for one in attacks.ATTACKS if one.unswitchable] == UNSWITCHABLE


UNSWITCHABLE = ["wire-two-lengths", "wire-other-coding", "wire-spaced-name", "path-null", "secrets-stolen-token"]
"""Made once; one more is a claim less, and says so here."""


@pytest.mark.parametrize("one", attacks.ATTACKS, ids=lambda one: one.key)
def test_the_words_that_an_attack_waits_for_are_regular_expressions(one):
    for words in (one.control, one.behind, one.switch.behind if one.switch else ""):
        re.compile(words)


def test_a_request_is_what_was_asked_for_byte_for_byte():
    made = raw.request(
        "POST", "/a/%2e%2e", [("Host", "x"), ("Content-Length", "4"), ("Transfer-Encoding", "chunked")], "0\r\n\r\n"
    )
    head = b"Host: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    assert made == b"POST /a/%2e%2e HTTP/1.1\r\n" + head + b"\r\n0\r\n\r\n"
    assert b"Content-Length: 2\r\n" in raw.request("POST", "/", {"Host": "x"}, "{}")


def test_of_several_answers_over_a_connection_the_last_is_that_of_the_hidden_request():
    one = Answer(status=200, body="a: b\r\n\r\nyesHTTP/1.1 403 Forbidden\r\n\r\nno", error="", at="", seconds=0.1)
    assert raw.last(one).status == 403
    assert raw.last(Answer(status=400, body="a: b\r\n\r\n", error="", at="", seconds=0.1)).status == 400


@pytest.mark.parametrize(("received", "status"), [(b"HTTP/1.1 403 Forbidden\r\na: b\r\n\r\nno", 403), (b"", 0), (b"garbage", 0)])
def test_the_first_answer_counts(received, status):
    assert raw.parsed(received)[0] == status


def test_a_body_in_pieces_is_put_together():
    assert raw.unchunked("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n") == "abc0123456789"
    assert raw.unchunked("{}") == "{}"


def test_an_alert_is_said_as_refusals_reads_it():
    alert = OSError("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:1)")
    assert raw.said(alert) == "remote error: tls: protocol version"
    assert raw.said(ConnectionResetError(104, "reset")) == "[Errno 104] reset"
