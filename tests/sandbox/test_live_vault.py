"""The live Vault provider's requests on a real server; and a command's outcome over the exec channel, played by a server here."""

import json
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.certificates import Authority
from sandbox.live import execution
from sandbox.live import vault as live_vault
from sandbox.live.client import Cluster, ServerError
from sandbox.live.running import Access
from sandbox.live.vault import SEAL, Inside, VaultError, ceremony, initialised, token_file
from sandbox.vault_server import VaultServer, openbao

SEALED_BY = "static"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vault")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[VaultServer]:
    key = folder / "key"
    key.write_bytes(secrets.token_bytes(32))
    seal = {SEALED_BY: {"current_key_id": "one", "current_key": f"file://{key}"}}
    with VaultServer(binary=openbao(), folder=folder / "server", extra={"seal": seal}) as started:
        yield started


@pytest.fixture(scope="module")
def there(server: VaultServer, folder: Path) -> Inside:
    """The server as the provider finds it after a ceremony."""

    def ask(method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        said = server.ask(method, path, body, token=token or None)
        return said.status, said.body

    def put(name: str, text: str) -> str:
        (folder / name).write_text(text, encoding="utf-8")
        return str(folder / name)

    file = folder / "home" / "vault.json"
    assert initialised(ask, file)
    before = file.read_text(encoding="utf-8")
    assert initialised(ask, file)
    assert file.read_text(encoding="utf-8") == before
    assert file.stat().st_mode & 0o077 == 0
    server.root_token = json.loads(before)["token"]
    return Inside(ask=ask, token=lambda: server.root_token, put=put, patience=20.0)


def test_what_is_declared_is_made_changed_and_removed(there: Inside, server: VaultServer) -> None:
    policy = {"name": "reader", "policy": 'path "kv/a" { capabilities = ["read"] }'}
    there.make("vault:index/policy:Policy", "reader", policy, new=True)
    there.make("vault:index/policy:Policy", "reader", {**policy, "policy": 'path "kv/b" { capabilities = ["read"] }'}, new=False)
    assert "kv/b" in server.root("GET", "sys/policies/acl/reader").data["policy"]
    there.remove("vault:index/policy:Policy", "reader", policy)
    assert server.ask("GET", "sys/policies/acl/reader", token=server.root_token).status == 404
    there.remove("vault:index/policy:Policy", "reader", policy)


def test_an_engine_that_stands_is_not_mounted_again(there: Inside, server: VaultServer) -> None:
    mount = {"path": "transit", "type": "transit"}
    there.make("vault:index/mount:Mount", "transit", mount, new=True)
    there.make("vault:index/mount:Mount", "transit", mount, new=False)
    there.make("vault:index/mount:Mount", "transit", mount, new=True)
    assert "transit/" in server.root("GET", "sys/mounts").data
    there.remove("vault:index/mount:Mount", "transit", mount)
    assert "transit/" not in server.root("GET", "sys/mounts").data


def test_a_databases_certificates_become_files_that_the_address_names(there: Inside, server: VaultServer) -> None:
    there.make("vault:index/mount:Mount", "database", {"path": "database", "type": "database"}, new=True)
    url = "postgresql://vault@ledger.invalid:5432/ledger?sslmode=verify-full"
    files = {"tlsCa": "authority", "tlsCertificate": "leaf", "privateKey": "key"}
    connection = {
        "backend": "database",
        "name": "ledger",
        "pluginName": "postgresql-database-plugin",
        "verifyConnection": False,
        "allowedRoles": ["*"],
        "postgresql": {"connectionUrl": url, **files},
    }
    there.make("vault:database/secretBackendConnection:SecretBackendConnection", "ledger", connection, new=True)
    stored = server.root("GET", "database/config/ledger").data["connection_details"]["connection_url"]
    named = {part.partition("=")[0]: Path(part.partition("=")[2]).read_text() for part in stored.split("&")[1:]}
    assert named == {"sslrootcert": "authority", "sslcert": "leaf", "sslkey": "key"}


def test_what_vault_refuses_is_said_in_its_words(there: Inside) -> None:
    with pytest.raises(VaultError, match=r"POST sys/policies/acl/broken: 400: failed to parse policy"):
        there.make("vault:index/policy:Policy", "broken", {"name": "broken", "policy": "path {"}, new=True)


def frame(channel: int, text: str) -> bytes:
    data = bytes([channel]) + text.encode()
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
    return b"\x82" + size + data


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[bytes], tuple[Cluster, list[bytes]]]]:
    """An API server that upgrades one connection and says what it is told to."""
    pki = Authority(tmp_path / "pki")
    certificate, key = pki.server("api")
    client = pki.client("admin")
    tls = SSLContext(PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with ExitStack() as held:

        def start(answer: bytes) -> tuple[Cluster, list[bytes]]:
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            asked: list[bytes] = []

            def serve() -> None:
                with tls.wrap_socket(listener.accept()[0], server_side=True) as stream:
                    asked.append(stream.recv(65536))
                    stream.sendall(answer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            held.callback(thread.join, 10)
            access = Access(
                region="eu-west-1",
                url=f"https://127.0.0.1:{listener.getsockname()[1]}",
                kubeconfig=tmp_path / "none",
                authority=pki.certificate.read_text(),
                certificate=client[0].read_text(),
                key=client[1].read_text(),
            )
            return Cluster(access), asked

        yield start


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def test_a_command_that_ends_well_says_nothing(answering: Callable[[bytes], tuple[Cluster, list[bytes]]]) -> None:
    cluster, asked = answering(UPGRADED + frame(1, "x" * 300) + frame(3, '{"status": "Success"}') + b"\x88\x00")
    execution.run(cluster, "vault", "vault-0", "vault", ["/bin/sh", "-c", "a b"])
    assert b"GET /api/v1/namespaces/vault/pods/vault-0/exec?container=vault" in asked[0]
    assert b"command=%2Fbin%2Fsh&command=-c&command=a+b" in asked[0]


def test_a_command_that_fails_is_refused_in_its_own_words(answering: Callable[[bytes], tuple[Cluster, list[bytes]]]) -> None:
    cluster, _ = answering(UPGRADED + frame(2, "no space left") + frame(3, '{"status": "Failure"}') + b"\x88\x00")
    with pytest.raises(ServerError, match="vault/vault-0: no space left"):
        execution.run(cluster, "vault", "vault-0", "vault", ["true"])
    cluster, _ = answering(UPGRADED + frame(1, "half of"))
    with pytest.raises(ServerError, match="the server ended the connection"):
        execution.run(cluster, "vault", "vault-0", "vault", ["true"])
    cluster, _ = answering(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    with pytest.raises(ServerError, match="exec is refused: 403 Forbidden"):
        execution.run(cluster, "vault", "vault-0", "vault", ["true"])


class Answering:
    """A cluster whose Vault answers from the third time on, if ever."""

    def __init__(self, *, ever: bool) -> None:
        self.access = SimpleNamespace(region="eu-west-1")
        self.ever, self.asked, self.applied = ever, 0, list[str]()

    def get(self, *_: object) -> None:
        return None

    def apply(self, manifest: dict[str, Any], _: str) -> None:
        self.applied.append(manifest["metadata"]["name"])

    def through(self, _: str, method: str, *__: object) -> tuple[int, bytes]:
        self.asked += 1
        if not self.ever or self.asked < 3:
            return 503, b"error trying to reach service"
        return 200, b'{"root_token": "t"}' if method == "PUT" else b'{"initialized": false}'


def test_a_ceremony_ends_when_the_first_server_is_initialised_though_nobody_else_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(live_vault, "_PAUSE_SECONDS", 0.01)
    cluster = Answering(ever=True)
    with ceremony(cluster, tmp_path):  # type: ignore[arg-type]
        assert cluster.applied == [SEAL]
    assert json.loads(token_file(tmp_path, "eu-west-1").read_text()) == {"token": "t"}


def test_a_ceremony_that_nobody_answers_is_an_error_and_not_a_release(tmp_path, monkeypatch):
    monkeypatch.setattr(live_vault, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(live_vault, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(ServerError, match="vault-0 is not initialised"), ceremony(Answering(ever=False), tmp_path):  # type: ignore[arg-type]
        pass
    assert not token_file(tmp_path, "eu-west-1").exists()
