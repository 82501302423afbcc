"""A database credential, from the workload's login to the row it reads: it can do what its edge says, and then it is dead.

The server and PostgreSQL are real, the database's rules and roles are those that the program gives CloudNativePG, and what makes
and ends a credential is what the program gives Vault; only addresses and lifetimes differ. PostgreSQL is the machine's own
version, not the one that the settings pin.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.graph.names import DATABASE_ACCESS_ROLE
from components.tenancy.postgres import access_statements, host_rules
from components.tenancy.stores import postgres_of
from components.vault.access_tenant import ClientFiles
from sandbox.certificates import Authority
from sandbox.postgres import PostgresServer, Said, postgres_server
from tests.support.vault_world import World, graph_of, tree, world

WRITES, READS = "bank-b-trans-ledger", "bank-b-worker-ledger"
SHORT_SECONDS = 4
MOST_WAITED_SECONDS = 90


@dataclass(kw_only=True)
class Bank:
    """Bank B's database, and Vault in front of it."""

    vault: World
    database: PostgresServer
    certificate: tuple[Path, Path]
    """Of a workload, by the tenant's authority of stores."""

    def credential(self, ref: str, edge: str) -> dict[str, Any]:
        """A new one, asked for by the workload itself."""
        said = self.vault.server.ask("GET", f"database-bank-b/creds/{edge}", token=self.vault.token(ref))
        assert said.ok, said
        return {**said.data, "lease": said.body["lease_id"], "seconds": said.body["lease_duration"]}

    def ask(self, credential: dict[str, Any], sql: str, **over: Any) -> Said:
        """What PostgreSQL answers to the credential's holder."""
        words = {"database": "ledger", "certificate": self.certificate, **over}
        return self.database.ask(sql, user=credential["username"], password=credential["password"], **words)

    def roles(self) -> set[str]:
        """Credentials that the database knows."""
        return set(self.database.administer("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v\\_%'"))


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Iterator[Bank]:
    folder = tmp_path_factory.mktemp("database")
    stores, graph = Authority(folder / "stores"), graph_of(tree())
    wanted = postgres_of(graph, graph.stores["bank-b/ledger"])
    files = [stores.certificate, *stores.client(DATABASE_ACCESS_ROLE)]
    authority, certificate, key = (file.read_text() for file in files)
    with postgres_server(stores, rules=host_rules(wanted), settings={"log_statement": "ddl"}) as database:
        database.administer(f"CREATE ROLE {wanted.database}")
        database.administer(f"CREATE DATABASE {wanted.database} OWNER {wanted.database}")
        for statement in access_statements(wanted):
            database.administer(statement, wanted.database)

        def local(_type: str, inputs: dict[str, Any]) -> dict[str, Any]:
            if "postgresql" in inputs:
                host, _, rest = inputs["postgresql"]["connectionUrl"].partition("@")[2].partition("/")
                address = inputs["postgresql"]["connectionUrl"].replace(host, f"127.0.0.1:{database.port}")
                assert rest
                return {**inputs, "postgresql": {**inputs["postgresql"], "connectionUrl": address}}
            return {**inputs, "defaultTtl": SHORT_SECONDS, "maxTtl": SHORT_SECONDS} if inputs.get("name") == READS else inputs

        clients = {"bank-b": ClientFiles(authority=authority, certificate=certificate, key=key)}
        with world(folder / "vault", change=local, clients=lambda _: clients) as vault:
            bank = Bank(vault=vault, database=database, certificate=stores.client("trans-ms"))
            made = bank.ask(
                bank.credential("bank-b/trans-ms", WRITES),
                "CREATE TABLE entries (id serial PRIMARY KEY, amount int); INSERT INTO entries (amount) VALUES (7)",
            )
            assert made.ok, made
            yield bank


def until(fact: Callable[[], bool]) -> bool:
    """Whether it became so at all; how soon is nobody's promise."""
    end = time.monotonic() + MOST_WAITED_SECONDS
    while not (now := fact()) and time.monotonic() < end:
        time.sleep(0.2)
    return now


def test_a_writer_reads_and_writes_and_what_it_makes_is_the_groups(bank):
    credential = bank.credential("bank-b/trans-ms", WRITES)
    assert bank.ask(credential, "INSERT INTO entries (amount) VALUES (8); SELECT count(*) > 1 FROM entries").rows == ("t",)
    assert bank.ask(credential, "CREATE TABLE more (id int); ALTER TABLE more ADD COLUMN x int; DROP TABLE more").ok
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'entries'"
    assert bank.database.administer(owner, "ledger") == ("ledger_read_write",)


REFUSED_TO_READERS = (
    "INSERT INTO entries (amount) VALUES (1)",
    "UPDATE entries SET amount = 0",
    "DELETE FROM entries",
    "TRUNCATE entries",
    "DROP TABLE entries",
    "ALTER TABLE entries ADD COLUMN x int",
    "CREATE TABLE mine (id int)",
    "CREATE TEMP TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "SELECT nextval('entries_id_seq')",
    "SET ROLE ledger_read_write",
    "SET ROLE ledger",
    f"SET ROLE {DATABASE_ACCESS_ROLE}",
    "GRANT ledger_read_write TO CURRENT_USER",
    "CREATE ROLE other",
    "ALTER ROLE CURRENT_USER CREATEROLE",
    "ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'",
    "COPY entries TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT rolpassword FROM pg_authid",
)


def test_a_reader_reads_what_a_writer_made_later_too(bank):
    assert bank.ask(bank.credential("bank-b/trans-ms", WRITES), "CREATE TABLE later AS SELECT 1 AS x").ok
    reader = bank.credential("bank-b/worker", READS)
    assert bank.ask(reader, "SELECT amount FROM entries WHERE id = 1; SELECT x FROM later").rows == ("7", "1")


@pytest.mark.parametrize("statement", REFUSED_TO_READERS)
def test_a_reader_may_not(bank, statement):
    said = bank.ask(bank.credential("bank-b/worker", READS), statement)
    assert not said.ok
    assert any(word in said.error for word in ("denied", "must be", "must have", "owner", "privileges")), said


def test_a_writer_is_no_superuser_and_makes_no_other_role(bank):
    credential = bank.credential("bank-b/trans-ms", WRITES)
    for statement in ("SET ROLE NONE; CREATE ROLE other", "DROP DATABASE ledger", "SET ROLE ledger", "CREATE DATABASE mine"):
        assert not bank.ask(credential, statement).ok, statement


def test_the_password_alone_opens_nothing_nor_does_the_certificate_alone(bank):
    credential = bank.credential("bank-b/trans-ms", WRITES)
    assert bank.ask(credential, "SELECT 1").ok
    assert "certificate" in bank.ask(credential, "SELECT 1", certificate=None).error
    assert "password" in bank.ask({**credential, "password": "wrong"}, "SELECT 1").error
    assert not bank.ask(credential, "SELECT 1", database="postgres").ok


def test_no_certificate_of_a_workload_is_vaults(bank):
    said = bank.ask({"username": DATABASE_ACCESS_ROLE, "password": ""}, "SELECT 1")
    assert "certificate authentication failed" in said.error


def test_no_password_is_written_to_the_databases_log(bank):
    credential = bank.credential("bank-b/trans-ms", WRITES)
    log = (bank.database.folder / "server.log").read_text(errors="replace")
    assert credential["username"] in log
    assert credential["password"] not in log


def test_a_credential_dies_at_its_end_and_takes_its_sessions_with_it(bank):
    credential = bank.credential("bank-b/worker", READS)
    assert credential["seconds"] <= SHORT_SECONDS
    assert bank.ask(credential, "SELECT 1").ok
    # A session that is open when the end comes: PostgreSQL alone would let it go on for ever.
    cut = bank.ask(credential, f"SELECT pg_sleep({MOST_WAITED_SECONDS})")
    assert "terminating connection" in cut.error
    assert until(lambda: credential["username"] not in bank.roles())
    assert not bank.ask(credential, "SELECT 1").ok


def test_a_credential_is_not_prolonged(bank):
    credential = bank.credential("bank-b/worker", READS)
    said = bank.vault.server.ask(
        "POST", "sys/leases/renew", {"lease_id": credential["lease"], "increment": 3600}, token=bank.vault.token("bank-b/worker")
    )
    assert not said.ok or said.body["lease_duration"] <= SHORT_SECONDS
    assert until(lambda: not bank.ask(credential, "SELECT 1").ok)


def test_a_revoked_credential_is_dead_at_once_and_what_it_made_stays(bank):
    credential = bank.credential("bank-b/trans-ms", WRITES)
    # Made as itself and not as the group, which nothing forbids it.
    assert bank.ask(credential, "SET ROLE NONE; CREATE TABLE kept AS SELECT 5 AS x").ok
    bank.vault.server.root("POST", "sys/leases/revoke", {"lease_id": credential["lease"], "sync": True})
    assert not bank.ask(credential, "SELECT 1").ok
    assert credential["username"] not in bank.roles()
    assert bank.ask(bank.credential("bank-b/trans-ms", WRITES), "SELECT x FROM kept; DROP TABLE kept").rows == ("5",)


def test_revoking_what_is_gone_already_is_no_error(bank):
    credential = bank.credential("bank-b/trans-ms", WRITES)
    bank.database.administer(f'DROP ROLE "{credential["username"]}"')
    bank.vault.server.root("POST", "sys/leases/revoke", {"lease_id": credential["lease"], "sync": True})


def test_a_token_takes_its_credentials_along(bank):
    ref = "bank-b/trans-ms"
    credential, token = bank.credential(ref, WRITES), bank.vault.tokens.pop(ref)
    assert bank.vault.server.ask("POST", "auth/token/revoke-self", token=token).ok
    assert until(lambda: credential["username"] not in bank.roles())
