"""Starts the stand-in of one package: `python -m sandbox.standin <package> <engine address>`.

Prints the port it listens on, as the engine expects of a plugin, and serves until it is ended.
"""

import argparse
import asyncio
import sys

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.standin.host import made, start


def _announce(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def _serve(package: str, address: str) -> None:
    server, port = start(made(package, address))
    _announce(port)
    server.wait_for_termination()


async def _serve_components(address: str) -> None:
    from sandbox.standin.eks import EksStandIn  # noqa: PLC0415  only this package needs the SDKs it imports

    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(EksStandIn(address), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _announce(port)
    await server.wait_for_termination()


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description="Stand-in for a Pulumi provider plugin")
    parser.add_argument("package")
    parser.add_argument("engine", nargs="?", default="")
    known, _ = parser.parse_known_args()
    try:
        if known.package == "eks":
            asyncio.run(_serve_components(known.engine))
        else:
            _serve(known.package, known.engine)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
