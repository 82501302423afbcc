"""What stands for Valkey in the sandbox, with the very configuration that the program compiles: users by certificates."""

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.graph.names import VALKEY_PORT
from components.tenancy.valkey import CONFIG, DATA, TLS, Valkey, configuration
from sandbox.certificates import Authority
from sandbox.toolchain import build

WANTED = Valkey(
    namespace="bank-a",
    name="sessions",
    image="i",
    instances=2,
    memory="64Mi",
    users={"trans-ms": "read_write", "reader": "read"},
)


@dataclass(frozen=True)
class Cache:
    """Two instances, the second the first's replica."""

    authority: Authority
    ports: tuple[int, int]

    def ask(self, who: tuple[Path, Path], *commands: str, place: int = 0) -> list[str]:
        """The first line of the answer to each command."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(*map(str, who))
        answers = []
        with (
            socket.create_connection(("127.0.0.1", self.ports[place]), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
            connection.makefile("rwb") as stream,
        ):
            for command in commands:
                stream.write(command.encode() + b"\r\n")
                stream.flush()
                line = stream.readline().decode().rstrip()
                if line.startswith("$") and line != "$-1":
                    line = stream.readline().decode().rstrip()
                answers.append(line)
        return answers


def _free() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def _until(holds: Callable[[], bool], said: Path) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail(said.read_text()[-2000:])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    home = tmp_path_factory.mktemp("valkey")
    authority = Authority(home / "pki")
    certificate, key = authority.server(WANTED.own_user)
    tls = home / "tls"
    tls.mkdir()
    for name, source in {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.certificate}.items():
        (tls / name).write_bytes(source.read_bytes())
    program, ports = build("valkey-front", lambda _line: None), (_free(), _free())
    found = Cache(authority, ports)
    with (home / "log").open("w") as log:
        processes = []
        for place, port in enumerate(ports):
            folder = home / str(place)
            (folder / "data").mkdir(parents=True)
            for name, text in configuration(WANTED).items():
                moved = text.replace(CONFIG, str(folder)).replace(TLS, str(tls)).replace(f"dir {DATA}", f"dir {folder}/data")
                moved = moved.replace(f"{WANTED.host(writable=True)} {VALKEY_PORT}", f"127.0.0.1 {ports[0]}")
                (folder / name).write_text(moved.replace(f"tls-port {VALKEY_PORT}", f"tls-port {port}"))
            command = [str(program), str(folder / f"sessions-{place}.conf")]
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))
        try:
            for port in ports:
                _until(lambda port=port: socket.socket().connect_ex(("127.0.0.1", port)) == 0, home / "log")
            yield found
        finally:
            for process in processes:
                process.terminate()
                process.wait(timeout=30)


def test_a_client_is_the_user_that_its_certificate_names(cache: Cache) -> None:
    writer = cache.authority.client("trans-ms")
    assert cache.ask(writer, "SET key value", "GET key") == ["+OK", "value"]


def test_a_reader_reads_and_does_not_write(cache: Cache) -> None:
    cache.ask(cache.authority.client("trans-ms"), "SET read value")
    read, written = cache.ask(cache.authority.client("reader"), "GET read", "SET read other")
    assert read == "value"
    assert written.startswith("-NOPERM")


def test_the_servers_own_user_pings_and_reads_no_key(cache: Cache) -> None:
    alive, read = cache.ask(cache.authority.client(WANTED.own_user), "PING", "GET read")
    assert alive == "+PONG"
    assert read.startswith("-NOPERM")


def test_a_certificate_that_no_user_is_named_after_may_do_nothing(cache: Cache) -> None:
    (said,) = cache.ask(cache.authority.client("api-ms"), "PING")
    assert said.startswith("-NOAUTH")


def test_nobody_becomes_another_by_a_password(cache: Cache) -> None:
    said = cache.ask(cache.authority.client("reader"), "AUTH trans-ms x", "SET read other")
    assert said[0].startswith("-WRONGPASS")
    assert said[1].startswith("-NOPERM")


def test_another_authoritys_certificate_opens_no_connection(cache: Cache, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other").client("trans-ms")
    try:
        said = cache.ask(stranger, "PING")
    except (ssl.SSLError, ConnectionError):
        return
    assert said == [""], "the refusal of TLS 1.3 may come as an end of the connection, and as no answer"


def test_the_replica_has_what_the_primary_was_given(cache: Cache) -> None:
    writer = cache.authority.client("trans-ms")
    cache.ask(writer, "SET replicated value")
    for _ in range(300):
        if cache.ask(writer, "GET replicated", place=1) == ["value"]:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the replica has it not")
    assert cache.ask(writer, "SET replicated other", place=1)[0].startswith("-READONLY")
