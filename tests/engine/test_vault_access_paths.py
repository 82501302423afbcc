"""What each workload may do in Vault, path by path: allowed if and only if the settings say so, and no spelling gets around it.

The table is made from the plain settings, not by the compiler; the answers are the server's own.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.vault_world import World, graph_of, tree, world

MERGE = {"Content-Type": "application/merge-patch+json"}
OWN_TOKEN = {
    "auth/token/lookup-self": {"read"},
    "auth/token/renew-self": {"update"},
    "auth/token/revoke-self": {"update"},
    "sys/leases/renew": {"update"},
}
EVERYBODYS_REFUSALS = (
    *("sys/mounts", "sys/auth", "sys/policies/acl", "sys/policies/acl/bank-a.trans-ms", "sys/raw", "sys/seal", "sys/audit"),
    *("sys/leases/lookup", "sys/leases/revoke", "sys/wrapping/wrap", "sys/tools/random", "sys/storage/raft/snapshot"),
    *(
        "auth/token/create",
        "auth/token/create-orphan",
        "auth/token/lookup",
        "auth/spire/config",
        "auth/spire/role/bank-a.trans-ms",
    ),
    *("identity/entity", "identity/oidc/token/any", "cubbyhole/mine", "sys/capabilities-self", "sys/namespaces/x"),
)


@pytest.fixture(scope="module")
def there(tmp_path_factory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("paths")) as made:
        fill(made)
        yield made


def secrets(settings: dict[str, Any]) -> list[str]:
    """Every secret that somebody may read, and one of the platform's."""
    read = {path for paths in allowed(settings).values() for path in paths if path.startswith("kv-")}
    return [*sorted(read), "kv-platform/data/falcosidekick/outputs"]


def fill(there: World) -> None:
    """A value of its own in every secret, and in one beside it that nobody reads."""
    for path in secrets(tree()):
        for place in (path, f"{path}-of-nobody"):
            there.server.root("POST", place, {"data": {"owner": place}})


def allowed(settings: dict[str, Any]) -> dict[str, dict[str, set[str]]]:
    """The table: workload → path → capabilities, from the settings alone."""
    found: dict[str, dict[str, set[str]]] = {}
    for tenant, wanted in settings["tenants"].items():
        for name, service in wanted["services"].items():
            paths = {f"kv-{tenant}/data/{name}/{secret}": {"read"} for secret in service.get("secrets", [])}
            if service.get("tenant_key"):
                paths |= {f"transit-{tenant}/{verb}/tenant": {"update"} for verb in ("encrypt", "decrypt")}
            if settings["vault"]["pki"] and service.get("kind", "http") == "http":
                paths[f"pki-{tenant}/issue/{name}"] = {"update"}
            found[f"{tenant}/{name}"] = paths
    for key, edge in settings["access"]["data"].items():
        tenant, store = edge["store"].split("/")
        if store in settings["tenants"][tenant]["databases"]:
            found[edge["service"]][f"database-{tenant}/creds/{key}"] = {"read"}
    return {ref: {**paths, **OWN_TOKEN} for ref, paths in found.items() if paths}


def every_path(settings: dict[str, Any]) -> list[str]:
    """Every path that anybody may use, what lies around each, and what nobody may."""
    used = sorted({path for paths in allowed(settings).values() for path in paths} - set(OWN_TOKEN))
    around = {
        other
        for path in used
        for mount, verb, *rest in [path.split("/")]
        for other in (
            *(mount, f"{mount}/", f"{mount}/{verb}", f"{mount}/{verb}/", f"{path}/", f"{path}/x", f"{path}x", path.upper()),
            *(f"{mount}/config", f"{mount}/roles/{rest[-1]}", f"{mount}/keys/{rest[-1]}", f"{mount}/metadata/{'/'.join(rest)}"),
            *(f"{mount}/delete/{'/'.join(rest)}", f"{mount}/export/encryption-key/tenant", f"{mount}/backup/tenant"),
            *(f"{mount}/keys/tenant/config", f"{mount}/sign/{rest[-1]}", f"{mount}/root/generate/exported"),
            *(
                f"{mount}/config/ledger",
                f"{mount}/static-creds/{rest[-1]}",
                f"{mount}/rotate-root/ledger",
                f"{mount}/reset/ledger",
            ),
            *(f"{mount}/{verb}/*", f"{mount}/{verb}/+", f"+/{verb}/{rest[-1]}", "*", f"{mount}/*"),
        )
    }
    nobodys = [f"{path}-of-nobody" for path in secrets(settings)]
    return [*used, *sorted(around - set(used)), *EVERYBODYS_REFUSALS, *nobodys, secrets(settings)[-1]]


def answers(there: World, ref: str, paths: list[str]) -> dict[str, set[str]]:
    """What the server says the workload's token may do; refusals left out. A closing slash changes no path's meaning."""
    said = there.server.root("POST", "sys/capabilities", {"token": there.token(ref), "paths": paths}).data
    return {path.rstrip("/"): set(said[path]) for path in paths if said[path] != ["deny"]}


def test_every_workload_may_do_exactly_what_the_settings_say_on_every_path(there):
    settings = tree()
    table, paths = allowed(settings), [*every_path(settings), *OWN_TOKEN]
    assert {ref: answers(there, ref, paths) for ref in table} == table
    assert len(table) * len(paths) > 1500


def test_what_is_allowed_is_really_answered(there):
    said = there.server.ask("GET", "kv-bank-a/data/api-ms/rates-key", token=there.token("bank-a/api-ms"))
    assert said.data["data"] == {"owner": "kv-bank-a/data/api-ms/rates-key"}
    token = there.token("bank-a/trans-ms")
    sealed = there.server.ask("POST", "transit-bank-a/encrypt/tenant", {"plaintext": "c2VjcmV0"}, token=token)
    opened = there.server.ask("POST", "transit-bank-a/decrypt/tenant", {"ciphertext": sealed.data["ciphertext"]}, token=token)
    assert opened.data["plaintext"] == "c2VjcmV0"
    other = there.token("bank-b/trans-ms")
    for tenant in ("bank-a", "bank-b"):
        body = {"ciphertext": sealed.data["ciphertext"]}
        assert not there.server.ask("POST", f"transit-{tenant}/decrypt/tenant", body, token=other).ok


def spellings(path: str, own: str) -> list[str]:
    """Ways to write another's path."""
    mount, verb, rest = path.split("/", 2)
    own_mount, _, own_rest = own.split("/", 2)
    up = "/".join([".."] * len(own.split("/")))
    return [
        path,
        f"{path}/",
        f"/{path}",
        f"//{path}",
        path.replace("/", "//"),
        f"./{path}",
        f"{own}/{up}/{path}",
        f"{own}/{up.replace('..', '%2e%2e')}/{path}",
        f"{own}/{up.replace('..', '%252e%252e')}/{path}",
        f"{own_mount}/..%2f{path}",
        f"{own_mount}/%2e%2e/{path}",
        f"{own_mount}/data/../../{path}",
        f"{own_mount}/data/{own_rest}/../../../../{path}",
        f"{own_mount}/data/{rest}",
        f"{mount}%2f{verb}%2f{rest}",
        path.replace(verb, verb.upper(), 1),
        path.upper(),
        f"{mount}/metadata/{rest}",
        f"{mount}/subkeys/{rest}",
        f"{mount}/{rest}",
        f"{mount}/data/+/{rest.rsplit('/', 1)[-1]}",
        f"{mount}/data/*",
        f"{mount}/+/{rest}",
        f"+/{verb}/{rest}",
        f"*/{rest}",
        f"{path}%00",
        f"{path}?list=true",
        f"{path}?version=1",
        f"{mount}/data/?list=true",
        f"{mount}/metadata/?list=true",
        f"{own};/{path}",
        f"root/{path}",
        f"../v1/{path}",
    ]


HEADERS = (
    {},
    {"X-Vault-Namespace": "bank-b"},
    {"X-Vault-Namespace": "/"},
    {"X-Vault-Namespace": "../"},
    {"X-HTTP-Method-Override": "LIST"},
)


def test_no_spelling_of_anothers_path_gives_what_lies_there(there):
    ref, own = "bank-a/api-ms", "kv-bank-a/data/api-ms/rates-key"
    token, mine = there.token(ref), allowed(tree())[ref]
    others = [f"{own}-of-nobody", *(path for path in secrets(tree()) if path not in mine)]
    assert len(others) > 3
    for path in others:
        assert there.server.root("GET", path).data["data"] == {"owner": path}
        for spelling in spellings(path, own):
            for method in ("GET", "LIST", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
                for header in HEADERS:
                    said = there.server.ask(
                        method, spelling, {} if method in {"POST", "PUT"} else None, token=token, headers=header
                    )
                    if said.status < 300 and method != "HEAD":
                        assert said.data["data"]["owner"] in mine, (method, spelling, said)


def test_nobody_writes_deletes_or_lists_what_it_reads(there):
    token, own = there.token("bank-a/api-ms"), "kv-bank-a/data/api-ms/rates-key"
    for method, path in (
        *(("POST", own), ("PUT", own), ("PATCH", own), ("DELETE", own), ("LIST", "kv-bank-a/metadata/api-ms")),
        *(("DELETE", "kv-bank-a/metadata/api-ms/rates-key"), ("GET", "kv-bank-a/config"), ("LIST", "kv-bank-a/metadata")),
    ):
        said = there.server.ask(method, path, {"data": {"a": "b"}}, token=token, headers=MERGE if method == "PATCH" else {})
        assert said.status == 403, (method, path)


def test_a_token_makes_no_other_token(there):
    token = there.token("bank-a/trans-ms")
    for path in ("auth/token/create", "auth/token/create-orphan", "auth/token/create/any"):
        assert there.server.ask("POST", path, {"policies": ["root"]}, token=token).status == 403


A36 = {
    "a wildcard": {"common_name": "*.bank-a.svc.cluster.local"},
    "the bank's own domain": {"common_name": "*.bank"},
    "another service's host": {"common_name": "api-ms.bank-a.svc.cluster.local"},
    "another tenant's host": {"common_name": "trans-ms.bank-b.svc.cluster.local"},
    "a host below its own": {"common_name": "x.trans-ms.bank-a.svc.cluster.local"},
    "another name beside its own": {"alt_names": "trans-ms.bank-b.svc.cluster.local"},
    "an address": {"ip_sans": "10.0.0.1"},
    "localhost": {"alt_names": "localhost"},
    "a SPIFFE id": {"uri_sans": "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-b/sa/trans-ms"},
    "its own SPIFFE id": {"uri_sans": "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/trans-ms"},
}


def test_a_service_gets_a_certificate_of_its_own_host_for_an_hour_at_most(there):
    token, body = there.token("bank-a/trans-ms"), {"common_name": "trans-ms.bank-a.svc.cluster.local"}
    said = there.server.ask("POST", "pki-bank-a/issue/trans-ms", body, token=token)
    assert said.ok
    asked_for_a_year = there.server.ask("POST", "pki-bank-a/issue/trans-ms", {**body, "ttl": "8760h"}, token=token)
    if asked_for_a_year.ok:
        begun = there.server.ask("POST", "pki-bank-a/issue/trans-ms", body, token=token).data["expiration"]
        assert asked_for_a_year.data["expiration"] <= begun


@pytest.mark.parametrize("what", sorted(A36))
def test_a_service_gets_no_certificate_for(there, what):
    body = {"common_name": "trans-ms.bank-a.svc.cluster.local", **A36[what]}
    assert not there.server.ask("POST", "pki-bank-a/issue/trans-ms", body, token=there.token("bank-a/trans-ms")).ok


def test_the_tenants_key_never_leaves_even_for_root(there):
    for path in ("transit-bank-a/export/encryption-key/tenant", "transit-bank-a/backup/tenant"):
        assert not there.server.ask("GET", path, token=there.server.root_token).ok
    assert not there.server.ask("DELETE", "transit-bank-a/keys/tenant", token=there.server.root_token).ok


def test_adding_and_removing_an_edge_adds_and_removes_one_permission(there):
    ref, path = "bank-b/api-ms", "database-bank-b/creds/bank-b-api-ledger"
    assert answers(there, ref, [path]) == {}
    wider = tree()
    wider["access"]["data"]["bank-b-api-ledger"] = {"service": ref, "store": "bank-b/ledger", "privileges": "read"}
    del wider["access"]["data"]["bank-b-worker-ledger"]
    there.put(graph_of(wider))
    try:
        assert answers(there, ref, [path]) == {path: {"read"}}
        worker = there.login("bank-b.worker", there.signer.sign(there.claims("bank-b/worker")))
        assert not worker.ok
        table, paths = allowed(wider), [*every_path(wider), *OWN_TOKEN]
        assert {each: answers(there, each, paths) for each in table} == table
    finally:
        there.put(graph_of(tree()))
    assert answers(there, ref, [path]) == {}
