"""A service's credential for its database, and the certificate with which Vault makes it: shortened, renewed, and seen to end.

Vault is configured by its root token, which a real region's has no more; a certificate is handed to it as the program does.
"""

import base64
import datetime as dt
import json
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from components.graph.model import Data, Workload
from components.graph.names import DATABASE_ACCESS_ROLE, SERVICE_LABEL, database_name
from components.vault.delivery import credential_file
from components.vault.engines import database_mount
from sandbox.live.vault import inside
from sandbox.proof import faults
from sandbox.proof.credentials import serial
from sandbox.proof.journal import putting_back
from sandbox.proof.results import Evidence
from sandbox.proof.world import Pod, ProofError, World

SHORT_SECONDS: Final = 120
"""Of a credential's life while it is watched; Vault's agent fetches the next when nine tenths of it are over."""
_CERTIFICATE: Final = ("cert-manager.io/v1", "Certificate")
_CLIENT: Final = "vault-client-tls"
_OK: Final = 300
_PATIENCE_SECONDS: Final = 90.0
_FILE: Final = re.compile(r"(sslcert|sslkey|sslrootcert)=([^&]+)")
_VAULT_SESSIONS: Final = (
    "SELECT json_agg(s.client_serial::text) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"  # noqa: S608 - the program's own name
    f" WHERE a.usename = '{DATABASE_ACCESS_ROLE}'"
)
_KEYS: Final = {"sslcert": "tls.crt", "sslkey": "tls.key", "sslrootcert": "ca.crt"}


class Credentials:
    """Those of one service of a region for the one database that it writes.

    Raises:
        ProofError: from every method, in Vault's or PostgreSQL's words.
    """

    def __init__(self, world: World, region: str, workload: Workload) -> None:
        self._world, self._region, self._workload = world, region, workload
        self._edge: Data = next(one for one in world.graph.data_of(workload) if one.store.kind == "database")
        self._vault = inside(world.clusters[region], world.plan.home)
        self._mount = database_mount(self._edge.store.tenant)
        self._role = f"{self._mount}/roles/{self._edge.key}"
        self._first_short = ""

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What Vault answers to its administrator."""
        status, said = self._vault.ask(method, path, body, self._vault.token())
        if status >= _OK:
            msg = f"Vault, {method} {path}: {status} {said}"
            raise ProofError(msg)
        return said.get("data") or {} if isinstance(said, dict) else {}

    @contextmanager
    def short_lived(self) -> Iterator[None]:
        """Credentials that are made meanwhile live for two minutes."""
        before = self.ask("GET", self._role)

        def put_back() -> None:
            self.ask("POST", self._role, before)
            after = self.ask("GET", self._role)
            if after != before:
                msg = f"Vault's role {self._role} is not as it was: {after}"
                raise ProofError(msg)

        with putting_back(self._world, f"Vault's role {self._role} in {self._region}: {SHORT_SECONDS} s", put_back):
            self.ask("POST", self._role, {**before, "default_ttl": SHORT_SECONDS, "max_ttl": SHORT_SECONDS})
            yield

    def renew_root(self) -> tuple[Evidence, ...]:
        """A new certificate, with a new key, for Vault itself; the database sees it, and the old one no more."""
        old = serial(self._secret()["tls.crt"])
        self._issue()
        self._world.wait("Vault's certificate is renewed", lambda: serial(self._secret()["tls.crt"]) != old, _PATIENCE_SECONDS)
        found = self._secret()
        connection = f"{self._mount}/config/{self._edge.store.name}"
        address = str(self.ask("GET", connection)["connection_details"]["connection_url"])
        for parameter, file in _FILE.findall(address):
            self._vault.put(Path(file).name, found[_KEYS[parameter]].decode())
        self.ask("POST", f"{self._mount}/reset/{self._edge.store.name}")
        made = self.ask("GET", f"{self._mount}/creds/{self._edge.key}")
        new = serial(found["tls.crt"])
        seen = {f"{int(str(one)):x}" for one in self._select(_VAULT_SESSIONS) or []}
        if new not in seen or old in seen:
            msg = f"PostgreSQL sees Vault by {sorted(seen)}, not by {new} alone"
            raise ProofError(msg)
        words = f"Vault logs in by certificate {new}, before by {old}, and made {made['username']}"
        return (Evidence(source="PostgreSQL", words=words),)

    @contextmanager
    def joined(self) -> Iterator[tuple[Pod, Evidence]]:
        """One more pod of the service, whose credential is of now."""
        before = faults.replicas(self._world, self._region, self._workload)
        known = {one.name for one in self._pods()}

        def put_back() -> None:
            faults.scale(self._world, self._region, self._workload, before)
            self._world.wait("as many pods as before", lambda: len(self._pods()) == before, _PATIENCE_SECONDS)

        with putting_back(self._world, f"{self._workload.ref} in {self._region} scaled to {before + 1}", put_back):
            faults.scale(self._world, self._region, self._workload, before + 1)
            took = self._world.wait("one more pod", lambda: bool(self._new(known)), _PATIENCE_SECONDS)
            pod = self._new(known)[0]
            self._first_short = self._current(pod)
            words = f"{self._first_short} for {pod}, ready after {took:.1f} s"
            yield pod, Evidence(source="Vault's agent", words=words)

    def _pods(self) -> list[Pod]:
        return self._world.pods(self._region, self._workload.tenant, **{SERVICE_LABEL: self._workload.name})

    def _new(self, known: AbstractSet[str]) -> list[Pod]:
        return [one for one in self._pods() if one.ready and one.name not in known and self._current(one)]

    def await_end(self, seconds: float) -> tuple[Evidence, ...]:
        """Returns when the first short-lived credential is gone from the database."""
        question = f"SELECT json_agg(rolname) FROM pg_roles WHERE rolname = '{self._first_short}'"  # noqa: S608 - Vault's own name
        self._world.wait(f"{self._first_short} is gone", lambda: not self._select(question), seconds)
        return (Evidence(source="PostgreSQL", words=f"{self._first_short} is gone, with its sessions"),)

    def _current(self, pod: Pod) -> str:
        """The user in the file that the service reads; empty while there is none."""
        process = pod.processes.get(self._workload.name)
        try:
            text = Path(f"/proc/{process}/root{credential_file(self._edge)}").read_text(encoding="utf-8")
            return str(json.loads(text)["username"])
        except (OSError, ValueError):
            return ""

    def _secret(self) -> dict[str, bytes]:
        found = self._world.clusters[self._region].get("v1", "Secret", self._edge.store.tenant, _CLIENT)
        return {key: base64.b64decode(value) for key, value in (found or {}).get("data", {}).items()}

    def _issue(self) -> None:
        """What cert-manager's own command does to have a certificate renewed at once."""
        cluster, tenant = self._world.clusters[self._region], self._edge.store.tenant
        found = cluster.get(*_CERTIFICATE, tenant, _CLIENT)
        if found is None:
            msg = f"there is no certificate {_CLIENT} in {tenant}"
            raise ProofError(msg)
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked = {
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": "for the proof",
            "lastTransitionTime": now,
            "observedGeneration": found["metadata"]["generation"],
        }
        conditions = [one for one in found.get("status", {}).get("conditions", []) if one["type"] != "Issuing"]
        changes = {"status": {"conditions": [*conditions, asked]}}
        cluster.merge(cluster.path(*_CERTIFICATE, tenant, _CLIENT) + "/status", changes)

    def _select(self, question: str) -> Any:
        """The JSON that a question to the database answers."""
        store = self._edge.store
        pod = next(iter(self._world.pods(self._region, store.tenant, **{"cnpg.io/cluster": store.name})))
        command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--dbname={database_name(store.name)}"]
        done = self._world.run(pod, [*command, f"--command={question}"])
        if done.returncode != 0:
            msg = f"PostgreSQL: {done.stderr.strip()}"
            raise ProofError(msg)
        return json.loads(done.stdout.strip() or "null")
