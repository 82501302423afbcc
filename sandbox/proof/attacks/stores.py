"""Vault and a tenant's database as somebody in a pod reaches them, and what Vault was told changed for a while."""

import json
import os
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from components.graph.model import Store, Workload
from components.graph.names import POSTGRES_PORT, VAULT_NAMESPACE, VAULT_PORT, database_name, service_host
from components.vault.roles import JWT_MOUNT
from sandbox.live.vault import asking, token_file
from sandbox.local.images.downloads import POSTGRES
from sandbox.proof.attacks.registry import Attempted
from sandbox.proof.refusals import by_words
from sandbox.proof.results import Evidence
from sandbox.proof.world import MESH_USER, Answer, Pod, ProofError, World

_SQL: Final = "select session_user"
_SECONDS: Final = 20.0
_NO_FILE: Final = "/nonexistent"
_ITS_OWN: Final = ("modified", "version", "name", "status")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What Vault gave for a database."""

    username: str
    password: str
    lease: str


class StoresRefusedError(Exception):
    """Vault or PostgreSQL refuses; `seen` is what came of it."""

    def __init__(self, seen: Attempted) -> None:
        super().__init__(seen.evidence.words)
        self.seen = seen


def _refused(source: str, words: str) -> Attempted:
    """A refusal in somebody's words, by whoever speaks so."""
    return Attempted(stopped=True, by=by_words(words), evidence=Evidence(source=source, words=words[:600]))


def reach_vault(
    world: World,
    pod: Pod,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    token: str = "",
    headers: Mapping[str, str] | None = None,
) -> Any:
    """What Vault answers to a pod; a redirection is followed once, as its clients do.

    Raises:
        StoresRefusedError: it refuses.
        ProofError: it was not reached.
    """
    shown = {**({"X-Vault-Token": token} if token else {}), **(headers or {})}
    flags = ["-any-server", f"-method={method}", *(f"-header={name}: {value}" for name, value in shown.items())]
    if body is not None:
        flags.append(f"-body={json.dumps(body)}")
    where = f"https://{service_host(VAULT_NAMESPACE, VAULT_NAMESPACE)}:{VAULT_PORT}"
    answer = world.call(pod, where, *flags, f"-target={path}")
    if answer.headers.get("location"):
        answer = world.call(pod, where, *flags, f"-target={answer.headers['location']}")
    if not answer.status:
        msg = f"{pod} does not reach Vault: {answer.error}"
        raise ProofError(msg)
    if not answer.is_allowed:
        words = f"{method} {path}: {answer.status} {_one_line(answer)}"
        raise StoresRefusedError(_refused(f"Vault, to {pod}", words))
    return answer.json() if answer.body else {}


def _one_line(answer: Answer) -> str:
    return " ".join(answer.body.replace("\\n", " ").replace("\\t", " ").split())


def log_in(world: World, pod: Pod, role: str, svid: str) -> str:
    """A token of Vault for a JWT-SVID.

    Raises:
        StoresRefusedError, ProofError: as `reach_vault`.
    """
    said = reach_vault(world, pod, "POST", f"/v1/auth/{JWT_MOUNT}/login", body={"role": role, "jwt": svid})
    return str(said["auth"]["client_token"])


def credential(world: World, pod: Pod, path: str, token: str, headers: Mapping[str, str] | None = None) -> Credential:
    """A database's credential, read at a path in full.

    Raises:
        StoresRefusedError, ProofError: as `reach_vault`.
    """
    said = reach_vault(world, pod, "GET", path, token=token, headers=headers)
    return Credential(username=said["data"]["username"], password=said["data"]["password"], lease=said["lease_id"])


def connect(world: World, pod: Pod, store: Store, shown: Credential, certificate: str = "") -> str:
    """Logs in to a database from a pod's network, past its proxy, and asks who one is there.

    Args:
        world: the running sandbox.
        pod: in whose network.
        store: the database.
        shown: the credential.
        certificate: the Secret with the client certificate that is shown, `<namespace>/<name>`; none shows none.

    Raises:
        StoresRefusedError: the database refuses.
        ProofError: it was not reached.
    """
    cluster = world.clusters[pod.region]
    service = cluster.get("v1", "Service", store.tenant, f"{store.name}-rw")
    if service is None:
        msg = f"there is no Service of {store.tenant}/{store.name}"
        raise ProofError(msg)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = _files(world, pod.region, certificate, folder)
        told = {
            "host": service_host(store.tenant, f"{store.name}-rw"),
            "hostaddr": service["spec"]["clusterIP"],
            "port": str(POSTGRES_PORT),
            "dbname": database_name(store.name),
            "user": shown.username,
            "sslmode": "require",
            "sslcert": files.get("tls.crt", _NO_FILE),
            "sslkey": files.get("tls.key", _NO_FILE),
            "connect_timeout": "5",
        }
        entering, _ = world.entering(pod, own_files=False, user=MESH_USER)
        # the group is enough to pass the proxy by; as root it may read this machine's programs
        entering = [part.replace(f"--setuid={MESH_USER}", "--setuid=0") for part in entering]
        program = POSTGRES.folder(lambda _line: None) / "bin" / "psql"
        done = subprocess.run(
            [*entering, str(program), " ".join(f"{key}={value}" for key, value in told.items()), "-Atc", _SQL],
            env={**os.environ, "PGPASSWORD": shown.password},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    if done.returncode == 0:
        return done.stdout.strip()
    words = " ".join(done.stderr.split())
    if not by_words(words):
        msg = f"{pod} does not reach {store.tenant}/{store.name}: {words}"
        raise ProofError(msg)
    raise StoresRefusedError(_refused(f"PostgreSQL of {store.tenant}, to {pod}", words))


def _files(world: World, region: str, secret: str, folder: Path) -> dict[str, str]:
    if not secret:
        return {}
    namespace, _, name = secret.partition("/")
    found = world.clusters[region].get("v1", "Secret", namespace, name)
    if found is None:
        msg = f"there is no Secret {secret}"
        raise ProofError(msg)
    files = {}
    for key, text in found["data"].items():
        file = folder / key
        file.write_bytes(b64decode(text))
        file.chmod(0o600)
        files[key] = str(file)
    return files


class Told:
    """What a region's Vault was told, read and written with its root token."""

    def __init__(self, world: World, region: str) -> None:
        self._ask = asking(world.clusters[region])
        self._file = token_file(world.plan.home, region)

    @property
    def _token(self) -> str:
        return str(json.loads(self._file.read_text(encoding="utf-8"))["token"])

    def read(self, path: str) -> dict[str, Any]:
        """What is at a path below `/v1/`.

        Raises:
            ProofError: in Vault's words.
        """
        return dict(self._asked("GET", path, None)["data"])

    def write(self, path: str, **fields: Any) -> None:
        """Writes fields; what is none is left out.

        Raises:
            ProofError: in Vault's words.
        """
        self._asked("POST", path, {key: value for key, value in fields.items() if value is not None})

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        status, said = self._ask(method, path, body, self._token)
        if not 200 <= status < 300:  # noqa: PLR2004
            msg = f"Vault, {path}: {status} {said.get('errors')}"
            raise ProofError(msg)
        return said

    @contextmanager
    def changed(self, path: str, **fields: Any) -> Iterator[None]:
        """Fields of what is at a path are others for this time.

        Raises:
            ProofError: in Vault's words, or it is not what it was after it was put back.
        """
        before = self.read(path)
        self.write(path, **{**_told(before), **fields})
        try:
            yield
        finally:
            self.write(path, **{**{key: type(value)() for key, value in fields.items()}, **_told(before)})
            after = self.read(path)
            if _told(after) != _told(before):
                msg = f"Vault, {path}: not put back as it was"
                raise ProofError(msg)


def _told(found: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody told Vault; what it counts itself and what is empty are left out."""
    return {key: value for key, value in found.items() if key not in _ITS_OWN and value not in _EMPTY}


def store_of(world: World, workload: Workload) -> tuple[str, Store]:
    """The edge to a workload's database, and the database."""
    edge = next(edge for edge in world.graph.data_of(workload) if edge.store.kind == "database")
    return edge.key, edge.store
