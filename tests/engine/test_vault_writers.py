"""Who writes Vault's secrets: each group its own owner's, and nobody gets a value out that way.

The server, its login and the policies are real; the issuer is played by a key of ours that is published as its keys are.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from components.vault.writers import AUDIENCE, writers, written_paths
from tests.support.vault_world import REGION, World, graph_of, tree, world

SECRETS = ("kv-bank-a/data/api-ms/partner-key", "kv-bank-a/data/api-ms/rates-key")


@pytest.fixture(scope="module")
def there(tmp_path_factory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("writers")) as made:
        yield made


def login(there: World, owner: str, **over: Any) -> Any:
    now = int(time.time())
    claims = {
        "iss": there.graph.settings.identity.issuer,
        "sub": "ada",
        "aud": [AUDIENCE],
        "groups": ["everybody", f"{owner}-secrets"],
        "iat": now,
        "exp": now + 300,
        **over,
    }
    token = there.signer.sign({key: value for key, value in claims.items() if value is not None})
    return there.server.ask("POST", "auth/writers/login", {"role": owner, "jwt": token})


def token(there: World, owner: str) -> str:
    said = login(there, owner)
    assert said.ok, said
    return str(said.body["auth"]["client_token"])


def test_a_writer_puts_in_a_value_and_replaces_it_and_reads_neither(there):
    own = token(there, "bank-a")
    for value in ("one", "two"):
        assert there.server.ask("POST", SECRETS[0], {"data": {"key": value}}, token=own).ok
        assert there.server.root("GET", SECRETS[0]).data["data"] == {"key": value}
    for method, path in (
        *(("GET", SECRETS[0]), ("DELETE", SECRETS[0]), ("LIST", "kv-bank-a/metadata/api-ms"), ("LIST", "kv-bank-a/metadata")),
        *(("GET", "kv-bank-a/metadata/api-ms/partner-key"), ("GET", "kv-bank-a/subkeys/api-ms/partner-key")),
        *(("POST", "kv-bank-a/undelete/api-ms/partner-key"), ("POST", "kv-bank-a/destroy/api-ms/partner-key")),
    ):
        assert there.server.ask(method, path, {} if method == "POST" else None, token=own).status == 403, (method, path)


@pytest.mark.parametrize("owner", ["bank-a", "platform"])
def test_a_writer_may_write_exactly_what_the_settings_declare_of_its_owner(there, owner):
    everything = {
        path: each for each in ("bank-a", "bank-b", "shared", "platform") for path in written_paths(there.graph, REGION, each)
    }
    assert set(everything.values()) == {"bank-a", "bank-b", "shared", "platform"}
    paths = [
        *everything,
        "kv-bank-a/data/api-ms/another",
        "transit-bank-a/encrypt/tenant",
        "sys/policies/acl/x",
        "auth/token/create",
    ]
    said = there.server.root("POST", "sys/capabilities", {"token": token(there, owner), "paths": paths}).data
    allowed = {path: set(said[path]) for path in paths if said[path] != ["deny"]}
    assert allowed == {path: {"create", "update"} for path, whose in everything.items() if whose == owner}


def test_what_a_writer_put_in_its_service_reads(there):
    assert there.server.ask("POST", SECRETS[1], {"data": {"key": "fresh"}}, token=token(there, "bank-a")).ok
    said = there.server.ask("GET", SECRETS[1], token=there.token("bank-a/api-ms"))
    assert said.data["data"] == {"key": "fresh"}


def changes(now: int) -> dict[str, dict[str, Any]]:
    """What is wrong with a token, by name; `now` is when it is made, in seconds."""
    return {
        "another owner's group": {"groups": ["platform-secrets"]},
        "no group": {"groups": None},
        "a longer group": {"groups": ["bank-a-secrets-readers"]},
        "a group with a glob": {"groups": ["*"]},
        "the audience of services": {"aud": ["vault"]},
        "no audience": {"aud": None},
        "another issuer": {"iss": "https://oidc-discovery.eu-west-1.dev.mycompany.internal"},
        "an end that is past": {"iat": now - 900, "exp": now - 300},
    }


@pytest.mark.parametrize("what", sorted(changes(0)))
def test_no_writer_is_let_in_with(there, what):
    assert login(there, "bank-a").ok
    assert not login(there, "bank-a", **changes(int(time.time()))[what]).ok


def test_a_services_token_is_no_writers_and_a_writers_no_services(there):
    svid = there.signer.sign(there.claims("bank-a/api-ms"))
    assert not there.server.ask("POST", "auth/writers/login", {"role": "bank-a", "jwt": svid}).ok
    for owner in ("bank-b", "shared", ""):
        assert not login(there, owner).ok


def test_an_owner_without_secrets_has_no_writers_role():
    wanted = tree()
    wanted["vault"]["writers"]["bank-b"] = {"group": "bank-b-secrets"}
    assert [writer.owner for writer in writers(graph_of(wanted), REGION)] == ["bank-a", "bank-b", "platform"]
    wanted["tenants"]["bank-b"]["services"]["api-ms"]["secrets"] = []
    assert [writer.owner for writer in writers(graph_of(wanted), REGION)] == ["bank-a", "platform"]
