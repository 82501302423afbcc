"""The deployer in Vault: it sets up whatever the program registers, and gets at nothing that Vault holds.

The policy, the server and the requests are real; the requests are those of `sandbox.vault_apply`, which stands for Vault's
provider. Does not prove: AWS's engine, which OpenBao has not, and that whoever may write policies writes himself no other; that
is for the audit and the review of `deployer.hcl`.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pulumi
import pulumi_vault as vault
import pytest

from components.vault.audit import AuditDevices
from components.vault.ceremony import POLICY
from components.vault.snapshots import SnapshotLogin
from sandbox.certificates import Authority
from sandbox.vault_apply import TABLE, Applied, calls_of
from sandbox.vault_server import VaultServer, VaultServerError, selected, vault_server
from tests.support.monitor import Registered, record
from tests.support.vault_world import Signer, discovery, graph_of, registered, tree, with_files

Paths = list[tuple[str, str]]


def everything() -> list[Registered]:
    """What the program registers in one region's Vault: devices, the snapshots' login, the platform's and tenants' parts."""

    def program() -> None:
        inside = pulumi.ResourceOptions(provider=vault.Provider("vault", address="https://vault.invalid", token="none"))  # noqa: S106
        AuditDevices("audit", protect=False, opts=inside)
        SnapshotLogin("snapshots", opts=inside)

    own = [each for each in record(program).resources if each.type.startswith("vault:")]
    return [*own, *registered(graph_of(tree()))]


def local(keys: tuple[str, Authority], folder: Path, type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What differs on one machine: where keys are published, and where the audit file lies."""
    if "jwksUrl" in inputs:
        return {**inputs, "jwksUrl": keys[0], "jwksCaPem": keys[1].certificate.read_text()}
    if "kubernetesHost" in inputs:  # no pod of a cluster, so no files of its account
        return {**inputs, "disableLocalCaJwt": True, "kubernetesCaCert": keys[1].certificate.read_text()}
    if type_.endswith(":Audit") and inputs["options"]["file_path"] != "stdout":
        return {**inputs, "options": {**inputs["options"], "file_path": str(folder / "audit.log")}}
    return with_files(keys[1], inputs)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[VaultServer]:
    with vault_server(selected(), tmp_path_factory.mktemp("deployer")) as made:
        made.root("POST", "sys/policies/acl/deployer", {"policy": POLICY.read_text()})
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Iterator[tuple[str, Authority]]:
    """Where keys are published, and by whose authority: a login is not set up before it has fetched some."""
    authority = Authority(tmp_path_factory.mktemp("keys") / "authority")
    public, private = authority.signing_key("authority")
    with discovery(authority, Signer(key_id="authority", public=public, private=private)) as url:
        yield url, authority


@pytest.fixture(scope="module")
def token(server: VaultServer) -> str:
    """A session of the deployer's."""
    wanted = {"policies": ["deployer"], "no_default_policy": True, "ttl": "1h"}
    return str(server.root("POST", "auth/token/create", wanted).body["auth"]["client_token"])


def lifecycle() -> Paths:
    """Method and path of whatever the program's resources are made, changed, read back and removed by, the provider's way."""
    found: Paths = []
    for resource in everything():
        calls = calls_of(resource)
        home = calls[0].path
        found += [(call.method, call.path) for call in calls]
        if "/root/generate/" in home:
            # A root is looked at and renamed; its removal is its engine's.
            mount = home.split("/")[0]
            found += [("GET", f"{mount}/cert/ca"), ("GET", f"{mount}/issuer/one"), ("POST", f"{mount}/issuer/one")]
            continue
        found += [("GET", home), ("GET", calls[-1].path)]
        if TABLE[resource.type].removed:
            found.append(("DELETE", home))
        if home.startswith("sys/mounts/"):
            found += [("GET", "sys/mounts"), ("GET", f"{home}/tune"), ("POST", f"{home}/tune")]
        if home.startswith("sys/auth/"):
            path = home.removeprefix("sys/auth/")
            found += [(method, f"sys/mounts/auth/{path}/tune") for method in ("GET", "POST")]
            found += [(method, f"{home}/tune") for method in ("GET", "POST")] + [("GET", "sys/auth")]
        if home.startswith("sys/audit/"):
            found.append(("GET", "sys/audit"))
    # The provider's own: who it is, and the end of its session.
    return [*found, ("GET", "auth/token/lookup-self"), ("POST", "auth/token/revoke-self")]


def stanzas() -> dict[str, set[str]]:
    """Path of the policy → its capabilities."""
    found = re.findall(r'path "([^"]+)" \{\s+capabilities = \[([^\]]*)\]', POLICY.read_text())
    return {path: set(re.findall(r"\w+", words)) for path, words in found}


def test_it_applies_everything_that_the_program_registers_and_takes_it_away_again(server, token, keys, tmp_path):
    applied = Applied(server=server, token=token, change=lambda type_, inputs: local(keys, tmp_path, type_, inputs))
    resources = everything()
    # The log of both devices is wanted by every request; they come last and go first.
    last = [each for each in resources if each.type.endswith(":Audit")]
    first = [each for each in resources if each not in last]
    applied.apply([*first, *last])
    assert len(applied.standing) > 60
    gone = {home for home in applied.standing if home.endswith("bank-b") or "/bank-b" in home}
    assert gone
    for method, path in sorted({(method, path) for method, path in lifecycle() if method == "GET" and "issuer" not in path}):
        assert server.ask(method, path, token=token).status != 403, path
    applied.apply(last)
    assert set(applied.standing) == {"sys/audit/file", "sys/audit/stdout"}
    applied.apply([*first, *last])


SECRETS = ("kv-bank-a/data/api-ms/rates-key", "kv-platform/data/alertmanager/receivers")
REFUSED: Paths = [
    *((method, path) for path in SECRETS for method in ("GET", "POST", "DELETE")),
    *(("LIST", f"kv-{owner}/metadata") for owner in ("bank-a", "platform")),
    ("GET", "kv-bank-a/metadata/api-ms/rates-key"),
    ("GET", "database-bank-a/creds/bank-a-trans-ledger"),
    ("POST", "database-bank-a/rotate-root/ledger"),
    *(("POST", f"transit-bank-a/{verb}/tenant") for verb in ("encrypt", "decrypt", "rewrap", "sign", "hmac")),
    ("GET", "transit-bank-a/export/encryption-key/tenant"),
    ("GET", "transit-bank-a/backup/tenant"),
    ("POST", "pki-bank-a/issue/trans-ms"),
    ("POST", "pki-bank-a/sign/trans-ms"),
    ("POST", "pki-bank-a/root/generate/exported"),
    ("POST", "pki-bank-a/root/sign-intermediate"),
    ("GET", "aws-bank-a/creds/api-ms"),
    ("POST", "aws-bank-a/sts/api-ms"),
    *(("POST", f"auth/token/{verb}") for verb in ("create", "create-orphan", "create/deployer", "renew-self", "revoke-orphan")),
    *((method, path) for path in ("sys/policies/acl/deployer", "sys/policy/deployer") for method in ("POST", "PUT", "DELETE")),
    *((method, "sys/auth/aws") for method in ("POST", "DELETE")),
    *(("POST", f"auth/aws/{path}") for path in ("role/deployer", "role/another", "config/client")),
    *(("PUT", f"sys/{path}") for path in ("seal", "step-down", "rotate", "rekey/init", "generate-root/attempt")),
    *(("GET", f"sys/{path}") for path in ("storage/raft/snapshot", "raw/core", "leases/lookup/x", "replication/status")),
    ("POST", "identity/entity"),
    ("POST", "sys/wrapping/unwrap"),
]


@pytest.mark.parametrize(("method", "path"), REFUSED, ids=[f"{method} {path}" for method, path in REFUSED])
def test_it_gets_at_nothing_that_vault_holds_and_changes_nothing_of_its_own(server, token, method, path):
    said = server.root("POST", "sys/capabilities", {"token": token, "paths": [path]}).data[path]
    word = {"GET": {"read"}, "LIST": {"list"}, "DELETE": {"delete"}}.get(method, {"create", "update"})
    assert not word & set(said), said
    unrefusable = path in {
        "sys/seal",
        "sys/step-down",
        "sys/generate-root/attempt",
        "sys/rekey/init",
        "sys/wrapping/unwrap",
        "sys/replication/status",
    }
    if not unrefusable:  # asked without a token, or by another one, which the policy does not decide
        said_really = server.ask(method, path, {} if word == {"create", "update"} else None, token=token)
        assert said_really.status in {403, 404, 405}, said_really


def test_no_rule_of_the_policy_is_without_use():
    """By path and kind of request; `create` stands with `update`, for the server chooses the word by what stands already."""
    asked, unused = lifecycle(), []
    words = {"GET": {"read"}, "DELETE": {"delete"}, "POST": {"create", "update"}, "PUT": {"create", "update"}}
    for pattern, capabilities in stanzas().items():
        if "deny" in capabilities or pattern.endswith("/deployer") or pattern == "sys/capabilities-self":
            continue
        hit = [
            method
            for method, path in asked
            if fnmatchcase(path, pattern.replace("+", "*")) and path.count("/") == pattern.count("/")
        ]
        needed = {word for method in hit for word in words[method]}
        unused += [f"{pattern}: {word}" for word in sorted(capabilities - {"sudo"} - needed)]
    assert unused == []


def test_without_one_of_its_rules_something_is_refused(server, keys, tmp_path):
    """The check above is no mere matter of names: a policy that lacks a rule fails at the resource that needs it."""
    short = re.sub(r'path "\+/roles/\+" \{[^}]*\}\n', "", POLICY.read_text())
    assert short != POLICY.read_text()
    server.root("POST", "sys/policies/acl/short", {"policy": short})
    wanted = {"policies": ["short"], "no_default_policy": True}
    poor = server.root("POST", "auth/token/create", wanted).body["auth"]["client_token"]
    roles = [each for each in everything() if each.type == "vault:database/secretBackendRole:SecretBackendRole"]
    applied = Applied(server=server, token=poor, change=lambda type_, inputs: local(keys, tmp_path, type_, inputs))
    with pytest.raises(VaultServerError, match="403"):
        applied.apply(roles)
