"""What tells a kubelet of a CSI driver: it asks the driver for its name and offers it until the kubelet refuses."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from sandbox.toolchain import build

NAME = b"csi.example.io"
REACHED = "/var/lib/kubelet/plugins/csi.example.io/csi.sock"
ENDPOINT = "127.0.0.1:39809"


def _text(number: int, value: bytes) -> bytes:
    """A field of a protocol buffer message, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(value)]) + value


@dataclass(frozen=True)
class Registrar:
    """A running registrar, and the kubelet's side of its socket."""

    process: subprocess.Popen[str]
    channel: grpc.Channel

    def ask(self, method: str, message: bytes = b"") -> bytes:
        answer: bytes = self.channel.unary_unary(f"/pluginregistration.Registration/{method}")(message, timeout=30)
        return answer


def _driver(socket: Path) -> grpc.Server:
    def named(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return _text(1, NAME) + _text(2, b"1")

    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {"GetPluginInfo": grpc.unary_unary_rpc_method_handler(named)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("csi.v1.Identity", handlers),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    return server


@pytest.fixture
def registrar(tmp_path: Path) -> Iterator[Registrar]:
    driver = _driver(tmp_path / "csi.sock")
    given = ["-csi-address", str(tmp_path / "csi.sock"), "-kubelet-registration-path", REACHED]
    given += ["-plugin-registration-path", str(tmp_path), "-http-endpoint", ENDPOINT]
    program = build("registrar", lambda _line: None)
    process = subprocess.Popen([program, *given], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        offered = tmp_path / f"{NAME.decode()}-reg.sock"
        for _ in range(300):
            if offered.exists():
                break
            time.sleep(0.1)
        with grpc.insecure_channel(f"unix:{offered}") as channel:
            yield Registrar(process, channel)
    finally:
        process.terminate()
        process.wait(timeout=30)
        driver.stop(None)


def _health() -> int:
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://{ENDPOINT}/healthz", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.1)
    pytest.fail("nothing answers for the registrar's health")


def test_the_kubelet_is_told_the_drivers_own_name_and_where_it_reaches_it(registrar: Registrar) -> None:
    told = _text(1, b"CSIPlugin") + _text(2, NAME) + _text(3, REACHED.encode()) + _text(4, b"1.0.0")
    assert registrar.ask("GetInfo") == told


def test_it_is_well_once_the_kubelet_has_taken_the_driver(registrar: Registrar) -> None:
    assert _health() == 503
    registrar.ask("NotifyRegistrationStatus", b"\x08\x01")
    assert _health() == 200


def test_a_refused_driver_ends_it_with_the_kubelets_words(registrar: Registrar) -> None:
    registrar.ask("NotifyRegistrationStatus", _text(2, b"no such version"))
    assert registrar.process.wait(timeout=30) == 1
    assert registrar.process.stderr is not None
    assert "the kubelet does not take csi.example.io: no such version" in registrar.process.stderr.read()
