"""Who gets into Vault: exactly the workloads of this region's graph, each as itself, by SPIRE's tokens for Vault alone.

The server, its jwt method and the roles are real. SPIRE is played by a key that is published as its provider publishes keys;
that SPIRE gives a workload no other subject is its own registrations' affair (tests of identity).
"""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.vault_world import OTHER_REGION, World, b64, world


@pytest.fixture(scope="module")
def there(tmp_path_factory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("logins")) as made:
        yield made


REF = "bank-a/trans-ms"
ROLE = "bank-a.trans-ms"


def roles(there: World) -> list[str]:
    return sorted(there.server.root("LIST", "auth/spire/role").data["keys"])


def test_every_workload_that_fetches_logs_in_as_itself_and_as_nobody_else(there):
    refs = sorted(there.graph.workloads)
    known = roles(there)
    tokens = {ref: there.signer.sign(there.claims(ref)) for ref in refs}
    entered = {(ref, role) for ref in refs for role in known if there.login(role, tokens[ref]).ok}
    fetching = {ref for ref, workload in there.graph.workloads.items() if there.graph.fetches(workload)}
    assert entered == {(ref, ref.replace("/", ".")) for ref in fetching}
    assert len(fetching) > 5


def test_a_workload_that_fetches_nothing_has_no_login(there):
    without = [ref for ref, workload in there.graph.workloads.items() if not there.graph.fetches(workload)]
    for ref in without:
        assert not there.login(ref.replace("/", "."), there.signer.sign(there.claims(ref))).ok


def test_a_token_has_its_own_policy_alone_and_dies_within_the_hour(there):
    data = there.server.ask("GET", "auth/token/lookup-self", token=there.token(REF)).data
    assert data["policies"] == [ROLE]
    assert data["type"] == "service"
    assert (data["creation_ttl"], data["explicit_max_ttl"]) == (15 * 60, 60 * 60)


def changes(now: int) -> dict[str, dict[str, Any]]:
    """What is wrong with a token, by name; `now` is when it is made, in seconds."""
    return {
        "another audience": {"aud": ["bank-b"]},
        "no audience": {"aud": None},
        "an empty audience": {"aud": []},
        "expired": {"iat": now - 900, "exp": now - 600},
        "expired half a minute ago": {"iat": now - 330, "exp": now - 30},
        "not yet valid": {"nbf": now + 600},
        "another issuer": {"iss": "https://oidc-discovery.eu-central-1.dev.mycompany.internal"},
        "no issuer": {"iss": None},
        "no subject": {"sub": None},
        "a subject with a glob": {"sub": "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/*"},
        "everybody": {"sub": "*"},
        "a longer subject": {"sub": "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/trans-ms/x"},
        "a shorter subject": {"sub": "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/trans-m"},
        "a subject in capitals": {"sub": "spiffe://eu-west-1.dev.mycompany.internal/ns/BANK-A/sa/trans-ms"},
        "the short name": {"sub": "spiffe://bank-a/trans-ms"},
        "the account of another namespace": {"sub": "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-b/sa/trans-ms"},
        "subjects in a list": {"sub": ["spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/trans-ms"]},
    }


def test_the_token_that_the_changed_ones_differ_from_is_taken(there):
    assert there.login(ROLE, there.signer.sign(there.claims(REF))).ok


@pytest.mark.parametrize("what", sorted(changes(0)))
def test_a_token_is_refused_with(there, what):
    said = there.login(ROLE, there.signer.sign(there.claims(REF, **changes(int(time.time()))[what])))
    assert said.status in {400, 403}, said


def test_the_same_workload_of_another_region_is_refused(there):
    for over in ({}, {"iss": there.claims(REF)["iss"]}):
        assert not there.login(ROLE, there.signer.sign(there.claims(REF, region=OTHER_REGION, **over))).ok


def test_a_token_by_a_key_that_is_not_published_is_refused(there):
    claims = there.claims(REF)
    assert not there.login(ROLE, there.stranger.sign(claims)).ok
    assert not there.login(ROLE, there.stranger.sign(claims, kid=there.signer.key_id)).ok
    assert not there.login(ROLE, there.stranger.sign(claims, jwk=there.stranger.jwk)).ok


def test_an_unsigned_token_is_refused(there):
    body = b64(json.dumps(there.claims(REF)).encode())
    for algorithm in ("none", "None", "NONE"):
        head = b64(json.dumps({"alg": algorithm, "kid": there.signer.key_id}).encode())
        for token in (f"{head}.{body}.", f"{head}.{body}"):
            assert not there.login(ROLE, token).ok


def test_a_token_signed_symmetrically_with_the_public_key_is_refused(there):
    head = b64(json.dumps({"alg": "HS256", "kid": there.signer.key_id}).encode())
    signed = f"{head}.{b64(json.dumps(there.claims(REF)).encode())}"
    for secret in (there.signer.public.read_bytes(), json.dumps(there.signer.jwk).encode()):
        mac = b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
        assert not there.login(ROLE, f"{signed}.{mac}").ok


def test_a_changed_claim_breaks_the_signature(there):
    head, _, signature = there.signer.sign(there.claims("bank-b/trans-ms")).split(".")
    assert not there.login(ROLE, f"{head}.{b64(json.dumps(there.claims(REF)).encode())}.{signature}").ok


@pytest.mark.parametrize("role", ["", "*", "bank-a.*", "bank-a.trans-ms.", "root", "default"])
def test_there_is_no_role_for_whoever_asks(there, role):
    assert not there.login(role, there.signer.sign(there.claims(REF))).ok


def test_no_other_way_in_is_mounted(there):
    assert set(there.server.root("GET", "sys/auth").data) == {"spire/", "token/", "writers/"}
