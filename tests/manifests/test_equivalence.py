"""The shipped graphs: what the settings allow every layer allows, what they refuse two layers refuse, each for its own reason.

Every engine is the real one; the settings' answer comes from code that shares nothing with the compilers. Not proven: what a
cluster does on its own (injection, attestation, istiod's distribution, packets in a kernel).
"""

import copy
from functools import cache

import pytest

from sandbox.istio_verdicts import Request
from sandbox.nca import connectivity
from tests.support.equivalence import check, table, tree_of
from tests.support.equivalence_engines import Engines
from tests.support.equivalence_questions import SIGHT, atoms, questions, sights
from tests.support.equivalence_world import worlds
from tests.support.program import ROOT, stack_settings

REGION, OTHER = "eu-west-1", "eu-central-1"
SHOP = ROOT / "examples" / "ecommerce" / "Pulumi.dev.yaml"
EDGES = [(kind, key) for kind, edges in stack_settings("dev")["access"].items() for key in edges]


def settings_of(stack):
    return tree_of(SHOP) if stack == "shop" else stack_settings(stack)


@cache
def engines():
    return Engines()


@cache
def report(stack):
    return check(settings_of(stack), engines=engines())


@pytest.mark.parametrize("stack", ["dev", "prod", "shop"])
def test_every_layer_that_sees_a_question_answers_as_the_settings_and_two_refuse_what_is_refused(stack):
    found = report(stack)
    assert [str(each) for each in found.disagreements] == [], table(found)
    for layer in {layer for layers in SIGHT.values() for layer in layers}:
        assert found.verdicts[layer, True], layer
        assert found.verdicts[layer, False], layer


def test_every_edge_and_every_condition_is_asked_about():
    tree = stack_settings("dev")
    asked = questions(tree)
    calls = {(each.caller, each.target) for each in asked if each.kind == "call" and each.allowed}
    assert calls == {(call["caller"], call["callee"]) for call in tree["access"]["calls"].values()}
    stores = {(each.caller, each.target) for each in asked if each.kind == "store" and each.allowed}
    assert stores == {(edge["service"], edge["store"]) for edge in tree["access"]["data"].values()}
    assert {each.name for each in asked if each.kind == "external" and each.allowed} == {"rates.ecb.europa.eu"}
    assert {each.target for each in asked if each.kind == "route" and each.allowed} == {"bank-a/frontend", "bank-b/api-ms"}
    assert {each.reason for each in asked if each.kind == "context"} == {"scope", "hours", "amount", "risk"}
    reasons = {each.reason for each in asked if each.kind in {"call", "crossing"} and not each.allowed}
    assert reasons == {"no edge", "method", "path", "region"}


@pytest.mark.parametrize(("kind", "key"), EDGES, ids=[key for _, key in EDGES])
def test_an_edge_deleted_is_refused_in_every_layer_that_saw_it(kind, key):
    before = stack_settings("dev")
    after = copy.deepcopy(before)
    del after["access"][kind][key]
    seen = {question: question_atoms(question) for question in questions(before, REGION)}
    allowed = {atom for q in questions(after) if q.allowed for atom in question_atoms(q)}
    kinds = {"calls": {"call", "crossing"}, "data": {"store"}, "egress": {"external"}, "routes": {"route"}}[kind]
    lost = {q: found - allowed for q, found in seen.items() if q.allowed and q.kind in kinds and not found <= allowed}
    assert lost
    for question, gone in lost.items():
        assert {atom.layer for atom in gone} == set(sights(question))
    answers = engines().answers(worlds(after), {atom for gone in lost.values() for atom in gone})
    assert {str(atom) for atom, answer in answers.items() if answer.allowed} == set()


def question_atoms(question):
    return frozenset(atom for layer, what in sights(question).items() for atom in atoms(question, layer, what))


def test_a_federated_caller_is_admitted_as_itself_and_merged_with_nobody():
    made, asked = worlds(stack_settings("dev")), questions(stack_settings("dev"), REGION)
    crossing = [each for each in asked if each.kind == "crossing" and each.target == "bank-b/trans-ms"]
    admitted = {(each.caller, each.origin, each.method, each.path) for each in crossing if each.allowed}
    assert admitted == {("bank-a/api-ms", OTHER, "POST", "/transfer")}
    twins = [each for each in crossing if each.caller == "bank-b/auth-ms" and (each.method, each.path) == ("POST", "/authorize")]
    (twin,) = twins
    answers = engines().answers(made, {atom for atom in question_atoms(twin) if atom.layer in {"istio-inbound", "opa"}})
    reasons = {atom.layer: answer.why for atom, answer in answers.items()}
    assert reasons["opa"] == "region"
    assert "rbac_access_denied" in reasons["istio-inbound"]  # its domain is trusted here; it is not the one that was named
    assert not any(answer.allowed for answer in answers.values())


def test_a_leaf_of_our_domain_from_the_other_regions_authority_is_refused_in_the_handshake():
    made, engine = worlds(stack_settings("dev")), engines()
    domains = {region: world.domain for region, world in made.items()}
    identity = made[REGION].identities["bank-a/api-ms"]
    forged = engine.pki.leaves({"forged": f"spiffe://{identity}"}, signed_by=domains[OTHER])["forged"]
    own = engine.pki.leaves({"own": f"spiffe://{identity}"}, signed_by=domains[REGION])["own"]
    abroad = made[OTHER].identities["bank-a/api-ms"]
    friend = engine.pki.leaves({"friend": f"spiffe://{abroad}"}, signed_by=domains[OTHER])["friend"]
    asked = [
        Request(proxy=target, caller=leaf, method="POST", path=path, host=target.split("/")[1])
        for target, path in (("bank-b/trans-ms", "/transfer"), ("bank-a/auth-ms", "/introspect"))
        for leaf in (own, forged, friend)
    ]
    _, said = engine.envoy(made[REGION], asked)
    assert [each.verdict for each in said] == ["200", "tls", "200", "200", "tls", "tls"]


@pytest.mark.parametrize("stack", ["dev", "shop"])
def test_an_analyzer_that_shares_no_code_with_cilium_reads_the_baseline_the_same(stack):
    tree = settings_of(stack)
    world = worlds(tree)[REGION]
    pods = {name: pod for name, pod in world.pods.items() if not name.startswith(("impostor", "stranger"))}
    found = connectivity(world.objects.values(), pods.values(), world.namespaces())
    asked = [each for each in questions(tree, REGION) if each.kind in {"call", "store", "port"}]
    pairs: dict[tuple[str, str, int], bool] = {}
    for each in asked:
        pair = (each.caller, each.target, each.port)
        pairs[pair] = pairs.get(pair, False) or each.allowed
    assert {pair for pair, allowed in pairs.items() if allowed != found.allows(*pair)} == set()
    assert any(pairs.values())
