"""A PostgreSQL server on loopback with the platform's own rules: TLS 1.3, certificates, and the pg_hba lines it is given.

The machine's packages bring the programs (Debian: `postgresql`). PostgreSQL refuses to run as root, so under root it runs as the
packages' account. Everything lies in a folder of its own that goes with the context; so does the process.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.certificates import Authority

ACCOUNTS: Final = ("postgres", "nobody")
"""Who runs it where root would: the first of them that the machine knows."""
SUPERUSER: Final = "postgres"
_PROGRAMS: Final = ("initdb", "postgres", "psql")
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0


class PostgresError(Exception):
    """PostgreSQL cannot be had or does not start; the message says what is missing and what to do."""

    user_facing = True


def programs() -> Path:
    """The folder of initdb, postgres and psql, the newest version's.

    Raises:
        PostgresError: without the packages.
    """
    on_path = shutil.which("initdb")
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    for folder in (*([Path(on_path).resolve().parent] if on_path else []), *reversed(known)):
        if all((folder / name).exists() for name in _PROGRAMS):
            return folder
    msg = "no PostgreSQL on this machine: install the package postgresql (apt-get install postgresql), which brings initdb"
    raise PostgresError(msg)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What psql said: whether the statement was carried out, its rows without headings, and its complaint."""

    ok: bool
    rows: tuple[str, ...]
    error: str


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A running server."""

    binaries: Path
    folder: Path
    port: int
    authority: Authority
    """Signs the server's certificate; `authority.client(name)` makes one that the server takes."""
    account: Mapping[str, Any]
    """Whose processes its own are, as `subprocess` takes it."""

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of this process's own: libpq reads connections and passwords from it."""
        return {"PATH": os.defpath, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def administer(self, sql: str, database: str = SUPERUSER) -> tuple[str, ...]:
        """Statements of the superuser, on the server's own socket.

        Raises:
            PostgresError: when one is refused.
        """
        said = self._ask(f"host={self.folder} port={self.port} user={SUPERUSER} dbname={database}", sql, self.account)
        if not said.ok:
            raise PostgresError(said.error)
        return said.rows

    def ask(
        self, sql: str, *, database: str, user: str, password: str = "", certificate: tuple[Path, Path] | None = None
    ) -> Said:
        """Statements of a client that verifies the server; each call is a connection of its own."""
        own = {"sslcert": certificate[0], "sslkey": certificate[1]} if certificate else {}
        words = {
            "host": "127.0.0.1",
            "port": self.port,
            "dbname": database,
            "user": user,
            "password": password,
            "sslmode": "verify-full",
            "sslrootcert": self.authority.certificate,
            **own,
        }
        quoted = " ".join(f"{key}='{str(value).translate(_ESCAPES)}'" for key, value in words.items())
        return self._ask(quoted, sql, {})

    def _ask(self, connection: str, sql: str, account: Mapping[str, Any]) -> Said:
        command = [str(self.binaries / "psql"), connection, "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        done = subprocess.run(
            command, input=sql, env=self.environment, cwd="/", capture_output=True, text=True, check=False, **account
        )
        return Said(ok=done.returncode == 0, rows=tuple(done.stdout.splitlines()), error=done.stderr.strip())


_ESCAPES: Final = {ord("'"): r"\'", ord("\\"): r"\\"}


@contextlib.contextmanager
def postgres_server(
    authority: Authority, *, rules: Sequence[str], settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """A server that answers on 127.0.0.1.

    Args:
        authority: signs its certificate, and is who client certificates are believed of.
        rules: lines of pg_hba.conf for connections by network; without one nobody gets in.
        settings: parameters beside the platform's own.

    Raises:
        PostgresError: without the packages, or when it does not start.
    """
    binaries, account = programs(), _account()
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        server = PostgresServer(binaries=binaries, folder=folder, port=_free_port(), authority=authority, account=account)
        data = folder / "data"
        for source, name in zip((*authority.server("database"), authority.certificate), _FILES, strict=True):
            shutil.copy(source, folder / name)
        if account:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account["user"], account["group"])
        command = [str(binaries / "initdb"), "-D", str(data), "-U", SUPERUSER, "--auth=peer", "--encoding=UTF8", "--no-sync"]
        done = subprocess.run(command, env=server.environment, cwd="/", capture_output=True, text=True, check=False, **account)
        if done.returncode:
            msg = f"initdb: {done.stderr.strip()}"
            raise PostgresError(msg)
        # The socket lies in a folder that only this account may enter.
        (data / "pg_hba.conf").write_text("\n".join(("local all all trust", *rules, "")), encoding="utf-8")
        with _running(server, data, settings or {}):
            yield server


_FILES: Final = ("server.crt", "server.key", "ca.crt")


@contextlib.contextmanager
def _running(server: PostgresServer, data: Path, settings: Mapping[str, str]) -> Iterator[None]:
    certificate, key, authority = (str(server.folder / name) for name in _FILES)
    wanted = {
        "listen_addresses": "127.0.0.1",
        "port": str(server.port),
        "unix_socket_directories": str(server.folder),
        "ssl": "on",
        "ssl_cert_file": certificate,
        "ssl_key_file": key,
        "ssl_ca_file": authority,
        "ssl_min_protocol_version": "TLSv1.3",
        "password_encryption": "scram-sha-256",
        "fsync": "off",
        "shared_buffers": "16MB",
        **settings,
    }
    command = [str(server.binaries / "postgres"), "-D", str(data), *(f"--{key}={value}" for key, value in wanted.items())]
    log = server.folder / "server.log"
    with log.open("ab") as written:
        process = subprocess.Popen(
            command, env=server.environment, cwd="/", stdin=subprocess.DEVNULL, stdout=written, stderr=written, **server.account
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(server):
            if process.poll() is not None or time.monotonic() > deadline:
                msg = f"PostgreSQL does not start: {log.read_text(encoding='utf-8', errors='replace')[-800:]}"
                raise PostgresError(msg)
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(server: PostgresServer) -> bool:
    try:
        return server.administer("SELECT 1") == ("1",)
    except PostgresError:
        return False


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    msg = f"PostgreSQL does not run as root: make an account {' or '.join(ACCOUNTS)}, or start as another user"
    raise PostgresError(msg)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
