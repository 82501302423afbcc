"""A command in a running pod, by the API server's exec channel: what `kubectl exec` does, without its input."""

import base64
import http.client
import json
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from sandbox.live.client import Cluster, ServerError

_PROTOCOL: Final = "v4.channel.k8s.io"
_SECONDS: Final = 60.0
_CLOSE: Final = 8
_SHORT, _LONG = 126, 127
_STDERR, _STATUS = 2, 3


def run(cluster: Cluster, namespace: str, pod: str, container: str, command: Sequence[str]) -> None:
    """Runs a command to its end.

    Raises:
        ServerError: when the server refuses, nobody answers, or the command fails: its own words.
    """
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", part) for part in command)]
    where = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/exec?{urlencode(query)}"
    said, status = b"", b""
    try:
        with closing(_upgraded(cluster, where)) as stream:
            for channel, data in _messages(stream):
                if channel == _STDERR:
                    said += data
                elif channel == _STATUS:
                    status += data
    except OSError as error:
        raise ServerError(0, "Unreachable", f"{namespace}/{pod}: {type(error).__name__}: {error}") from error
    outcome = json.loads(status or b"{}")
    if outcome.get("status") != "Success":
        message = said.decode(errors="replace").strip() or str(outcome.get("message") or "the command was cut off")
        raise ServerError(0, "Failed", f"{namespace}/{pod}: {message}")


def _upgraded(cluster: Cluster, where: str) -> ssl.SSLSocket:
    address = urlsplit(cluster.access.url)
    host, port = str(address.hostname), address.port or 443
    stream = cluster.tls.wrap_socket(socket.create_connection((host, port), _SECONDS), server_hostname=host)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [f"GET {where} HTTP/1.1", f"Host: {host}:{port}", "Connection: Upgrade", "Upgrade: websocket"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {_PROTOCOL}", "", ""]
    stream.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # byte by byte: what follows the head are frames already
        more = stream.recv(1)
        if not more:
            break
        head += more
    status = head.split(b" ", 2)[1:2]
    if status != [b"101"]:
        stream.close()
        code = int(status[0]) if status else 0
        raise ServerError(code, "NotUpgraded", f"exec is refused: {code} {http.client.responses.get(code, '')}")
    return stream


def _messages(stream: ssl.SSLSocket) -> Iterator[tuple[int, bytes]]:
    """(channel, data) of every frame until the server closes; a server's frames are not masked."""
    while True:
        kind, length = _exactly(stream, 2)
        length &= 0x7F
        if length == _SHORT:
            (length,) = struct.unpack(">H", _exactly(stream, 2))
        elif length == _LONG:
            (length,) = struct.unpack(">Q", _exactly(stream, 8))
        data = _exactly(stream, length)
        if kind & 0x0F == _CLOSE:
            return
        if data:
            yield data[0], data[1:]


def _exactly(stream: ssl.SSLSocket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            message = "the server ended the connection"
            raise ConnectionResetError(message)
        data += more
    return data
