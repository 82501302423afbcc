"""The server's configuration, the ceremony, the audit devices and the snapshots, on a running server.

Whose server it is the environment says (`sandbox.vault_server.MAKE`): OpenBao's by `make test`, HashiCorp's by `make test-vault`,
where the ceremony is held to its end too, which needs the login by AWS that OpenBao has not.

Does not prove: the KMS seal (another seal stands in its place), the Kubernetes registration, the way through the load balancer.
"""

import base64
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.settings import Settings, load_file
from components.vault import ceremony, snapshots
from components.vault.audit import DEVICES
from components.vault.provider import deployer_principal
from components.vault.server import raft_config
from sandbox.toolchain import ROOT
from sandbox.vault_server import NOT_INITIALISED, VaultServer, openbao, selected, vault_server

REGION = "eu-west-1"
MAKE = "openbao" if selected() == openbao() else "hashicorp"
Open = Callable[..., VaultServer]


def program_config(server: VaultServer) -> dict[str, Any]:
    """The program's own configuration; only what a machine decides is put in its place: addresses, paths, the seal."""
    wanted = raft_config(region=REGION, key_arn="arn:aws:kms:eu-west-1:111122223333:key/k", replicas=3, ui=False)
    local = server.configuration()
    listener = wanted["listener"]["tcp"]
    for key in ("address", "cluster_address", "tls_cert_file", "tls_key_file"):
        listener[key] = local["listener"]["tcp"][key]
    wanted["storage"]["raft"] |= {"path": str(server.data_folder), "node_id": "one"}
    del wanted["storage"]["raft"]["retry_join"], wanted["service_registration"]
    return {**wanted, "seal": local["seal"], "api_addr": server.address, "cluster_addr": local["cluster_addr"]}


@pytest.fixture(scope="module")
def transit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A seal for HashiCorp's servers, which have none that lies in a file: another server's key."""
    with vault_server(openbao(), tmp_path_factory.mktemp("transit")) as keeper:
        keeper.root("POST", "sys/mounts/transit", {"type": "transit"})
        keeper.root("POST", "transit/keys/seal")
        yield {
            "address": keeper.address,
            "token": keeper.root_token,
            "key_name": "seal",
            "mount_path": "transit/",
            "tls_ca_cert": str(keeper.authority),
        }


@pytest.fixture
def sealed_by_itself(tmp_path: Path, transit: dict[str, Any]) -> Iterator[Open]:
    """Starts servers with a seal of their own and the program's configuration, not initialised."""
    started: list[VaultServer] = []

    def start(name: str = "server") -> VaultServer:
        folder = tmp_path / name
        key = tmp_path / "seal.key"
        if not key.exists():
            key.write_bytes(os.urandom(32))
        seal = (
            {"static": {"current_key_id": "one", "current_key": f"file://{key}"}} if MAKE == "openbao" else {"transit": transit}
        )
        server = VaultServer(binary=selected(), folder=folder, storage="raft", extra={"seal": seal})
        own = program_config(server)
        if MAKE == "openbao":
            own["unsafe_allow_api_audit_creation"] = True
        server.extra = own
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def settings() -> Settings:
    return load_file(ROOT / "Pulumi.dev.yaml")


@pytest.fixture
def custodians(tmp_path: Path) -> tuple[Mapping[str, str], Callable[[str, bytes], str]]:
    """Three key pairs: public keys as the settings have them, and what decrypts a share."""
    homes = {name: tmp_path / f"gpg-{name}" for name in ("ada", "edsger", "grace")}

    def gpg(name: str, *arguments: str, given: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(homes[name]), "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    public = {}
    for name, home in homes.items():
        home.mkdir(mode=0o700)
        gpg(name, "--quick-generate-key", f"{name}@bank.test", "ed25519", "sign", "never")
        listed = gpg(name, "--list-keys", "--with-colons").decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        gpg(name, "--quick-add-key", fingerprint, "cv25519", "encr", "never")
        public[name] = base64.b64encode(gpg(name, "--export")).decode()
    return public, lambda name, share: gpg(name, "--decrypt", given=share).decode()


def hold(server: VaultServer, settings: Settings, folder: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """The ceremony's script as its runbook starts it."""
    told = dict(ceremony.variables(settings, REGION, folder))
    ceremony.prepare(settings, REGION, folder)
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    command = commands / "vault"
    command.unlink(missing_ok=True)
    command.symlink_to(server.binary)
    own = {name: value for name, value in server.variables().items() if not name.startswith("BAO_")}
    environment = own | told | {"PATH": f"{commands}:{os.environ['PATH']}", "PATIENCE": "20"} | changed
    return subprocess.run(["sh", str(ceremony.SCRIPT)], env=environment, cwd=folder, capture_output=True, text=True, check=False)


def with_custodians(settings: Settings, keys: Mapping[str, str]) -> Settings:
    return settings.model_copy(update={"vault": settings.vault.model_copy(update={"custodians": dict(keys)})})


if MAKE == "hashicorp":

    def test_the_ceremony_leaves_shares_for_custodians_a_deployer_and_no_root_token(
        sealed_by_itself, settings, custodians, tmp_path
    ):
        public, decrypt = custodians
        settings = with_custodians(settings, public)
        server = sealed_by_itself()
        assert server.health() == NOT_INITIALISED
        done = hold(server, settings, tmp_path / "held")
        assert done.returncode == 0, done.stderr
        assert "root token revoked; done" in done.stdout
        shares = {path.stem: path.read_text() for path in (tmp_path / "held/shares").glob("*")}
        assert set(shares) == set(public)  # nothing else is left in the folder: no answer, no root token
        opened = [decrypt(name, base64.b64decode(share)) for name, share in sorted(shares.items())]
        assert len(set(opened)) == 3
        # Two of three make a root token again; it sees what the ceremony made.
        token = together(server, opened[:2])
        role = server.ask("GET", "auth/aws/role/deployer", token=token).data
        assert role["bound_iam_principal_arn"] == [deployer_principal(settings.account.deployer_role)]
        assert (role["token_policies"], role["token_no_default_policy"], role["auth_type"]) == (["deployer"], True, "iam")
        client = server.ask("GET", "auth/aws/config/client", token=token).data
        assert client["iam_server_id_header_value"] == "vault.eu-west-1.dev.mycompany.internal"
        assert client["access_key"] == ""
        accessors = server.ask("LIST", "auth/token/accessors", token=token).data["keys"]
        assert len(accessors) == 1, "the root token of the ceremony still lives"
        # Held again: with nobody's token it looks and leaves; with the custodians' it finishes and revokes that as well.
        again = hold(server, settings, tmp_path / "held")
        assert (again.returncode, "initialised already" in again.stdout) == (0, True)
        finished = hold(server, settings, tmp_path / "held", VAULT_TOKEN=token)
        assert finished.returncode == 0, finished.stderr
        assert server.ask("GET", "auth/token/lookup-self", token=token).status == 403


def together(server: VaultServer, shares: Sequence[str]) -> str:
    """A new root token, as custodians make one."""
    otp = server.ask("POST", "sys/generate-root/attempt", {}).body
    made: Mapping[str, Any] = {}
    for share in shares:
        made = server.ask("PUT", "sys/generate-root/update", {"key": share.strip(), "nonce": otp["nonce"]}).body
    assert made["complete"]
    return server.run(["operator", "generate-root", "-decode", made["encoded_token"], "-otp", otp["otp"]]).stdout.strip()


def test_a_ceremony_that_stops_half_way_leaves_no_root_token_and_says_one_sentence(
    sealed_by_itself, settings, custodians, tmp_path
):
    """The policy is no policy, which only the server can say, after the root token was made."""
    public, decrypt = custodians
    server = sealed_by_itself()
    wrong = tmp_path / "wrong.hcl"
    wrong.write_text('path "sys/audit" { capabilities = ["everything"] }')
    done = hold(server, with_custodians(settings, public), tmp_path / "held", POLICY=str(wrong))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "vault ceremony: the deployer's policy was refused"
    assert "initialised; 3 shares" in done.stdout
    shares = sorted((tmp_path / "held/shares").iterdir())
    assert {path.suffix for path in shares} == {".share"}
    opened = [decrypt(path.stem, base64.b64decode(path.read_text())) for path in shares]
    assert len(set(opened)) == 3
    if MAKE == "hashicorp":  # OpenBao makes no root token from shares unless it is told to
        token = together(server, opened[:2])
        assert len(server.ask("LIST", "auth/token/accessors", token=token).data["keys"]) == 1, (
            "the ceremony's root token still lives"
        )


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"VAULT_ADDR": "http://127.0.0.1:8200"}, "over plain HTTP"),
        ({"VAULT_ADDR": "https://127.0.0.1:1"}, "no Vault answers"),
        ({"THRESHOLD": "3"}, "the loss of one share"),
        ({"DEPLOYER": ""}, "set DEPLOYER"),
        ({"POLICY": "/nowhere"}, "no policy at /nowhere"),
        ({"SHARES": "/nowhere"}, "no custodian's key"),
    ],
)
def test_a_ceremony_that_cannot_be_held_is_refused_before_anything_is_made(
    sealed_by_itself, settings, tmp_path, changed, sentence
):
    server = sealed_by_itself()
    done = hold(server, settings, tmp_path / "held", **changed)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert sentence in done.stderr
    assert server.health() == NOT_INITIALISED


def test_the_servers_configuration_is_taken_and_speaks_tls_1_3_alone(sealed_by_itself):
    server = sealed_by_itself()
    server.initialise()
    old = ssl.create_default_context(cafile=str(server.authority))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", server.port)) as raw, pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
        old.wrap_socket(raw, server_hostname="127.0.0.1").close()
    assert server.ask("GET", "sys/metrics?format=prometheus").status == 200
    unknown = re.findall(r"unknown or unsupported field (\w+)", (server.folder / "server.log").read_text())
    # OpenBao locks no memory any more and says so.
    assert unknown == (["disable_mlock"] if MAKE == "openbao" else [])
    # Nobody's token is asked for figures alone.
    assert server.ask("GET", "sys/mounts").status == 403


def test_both_audit_devices_record_each_request_hashed_and_without_any_nothing_is_answered(sealed_by_itself):
    server = sealed_by_itself()
    server.initialise()
    folder = server.folder / "audit"
    folder.mkdir()
    for path, options in DEVICES.items():
        where = {"file": str(folder / "audit.log"), "stdout": "stdout"}[path]
        server.root("PUT", f"sys/audit/{path}", {"type": "file", "options": {**options, "file_path": where}})
    server.root("PUT", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    server.root("PUT", "kv/data/card", {"data": {"number": "4111-secret-1111"}})
    for recorded in ((folder / "audit.log").read_text(), (server.folder / "server.log").read_text()):
        entries = [json.loads(line) for line in recorded.splitlines() if line.startswith('{"') and '"request"' in line]
        assert any(entry["request"].get("path") == "kv/data/card" for entry in entries), "not recorded"
        assert "4111-secret-1111" not in recorded
        assert server.root_token not in recorded
    # One blocked: the other is enough. Both blocked: no answer, and nothing is done.
    server.root("DELETE", "sys/audit/stdout")
    blocked = folder / "second"
    blocked.mkdir()
    server.root("PUT", "sys/audit/stdout", {"type": "file", "options": {"file_path": str(blocked / "audit.log")}})
    shutil.rmtree(blocked)
    blocked.write_text("in the way")
    _reopen(server)
    server.root("PUT", "kv/data/one", {"data": {"a": "1"}})
    shutil.rmtree(folder / "..kept", ignore_errors=True)
    (folder / "audit.log").unlink()
    (folder / "audit.log").mkdir()
    _reopen(server)
    refused = server.ask("PUT", "kv/data/two", {"data": {"a": "2"}}, token=server.root_token)
    assert refused.status >= 400, "answered without a record"
    assert server.ask("GET", "kv/data/one", token=server.root_token).status >= 400


def _reopen(server: VaultServer) -> None:
    """SIGHUP, as the keeper sends it: files are opened anew at the next entry."""
    assert server.pid
    os.kill(server.pid, 1)
    server.wait(lambda status: status == 200, "is not active")


def test_a_snapshot_brings_back_everything_after_the_servers_data_is_gone(sealed_by_itself, tmp_path):
    server = sealed_by_itself()
    server.initialise()
    root = server.root_token
    server.root("PUT", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    wanted = {f"secret-{number}": f"value-{number}" for number in range(50)}
    for name, value in wanted.items():
        server.root("PUT", f"kv/data/{name}", {"data": {"value": value}})
    server.root("PUT", f"sys/policies/acl/{snapshots.ROLE}", {"policy": snapshots.POLICY.read_text()})
    # What stands in for the login: a token with the job's policy alone.
    token = server.root("POST", "auth/token/create", {"policies": [snapshots.ROLE], "no_default_policy": True}).body["auth"][
        "client_token"
    ]
    saved = tmp_path / "saved.snap"
    done = server.run(["operator", "raft", "snapshot", "save", str(saved)], token=token)
    assert done.returncode == 0, done.stderr
    assert b"value-7" not in saved.read_bytes()
    for method, path in (("GET", "kv/data/secret-1"), ("GET", "sys/mounts"), ("PUT", "sys/storage/raft/snapshot")):
        assert server.ask(method, path, {} if method == "PUT" else None, token=token).status == 403, path
    server.stop()
    shutil.rmtree(server.data_folder)
    server.start()
    assert server.health() == NOT_INITIALISED
    server.initialise()
    assert server.ask("GET", "kv/data/secret-1", token=server.root_token).status >= 400
    restored = server.run(["operator", "raft", "snapshot", "restore", "-force", str(saved)], token=server.root_token)
    assert restored.returncode == 0, restored.stderr
    server.stop()
    server.start()
    server.wait(lambda status: status == 200, "is not active after the restore")
    found = {name: server.ask("GET", f"kv/data/{name}", token=root).data.get("data", {}).get("value") for name in wanted}
    assert found == wanted
