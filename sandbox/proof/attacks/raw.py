"""Bytes as an attacker sends them: a socket in a pod's network, a handshake of any kind, any certificate, and any request.

No client library stands between, so that nothing is corrected on the way: two lengths, a path with `..`, an old version of TLS.
"""

import contextlib
import ctypes
import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sandbox.proof.world import MESH_USER, SIDECAR, Answer, Pod

_NETWORK: Final = 0x40000000
"""CLONE_NEWNET, which this Python does not name."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_SECONDS: Final = 5.0
_CHUNK: Final = 65536
_ALERT: Final = re.compile(r"ALERT_([A-Z_]+)\]")
REMOTE: Final = "remote error: tls: "
"""Before what the other end alerted."""
_LISTENING_SECONDS: Final = 2.0
_PIECE: Final = re.compile(r"([0-9a-fA-F]{1,8})\r\n")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A certificate with what stands behind it, and its key, both PEM."""

    chain: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """How TLS is begun. The server is not verified: an attack has to reach it to be refused."""

    shown: Shown | None = None
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    protocols: tuple[str, ...] = ("http/1.1",)
    """The application protocols that are offered, in order."""
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """What Python's TLS takes.

        Raises:
            ssl.SSLError: the certificate is none, or not of this key.
        """
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1_2, self.newest
        made.set_alpn_protocols(list(self.protocols))
        if self.shown is not None:
            with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
                file.write(f"{self.shown.key}\n{self.shown.chain}\n")
                file.flush()
                made.load_cert_chain(Path(file.name))
        return made


def request(method: str, target: str, headers: Mapping[str, str] | Sequence[tuple[str, str]] = (), body: str = "") -> bytes:
    """One HTTP/1.1 request, byte for byte; a length is said unless the headers say one, and the connection ends after it."""
    lines = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    said = {name.lower() for name, _ in lines}
    if body and not said & {"content-length", "transfer-encoding"}:
        lines.append(("Content-Length", str(len(body.encode()))))
    if "connection" not in said:
        lines.append(("Connection", "close"))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n{body}".encode("latin-1")


def send(pod: Pod, where: tuple[str, int], sent: bytes, tls: Handshake | None = None, *, user: int = MESH_USER) -> Answer:
    """What comes back for these bytes, from within a pod's network.

    Args:
        pod: whose network it is sent from.
        where: address and port.
        sent: the bytes, after the handshake if there is one.
        tls: None for plain text.
        user: as which user of the pod; that of the mesh goes around the pod's own sidecar.

    Returns:
        The answer; its body holds everything that came after the first line, its `error` what the network or TLS said.
    """
    answer = _sent(pod, where, sent, tls, user, listens=False)
    if tls is not None and answer.tls and not answer.status and not alerted(answer):
        # TLS 1.3 refuses a certificate after the client's part; what was sent meanwhile resets the connection before that is read
        answer = _sent(pod, where, sent, tls, user, listens=True)
    return answer


def alerted(answer: Answer) -> bool:
    """Whether the other end said why it ended the handshake."""
    return answer.error.startswith(REMOTE)


def _sent(pod: Pod, where: tuple[str, int], sent: bytes, tls: Handshake | None, user: int, *, listens: bool) -> Answer:
    began, at = time.monotonic(), datetime.now(UTC)
    status, body, error, version, local = 0, "", "", "", ""
    try:
        with _connected(pod, where, user) as plain:
            local = "{}:{}".format(*plain.getsockname())
            with _secured(plain, tls) as stream:
                version = str(stream.version()) if isinstance(stream, ssl.SSLSocket) else ""
                if listens:
                    _listen(stream)
                stream.sendall(sent)
                status, body = parsed(_everything(stream))
        if not status:
            error = "the connection was closed without an answer"
    except OSError as failed:
        error = said(failed)
    return Answer(
        status=status,
        body=body,
        error=error,
        at=at.isoformat().replace("+00:00", "Z"),
        seconds=time.monotonic() - began,
        tls={"version": version} if version else None,
        local=local,
    )


@contextlib.contextmanager
def opened(pod: Pod, where: tuple[str, int], tls: Handshake, *, user: int = MESH_USER) -> Iterator[socket.socket]:
    """A connection from within a pod's network after its handshake, for more than one request; `send` says how."""
    with _connected(pod, where, user) as plain, _secured(plain, tls) as stream:
        yield stream


def said(failed: OSError) -> str:
    """An error of the network or of TLS; what the other end alerted is said as `refusals.alert` reads it."""
    found = _ALERT.search(str(failed))
    return f"{REMOTE}{found[1].lower().replace('_', ' ')}" if found else str(failed) or type(failed).__name__


def parsed(received: bytes) -> tuple[int, str]:
    """Status of the first answer, 0 if there is none, and everything behind its first line: another answer with it."""
    found = _STATUS.match(received)
    text = received.decode("latin-1").partition("\r\n")[2]
    return (int(found[1]) if found else 0), text


def last(received: Answer) -> Answer:
    """The last answer that came over the connection, by its status: with several that of the request that was hidden."""
    found = re.findall(r"HTTP/1\.[01] (\d{3})", received.body)
    return replace(received, status=int(found[-1])) if found else received


@contextlib.contextmanager
def _connected(pod: Pod, where: tuple[str, int], user: int) -> Iterator[socket.socket]:
    process = pod.processes.get(SIDECAR) or next(iter(pod.processes.values()))
    with network(Path(f"/proc/{process}/ns/net")), _owner(user):
        # a socket is of the network and of the user that it was made in, whoever uses it later
        made = socket.socket()
    with made:
        made.settimeout(_SECONDS)
        made.connect(where)
        yield made


@contextlib.contextmanager
def _secured(plain: socket.socket, tls: Handshake | None) -> Iterator[socket.socket]:
    if tls is None:
        yield plain
        return
    with tls.context().wrap_socket(plain, server_hostname=tls.server_name) as stream:
        yield stream


@contextlib.contextmanager
def network(place: Path) -> Iterator[None]:
    """This thread, and no other of this process, in the network that this file stands for."""
    own = Path("/proc/thread-self/ns/net").open("rb")  # noqa: SIM115
    with own, place.open("rb") as other:
        _entered(other.fileno())
        try:
            yield
        finally:
            _entered(own.fileno())


def _entered(network: int) -> None:
    if _LIBC.setns(network, _NETWORK) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


@contextlib.contextmanager
def _owner(user: int) -> Iterator[None]:
    """What this thread makes is of this user, as the pod's rules of who is captured see it."""
    _LIBC.setfsuid(user)
    try:
        yield
    finally:
        _LIBC.setfsuid(0)


def _listen(stream: socket.socket) -> None:
    """Reads what the other end says before it was asked anything: an alert, or nothing for a while."""
    stream.settimeout(_LISTENING_SECONDS)
    with contextlib.suppress(TimeoutError):
        if not stream.recv(1):
            raise ConnectionResetError
    stream.settimeout(_SECONDS)


def _everything(stream: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(TimeoutError):
        while chunk := stream.recv(_CHUNK):
            received += chunk
    return received


def unchunked(body: str) -> str:
    """A body that may have come in pieces, each behind its length (RFC 9112, 7.1)."""
    found, rest = "", body
    while match := _PIECE.match(rest):
        length = int(match[1], 16)
        found += rest[match.end() : match.end() + length]
        rest = rest[match.end() + length + 2 :]
    return found or body
