"""One process for all stand-ins of a run: `python -m sandbox.standin.host`, started by `sandbox.hosting`.

The engine starts one plugin executable for every provider instance, and a program has one provider per region. Each would read
the SDK's types again, which takes longer than all its answers. So the executable only asks this process for a server of its
own and hands the port on. The `eks` stand-in stays a process of its own: its components run on the SDK's process-wide state.

Speaks one line each way on loopback: package, engine address, drift file and what is running, between tabs, answered by a port;
the server lives as long as the connection. Where clusters run, `kubernetes` and `vault` act there (`sandbox.live`). Ends when its
standard input does, so it never outlives who started it.
"""

import os
import socketserver
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.live.running import LIVE, VARIABLE
from sandbox.standin.provider import StandIn

WORKERS: Final = 4
WAITING_WORKERS: Final = 64
"""Of a provider that waits until things are ready: as many as an engine may have under way."""


def made(package: str, engine: str, drift: str | None = None, live: str | None = None) -> StandIn:
    """The provider instance for a package: a stand-in, or what acts on the running clusters."""
    live = os.environ.get(VARIABLE, "") if live is None else live
    if live and package in LIVE:
        from sandbox.live.providers import provider  # noqa: PLC0415  an offline run never needs it

        return provider(package, engine, live)
    return StandIn(package, engine, drift, live)


def start(stand_in: StandIn) -> tuple[grpc.Server, int]:
    """A running server of one provider instance and its port."""
    workers = WORKERS if type(stand_in) is StandIn else WAITING_WORKERS
    server = grpc.server(ThreadPoolExecutor(workers), options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(stand_in, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class _Instance(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        package, engine, drift, live = self.rfile.readline().decode().rstrip("\n").split("\t")
        server, port = start(made(package, engine, drift, live))
        self.wfile.write(f"{port}\n".encode())
        self.rfile.read()
        server.stop(grace=None)


class _Host(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    """Serve until standard input ends."""
    with _Host(("127.0.0.1", 0), _Instance) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        sys.stdout.write(f"{host.server_address[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
