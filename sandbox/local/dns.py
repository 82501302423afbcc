"""The resolver of a region's network, as AWS has one at the second address of every VPC: names of hosted zones, by UDP.

It knows what it is told and nothing else: any other name does not exist, since nothing leads out of this machine. Records of
type A and CNAME, which is what the program declares; every answer lives for seconds, so that a change is seen at once.
"""

import contextlib
import secrets
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

A, CNAME, AAAA = 1, 5, 28
_IN: Final = 1
_NO_ERROR, _MALFORMED, _NO_NAME, _NOT_DONE = 0, 1, 3, 4
_ANSWERS, _AUTHORITATIVE, _RECURSION = 0x8000, 0x0400, 0x0080
_OPCODE: Final = 0x7800
_HEADER: Final = struct.Struct("!6H")
_FIXED: Final = struct.Struct("!2HIH")
"""Of a record, behind its name: type, class, seconds, length."""
_TTL_SECONDS: Final = 5
_LONGEST: Final = 4096
_LONGEST_LABEL: Final = 63
_LONGEST_CHAIN: Final = 8


class Question(NamedTuple):
    """What is asked: the name in lower case without a closing dot, the record type, and where the question ends."""

    name: str
    kind: int
    end: int


class MalformedError(ValueError):
    """A message that is no question."""


class Names:
    """What is known, by who said it; safe to change while the resolver answers."""

    def __init__(self) -> None:
        self._said: dict[str, Mapping[str, tuple[str, ...]]] = {}
        self._lock = threading.Lock()

    def tell(self, source: str, records: Mapping[str, tuple[str, ...]]) -> None:
        """Replaces everything that this source said: name → addresses, or one other name."""
        kept = {name.lower().rstrip("."): tuple(targets) for name, targets in records.items()}
        with self._lock:
            self._said[source] = kept

    def targets(self, name: str) -> tuple[str, ...]:
        """Addresses or the other name; nothing for a name that nobody has said. The first source by name wins."""
        with self._lock:
            found = (self._said[source].get(name, ()) for source in sorted(self._said))
            return next((targets for targets in found if targets), ())

    def chain(self, name: str) -> list[tuple[str, tuple[str, ...]]]:
        """The names from this one to the addresses, each with its targets; empty for an unknown name."""
        found: list[tuple[str, tuple[str, ...]]] = []
        while len(found) < _LONGEST_CHAIN and (targets := self.targets(name)):
            found.append((name, targets))
            if is_address(targets[0]):
                break
            name = targets[0].lower().rstrip(".")
        return found


def is_address(text: str) -> bool:
    """Whether this is an IPv4 address and not a name."""
    try:
        socket.inet_pton(socket.AF_INET, text)
    except OSError:
        return False
    return True


def question(message: bytes) -> Question:
    """The one question of a message.

    Raises:
        MalformedError: for anything but one question with a plain name.
    """
    if len(message) < _HEADER.size or _HEADER.unpack_from(message)[2] != 1:
        raise MalformedError
    labels, at = [], _HEADER.size
    while True:
        if at >= len(message):
            raise MalformedError
        size = message[at]
        at += 1
        if size == 0:
            break
        if size > _LONGEST_LABEL or at + size > len(message):
            raise MalformedError
        labels.append(message[at : at + size].decode("ascii", errors="replace"))
        at += size
    if at + 4 > len(message):
        raise MalformedError
    kind, _ = struct.unpack_from("!2H", message, at)
    return Question(".".join(labels).lower(), kind, at + 4)


def reply(message: bytes, names: Names) -> bytes | None:
    """The answer to a message; None for what deserves none (an answer, or less than a header)."""
    if len(message) < _HEADER.size:
        return None
    number, flags = struct.unpack_from("!2H", message)
    if flags & _ANSWERS:
        return None
    said = _ANSWERS | _AUTHORITATIVE | _RECURSION | (flags & 0x0100)
    if flags & _OPCODE:
        return _HEADER.pack(number, said | _NOT_DONE, 0, 0, 0, 0)
    try:
        asked = question(message)
    except MalformedError:
        return _HEADER.pack(number, said | _MALFORMED, 0, 0, 0, 0)
    chain = names.chain(asked.name)
    records = [record for name, targets in chain for record in _records(name, targets, asked.kind)]
    code = _NO_ERROR if chain else _NO_NAME
    repeated = message[_HEADER.size : asked.end]
    return _HEADER.pack(number, said | code, 1, len(records), 0, 0) + repeated + b"".join(records)


def _records(name: str, targets: tuple[str, ...], kind: int) -> list[bytes]:
    if not is_address(targets[0]):
        return [_record(name, CNAME, encoded(targets[0]))] if kind in {A, AAAA, CNAME} else []
    return [_record(name, A, socket.inet_aton(target)) for target in targets] if kind == A else []


def _record(name: str, kind: int, data: bytes) -> bytes:
    return encoded(name) + _FIXED.pack(kind, _IN, _TTL_SECONDS, len(data)) + data


def encoded(name: str) -> bytes:
    """A name as labels with their lengths."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def ask(server: str, name: str, *, port: int = 53, seconds: float = 2.0) -> tuple[str, ...]:
    """The addresses that a resolver knows for a name, none for a name that does not exist.

    Raises:
        OSError: nobody answers in time.
        MalformedError: what answers is no resolver.
    """
    number = secrets.randbits(16)
    message = _HEADER.pack(number, 0x0100, 1, 0, 0, 0) + encoded(name) + struct.pack("!2H", A, _IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.connect((server, port))
        client.send(message)
        answer = client.recv(_LONGEST)
    if answer[:2] != message[:2] or answer[_HEADER.size : len(message)] != message[_HEADER.size :]:
        raise MalformedError
    return tuple(socket.inet_ntoa(data) for kind, data in _read(answer, len(message)) if kind == A)


def _read(answer: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Type and data of each record, names written out in full as here."""
    for _ in range(_HEADER.unpack_from(answer)[3]):
        while at < len(answer) and answer[at]:
            at += answer[at] + 1
        if at + _FIXED.size + 1 > len(answer):
            raise MalformedError
        kind, _, _, size = _FIXED.unpack_from(answer, at + 1)
        at += 1 + _FIXED.size + size
        yield kind, answer[at - size : at]


class Resolver:
    """Answers at an address until the context ends; `port` is the one it has when 0 was asked for."""

    def __init__(self, names: Names, address: str, port: int = 53) -> None:
        self._names, self._ended = names, False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="resolver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ended:
            message, sender = self._socket.recvfrom(_LONGEST)
            answer = reply(message, self._names)
            if answer is not None:
                with contextlib.suppress(OSError):  # who asked is gone
                    self._socket.sendto(answer, sender)
