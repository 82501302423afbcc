"""Somebody at an address that is nobody's: for a time a node has it itself and answers there, so that nothing leaves the machine.

Without that, what a proxy lets go ends in a time-out, and an attack could not be told from one that goes nowhere.
"""

import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from sandbox.certificates import Authority
from sandbox.local.network import entering
from sandbox.proof.attacks import raw
from sandbox.proof.world import ProofError

PLAIN, SECURE = 80, 443
_NAMESPACES: Final = Path("/run/netns")
_GREETING: Final = b"outside\n"


class _Greeting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(_GREETING)))
        self.end_headers()
        self.wfile.write(_GREETING)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing: the caller tells what it had."""


@contextmanager
def answering(node: str, addresses: Sequence[str]) -> Iterator[None]:
    """A node's network has these addresses for this time, and answers `GET` at them, in plain text and with TLS.

    Raises:
        ProofError: the node does not take an address, in the words of `ip`.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secured.load_cert_chain(*Authority(folder / "authority").server("outside"))
        for address in addresses:
            # one that a killed proof left is taken over
            _address(node, "replace", address)
            stack.callback(_address, node, "delete", address)
            for port in (PLAIN, SECURE):
                with raw.network(_NAMESPACES / node):
                    server = ThreadingHTTPServer((address, port), _Greeting)
                stack.callback(server.server_close)
                if port == SECURE:
                    server.socket = secured.wrap_socket(server.socket, server_side=True)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                stack.callback(server.shutdown)
        yield


def _address(node: str, what: str, address: str) -> None:
    command = [*entering(node), "ip", "address", what, f"{address}/32", "dev", "lo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{node}: {address}: {done.stderr.strip()}"
        raise ProofError(msg)
