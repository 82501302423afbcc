"""A region's Vault in the running cluster: its first minutes, and the provider of what is declared inside.

The ceremony of a real region has custodians and ends with its root token; the login of the deployer needs AWS. Here nobody
holds shares: the servers unseal themselves with a key in the Secret `vault-seal`, and the root token stays in
`<home>/<region>/vault.json`, readable by this user alone, for the provider.
"""

import base64
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2

from components.graph.names import VAULT_NAMESPACE, VAULT_PORT
from components.vault.server import DATA_FOLDER
from sandbox.live import execution
from sandbox.live.client import Cluster, ServerError, client
from sandbox.live.running import Running, running
from sandbox.standin import wire
from sandbox.standin.provider import StandIn, token_of
from sandbox.vault_apply import TABLE, ApplyError, Call, calls_of, home_of

SEAL: Final = "vault-seal"
POD: Final = "vault-0"
_PAUSE_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 300.0
_BAD, _MISSING = 400, 404
_SOON: Final = re.compile(
    r"connection refused|no such host|no route|timeout|EOF|not active|standby|sealed|dial tcp", re.IGNORECASE
)
_MOUNTED: Final = ("sys/mounts/", "sys/auth/")
_FILES: Final[Mapping[str, str]] = {"tlsCa": "sslrootcert", "tlsCertificate": "sslcert", "privateKey": "sslkey"}

Ask = Callable[[str, str, Mapping[str, Any] | None, str], tuple[int, Any]]
"""Method, path below `/v1/`, body, token → status and answer."""


class VaultError(Exception):
    """Vault refuses, or cannot be reached; the message has its own words."""


def asking(cluster: Cluster) -> Ask:
    """How the first server of a cluster's Vault is asked: through the API server."""

    def ask(method: str, path: str, body: Mapping[str, Any] | None, token: str) -> tuple[int, Any]:
        headers = {"X-Vault-Request": "true"} | ({"X-Vault-Token": token} if token else {})
        pod = f"{VAULT_NAMESPACE}/https:{POD}:{VAULT_PORT}"
        status, answer = cluster.through(pod, method, f"/v1/{path}", None if body is None else dict(body), headers)
        try:
            return status, json.loads(answer or b"{}")
        except ValueError:
            return status, {"errors": [answer.decode(errors="replace").strip()]}

    return ask


def token_file(home: Path, region: str) -> Path:
    """Where a region's root token is."""
    return home / region / "vault.json"


@contextmanager
def ceremony(cluster: Cluster, home: Path) -> Iterator[None]:
    """Makes the seal's key, and initialises the first server as soon as it answers; ends when that is done.

    Raises:
        ServerError: when the key cannot be stored, or the server is not initialised five minutes after the caller's work.
    """
    about = {"name": SEAL, "namespace": VAULT_NAMESPACE}
    if cluster.get("v1", "Secret", VAULT_NAMESPACE, SEAL) is None:
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": {"key": key}}, "zerotrust-sandbox")
    over = threading.Event()
    thread = threading.Thread(
        target=_initialise_soon, args=(asking(cluster), token_file(home, cluster.access.region), over), daemon=True
    )
    thread.start()
    try:
        yield
        # Helm waits for no StatefulSet whose pods are replaced by hand, and Vault's are
        thread.join(_PATIENCE_SECONDS)
        if thread.is_alive():
            message = f"{cluster.access.region}: {VAULT_NAMESPACE}/{POD} is not initialised after {_PATIENCE_SECONDS:.0f} s"
            raise ServerError(0, "NotInitialised", message)
    finally:
        over.set()
        thread.join()


def _initialise_soon(ask: Ask, file: Path, over: threading.Event) -> None:
    while not over.wait(_PAUSE_SECONDS):
        try:
            if initialised(ask, file):
                return
        except (OSError, VaultError, ServerError):
            continue  # the pod is not there yet, or does not answer


def initialised(ask: Ask, file: Path) -> bool:
    """Initialises a server that answers and is new; keeps its root token in `file`. False while it does not answer.

    Raises:
        VaultError: when it refuses.
    """
    status, said = ask("GET", "sys/init", None, "")
    if status != 200 or "initialized" not in said:  # noqa: PLR2004
        return False
    if said["initialized"]:
        return True
    status, said = ask("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1}, "")
    if "root_token" not in said:
        raise VaultError(_words(status, said))
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as kept:
        json.dump({"token": said["root_token"]}, kept)
    return True


def _words(status: int, said: Any) -> str:
    errors = said.get("errors") if isinstance(said, dict) else None
    return f"{status}: " + "; ".join(str(each).strip() for each in errors or [said])


@dataclass(frozen=True, kw_only=True)
class _Declared:
    type: str
    name: str
    inputs: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Inside:
    """One Vault. `put` writes a file where its servers find it and says the path."""

    ask: Ask
    token: Callable[[], str]
    put: Callable[[str, str], str]
    patience: float = _PATIENCE_SECONDS

    def make(self, kind: str, name: str, inputs: Mapping[str, Any], *, new: bool) -> None:
        """Sends what makes or changes a resource.

        Raises:
            ApplyError: for a type or an input that `sandbox.vault_apply` does not know.
            VaultError: refused.
        """
        declared = _Declared(type=kind, name=name, inputs=self._here(name, dict(inputs)))
        calls = calls_of(declared, declared.inputs)
        # an engine that stands is not mounted again
        stands = not new and home_of(declared).startswith(_MOUNTED)
        for call in calls[1:] if stands else calls:
            self._send(call, new=new)

    def remove(self, kind: str, name: str, inputs: Mapping[str, Any]) -> None:
        """Removes a resource that is not taken along by its engine or login.

        Raises:
            VaultError: refused.
        """
        if kind in TABLE and TABLE[kind].removed:
            home = home_of(_Declared(type=kind, name=name, inputs=dict(inputs)))
            self._send(Call(path=home, body={}, method="DELETE"), new=False)

    def _send(self, call: Call, *, new: bool) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                status, said = self.ask(call.method, call.path, None if call.method == "DELETE" else call.body, self.token())
            except OSError as error:
                status, said = 0, {"errors": [f"dial tcp: {error}"]}
            gone = call.method == "DELETE" and status == _MISSING
            # an update that was cut off may have mounted it already
            if 0 < status < _BAD or gone or (new and "path is already in use" in str(said)):
                return
            if not _SOON.search(str(said)) or time.monotonic() > deadline:
                message = f"{call.method} {call.path}: {_words(status, said)}"
                raise VaultError(message)
            time.sleep(_PAUSE_SECONDS)

    def _here(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """OpenBao takes a database's certificates from files only, named in the address."""
        database = inputs.get("postgresql")
        if not isinstance(database, dict):
            return inputs
        address = str(database["connectionUrl"])
        for key, parameter in _FILES.items():
            if key in database:
                joint = "&" if "?" in address else "?"
                address += f"{joint}{parameter}={self.put(f'{name}-{parameter}.pem', str(database[key]))}"
        kept = {key: value for key, value in database.items() if key not in _FILES}
        return {**inputs, "postgresql": {**kept, "connectionUrl": address}}


def inside(cluster: Cluster, home: Path) -> Inside:
    """The Vault of a running cluster."""
    file = token_file(home, cluster.access.region)
    folder = f"{DATA_FOLDER}/databases"

    def token() -> str:
        if not file.is_file():
            message = f"{cluster.access.region}: no root token at {file}: the servers were never initialised from here"
            raise VaultError(message)
        return str(json.loads(file.read_text(encoding="utf-8"))["token"])

    def put(name: str, text: str) -> str:
        # on every server's own volume: any of them may become the active one
        labels = "app.kubernetes.io/name=vault,component=server"
        script = 'umask 077 && mkdir -p "$1" && printf %s "$3" > "$1/$2"'
        for pod in cluster.list("v1", "Pod", VAULT_NAMESPACE, labelSelector=labels):
            command = ["/bin/sh", "-c", script, "put", folder, name, text]
            execution.run(cluster, VAULT_NAMESPACE, pod["metadata"]["name"], "vault", command)
        return f"{folder}/{name}"

    return Inside(ask=asking(cluster), token=token, put=put)


class LiveVault(StandIn):
    """Answers the engine for `vault`: checks and differences as the stand-in, what is declared goes into the running Vault."""

    def __init__(self, engine_address: str, said: str) -> None:
        super().__init__("vault", engine_address, "", said)
        self._running: Running = running(said)
        self._inside: Inside | None = None

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Finds the region by the server's name, `vault.<region>.<…>`."""
        address = str(wire.plain(wire.from_struct(request.args)).get("address") or "")
        found = [code for code in self._running.regions if f".{code}." in address]
        if found:
            self._inside = inside(client(self._running.regions[found[0]]), self._running.home)
            self.greeting = f"vault: this provider acts on the running Vault of {found[0]}"
        return super().Configure(request, context)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Makes it, then answers as the stand-in: what Vault computes itself the program does not read."""
        if not request.preview:
            self._make(request.urn, request.properties, context, new=True)
        return super().Create(request, context)

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Changes it in place."""
        if not request.preview:
            self._make(request.urn, request.news, context, new=False)
        return super().Update(request, context)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Removes it; nothing when its engine or login took it along, or Vault itself is gone."""
        given = request.old_inputs if request.old_inputs.fields else request.properties
        try:
            if self._inside is not None:
                self._inside.remove(token_of(request.urn), request.name, wire.plain(wire.from_struct(given)))
        except (VaultError, ApplyError, ServerError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return empty_pb2.Empty()

    def _make(self, urn: str, properties: Any, context: Any, *, new: bool) -> None:
        inputs = {key: value for key, value in wire.plain(wire.from_struct(properties)).items() if value is not None}
        name = urn.rsplit("::", 1)[-1]
        if self._inside is None:
            message = f"{name}: the provider's address leads to none of the running regions"
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
            raise AssertionError(message)
        try:
            self._inside.make(token_of(urn), name, inputs, new=new)
        except (VaultError, ApplyError, ServerError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"{name}: {error}")
