"""The stand-in application's ledger on a real PostgreSQL: the credential that lies in the file, with the edge's certificate."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.certificates import Authority
from sandbox.postgres import PostgresServer, postgres_server
from sandbox.toolchain import build

RULES = ("hostssl ledger all all scram-sha-256 clientcert=verify-ca", "host all all all reject")


@dataclass(frozen=True)
class Service:
    """A running `trans-ms` and its database."""

    program: Path
    url: str
    server: PostgresServer
    credential: Path

    def call(self, path: str, *arguments: str) -> dict[str, Any]:
        """What `app call` prints, its body read as JSON where it is."""
        done = subprocess.run([self.program, "call", *arguments, self.url + path], capture_output=True, text=True, check=True)
        outcome: dict[str, Any] = json.loads(done.stdout)
        if outcome["body"].startswith("{"):
            outcome["body"] = json.loads(outcome["body"])
        return outcome

    def transfer(self, amount: int) -> dict[str, Any]:
        header = "--header=X-Forwarded-Client-Cert: URI=spiffe://here/ns/bank-a/sa/api-ms"
        return self.call("/transfer", "--method=POST", header, f'--body={{"amount_minor_units":{amount}}}')

    def log_in_as(self, user: str) -> None:
        """What the agent of Vault does: one rename, so that no reader sees half of it."""
        made = self.credential.with_suffix(".new")
        made.write_text(json.dumps({"username": user, "password": f"{user}-secret"}))
        made.replace(self.credential)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    authority = Authority(tmp_path / "pki")
    certificate, key = authority.client("trans-ms")
    tls = tmp_path / "tls"
    tls.mkdir()
    for name, source in {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.certificate}.items():
        (tls / name).write_bytes(source.read_bytes())
    program, credential = build("app", lambda _line: None), tmp_path / "ledger.json"
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with postgres_server(authority, rules=RULES) as server, (tmp_path / "log").open("w") as log:
        server.administer("CREATE DATABASE ledger")
        for user in ("first", "second"):
            server.administer(
                f"CREATE ROLE {user} LOGIN PASSWORD '{user}-secret'; GRANT pg_write_all_data, pg_read_all_data TO {user}"
            )
        server.administer("GRANT ALL ON SCHEMA public TO first", "ledger")
        told = {
            "PORT": str(port),
            "LEDGER_HOST": "localhost",
            "LEDGER_PORT": str(server.port),
            "LEDGER_DATABASE": "ledger",
            "LEDGER_TLS": str(tls),
            "LEDGER_CREDENTIALS": str(credential),
        }
        process = subprocess.Popen([program], env={**os.environ, **told}, stdout=log, stderr=log)
        try:
            for _ in range(300):
                with closing(socket.socket()) as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield Service(program, f"http://127.0.0.1:{port}", server, credential)
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_a_transfer_is_booked_for_its_caller_with_the_credential_of_the_file(service: Service) -> None:
    assert service.call("/healthz/ready")["status"] == 503
    service.log_in_as("first")
    assert service.call("/healthz/ready")["status"] == 200
    said = service.transfer(250)
    assert (said["status"], said["body"]["result"]) == (200, {"id": 1, "database_user": "first"})
    rows = service.server.administer("SELECT caller, amount_minor_units FROM transfers", "ledger")
    assert rows == ("spiffe://here/ns/bank-a/sa/api-ms|250",)


def test_a_connection_that_was_ended_comes_back_with_the_new_credential(service: Service) -> None:
    service.log_in_as("first")
    service.transfer(1)
    service.server.administer(
        "GRANT ALL ON SCHEMA public TO second; GRANT USAGE ON SEQUENCE transfers_id_seq TO second", "ledger"
    )
    service.log_in_as("second")
    service.server.administer(
        "ALTER ROLE first NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'first'"
    )
    answers = [service.transfer(2) for _ in range(3)]
    assert answers[-1]["body"]["result"]["database_user"] == "second"


def test_a_wrong_credential_books_nothing_and_says_so(service: Service) -> None:
    service.log_in_as("nobody")
    said = service.transfer(1)
    assert said["status"] == 502
    assert "ledger" in said["body"]["error"]


def test_an_amount_that_is_none_is_refused_by_the_table(service: Service) -> None:
    service.log_in_as("first")
    assert service.transfer(0)["status"] == 502
    assert service.server.administer("SELECT to_regclass('transfers')", "ledger") == ("",)
