"""Load balancers of a region, as connections are concerned: AWS's network load balancer, and the TLS end of its public one.

A listener takes connections at an address and port and gives each to one of its targets, in turn; a target that does not answer
is passed over. The target sees the balancer's address, as with `preserve_client_ip` off. With names, TLS ends here and begins
anew to the target, whose certificate nobody verifies, as AWS's does not. What AWS's public load balancer and API Gateway refuse
before the mesh (web ACL, tokens, usage plans) is not here: whoever comes in meets the mesh itself.
"""

import asyncio
import contextlib
import itertools
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

Target = tuple[str, int]
Result = TypeVar("Result")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_CONNECT_SECONDS: Final = 2.0
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Where connections are taken."""

    address: str
    port: int
    group: str
    """Name of the target group."""
    certificates: Mapping[str, tuple[Path, Path]] | None = None
    """Server name → certificate and key, where TLS ends here; the first is shown to whoever names none of them."""


class Balancer:
    """Every listener of a region, until the context ends.

    Raises:
        OSError: on entering, where an address cannot be taken.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._targets: dict[str, tuple[Target, ...]] = {}
        self._turns: dict[str, Callable[[], int]] = {one.group: itertools.count().__next__ for one in listeners}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of each listener, also where 0 was asked for."""
        return tuple(server.sockets[0].getsockname()[1] for server in self._servers)

    def point(self, group: str, targets: Sequence[Target]) -> None:
        """Sets a group's targets; open connections stay with theirs."""
        self._targets[group] = tuple(targets)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            for listener in self._listeners:
                self._servers.append(self._run(self._begin(listener)))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _begin(self, listener: Listener) -> asyncio.Server:
        shown = Shown.of(listener.certificates) if listener.certificates else None

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._open.add(task)
                task.add_done_callback(self._open.discard)
            with contextlib.closing(writer):
                onward = await self._connect(listener.group, shown.asked(writer) if shown else None)
                if onward is not None:
                    with contextlib.closing(onward[1]):
                        await _carry((reader, writer), onward)

        return await asyncio.start_server(take, listener.address, listener.port, ssl=shown.first if shown else None)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connect(self, group: str, name: str | None) -> Streams | None:
        """A connection to the target whose turn it is, or to the next one that answers; by TLS where a name is asked for."""
        targets = self._targets.get(group, ())
        first = self._turns[group]() % len(targets) if targets else 0
        context = unverified() if name else None
        for host, port in (*targets[first:], *targets[:first]):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        return None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the end of TLS shows: TLS 1.3 alone, the certificate of the name that is asked for."""

    first: ssl.SSLContext
    names: Mapping[ssl.SSLContext, str]

    @classmethod
    def of(cls, certificates: Mapping[str, tuple[Path, Path]]) -> "Shown":
        """From certificate and key by server name."""
        contexts: dict[str, ssl.SSLContext] = {}
        for name, (certificate, key) in certificates.items():
            contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            contexts[name].minimum_version = ssl.TLSVersion.TLSv1_3
            contexts[name].load_cert_chain(str(certificate), str(key))
        first = next(iter(contexts.values()))

        def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = contexts.get(name or "", first)

        first.sni_callback = choose
        return cls(first=first, names={context: name for name, context in contexts.items()})

    def asked(self, writer: asyncio.StreamWriter) -> str:
        """The name whose certificate a connection was shown."""
        return self.names[writer.get_extra_info("ssl_object").context]


def unverified() -> ssl.SSLContext:
    """The way on to a target."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _carry(one: Streams, other: Streams) -> None:
    """Bytes in both directions until both are done, or one side is gone."""
    with contextlib.suppress(OSError, BaseExceptionGroup):
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(one[0], other[1]))
            both.create_task(_pump(other[0], one[1]))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()
