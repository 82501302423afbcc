"""The load balancers of a local region carry connections as AWS's do; everything on loopback."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from sandbox.certificates import Authority
from sandbox.local.balancer import Balancer, Listener

HERE = "127.0.0.1"
SECONDS = 20


@contextlib.contextmanager
def target(said: bytes, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, int]]:
    """A server that answers each connection's first bytes with its own word and those bytes, then closes."""
    listening = socket.create_server((HERE, 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                wrapped = (
                    context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) if context else connection
                )
                with contextlib.suppress(OSError), wrapped as each:
                    each.sendall(said + each.recv(1024))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(SECONDS)


def exchange(port: int, text: bytes = b"x") -> bytes:
    with socket.create_connection((HERE, port), SECONDS) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(1024), b""))


def closed_port() -> int:
    with socket.create_server((HERE, 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def test_targets_take_turns_and_one_that_does_not_answer_is_passed_over():
    with target(b"one ") as one, target(b"two ") as two, Balancer([Listener(address=HERE, port=0, group="vault")]) as balancer:
        balancer.point("vault", [one, two])
        assert {exchange(balancer.ports[0]) for _ in range(4)} == {b"one x", b"two x"}
        balancer.point("vault", [(HERE, closed_port()), two])
        assert [exchange(balancer.ports[0]) for _ in range(4)] == [b"two x"] * 4


def test_without_a_target_the_connection_is_closed():
    with Balancer([Listener(address=HERE, port=0, group="vault")]) as balancer:
        assert _ended(balancer.ports[0])
        with target(b"one ") as one:
            balancer.point("vault", [one])
            assert exchange(balancer.ports[0]) == b"one x"
        assert _ended(balancer.ports[0])


def _ended(port: int) -> bool:
    with socket.create_connection((HERE, port), SECONDS) as client:
        try:
            return client.recv(1) == b""
        except ConnectionResetError:
            return True


def test_groups_have_their_own_listeners():
    taken = [Listener(address=HERE, port=0, group=group) for group in ("vault", "bundle")]
    with target(b"vault ") as vault, target(b"bundle ") as bundle, Balancer(taken) as balancer:
        balancer.point("vault", [vault])
        balancer.point("bundle", [bundle])
        assert [exchange(port) for port in balancer.ports] == [b"vault x", b"bundle x"]


def test_an_end_that_is_told_is_passed_on_and_the_answer_still_comes():
    listening = socket.create_server((HERE, 0))
    with listening, Balancer([Listener(address=HERE, port=0, group="vault")]) as balancer:
        balancer.point("vault", [listening.getsockname()])
        with socket.create_connection((HERE, balancer.ports[0]), SECONDS) as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            served, _ = listening.accept()
            with served:
                assert b"".join(iter(lambda: served.recv(1024), b"")) == b"question"
                served.sendall(b"answer")
            assert b"".join(iter(lambda: client.recv(1024), b"")) == b"answer"


def test_open_connections_end_with_the_balancer():
    with contextlib.ExitStack() as kept:
        listening = kept.enter_context(socket.create_server((HERE, 0)))
        with Balancer([Listener(address=HERE, port=0, group="vault")]) as balancer:
            balancer.point("vault", [listening.getsockname()])
            client = kept.enter_context(socket.create_connection((HERE, balancer.ports[0]), SECONDS))
            client.sendall(b"x")
            served = kept.enter_context(listening.accept()[0])
            assert served.recv(1) == b"x"
        assert client.recv(1) == b""


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("public") / "authority")


def _by_tls(authority: Authority, port: int, name: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[bytes, str]:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.minimum_version = context.maximum_version = version
    with socket.create_connection((HERE, port), SECONDS) as raw, context.wrap_socket(raw, server_hostname=name) as client:
        client.sendall(b"x")
        names = client.getpeercert()["subjectAltName"]
        return client.recv(1024), next(value for kind, value in names if kind == "DNS" and value == name)


def test_tls_ends_at_the_public_balancer_and_begins_anew_with_the_name_asked_for(authority):
    pairs = {name: authority.server(name, also=(f"DNS:{name}",)) for name in ("api.local.example", "id.local.example")}
    asked: list[str | None] = []
    behind = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    behind.load_cert_chain(*map(str, authority.server("gateway")))
    behind.sni_callback = lambda _connection, name, _context: asked.append(name)
    listener = Listener(address=HERE, port=0, group="ingress", certificates=pairs)
    with target(b"gateway ", behind) as gateway, Balancer([listener]) as balancer:
        balancer.point("ingress", [gateway])
        for name in sorted(pairs):
            assert _by_tls(authority, balancer.ports[0], name) == (b"gateway x", name)
        assert asked == sorted(pairs)
        with pytest.raises(ssl.SSLError):
            _by_tls(authority, balancer.ports[0], "api.local.example", ssl.TLSVersion.TLSv1_2)
        with pytest.raises(ssl.SSLCertVerificationError):
            _by_tls(authority, balancer.ports[0], "other.example")
