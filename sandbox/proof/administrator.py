"""Keycloak's temporary administrator, as docs/runbooks/first-up.md makes one, and what it is needed for here.

None exists after installation. While it is made Keycloak stands still; nobody signs in for those minutes. What was made lies in
the sandbox's folder until it is removed, so that a proof that was killed leaves nothing that the next one does not remove.
"""

import atexit
import http.client
import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from components.graph.names import ISSUER_NAMESPACE
from components.identity.issuer import POD_LABELS, RELEASE
from sandbox.live.client import Cluster
from sandbox.proof.world import Pod, ProofError, World
from sandbox.toolchain import build

KEPT: Final = "administrator.json"
"""In the sandbox's home while one exists."""
MARK: Final = "proof-"
"""What the names of people and keys begin with that a proof has made."""
_SET: Final = f"{RELEASE}-keycloakx"
_POD: Final = f"{RELEASE}-admin"
_CONTAINER: Final = "keycloak"
_PORT: Final = 8080
# sleeps by itself: no image has to bring a program for that
_SLEEP: Final = ["/bin/bash", "-c", "read -rt 3600 <> <(:)"]
_NEVER: Final = {"exec": {"command": ["/bin/bash", "-c", "exit 1"]}}
_MAKE: Final = 'IFS= read -r PASSWORD && export PASSWORD && exec "$@" --password:env PASSWORD'
_COMMAND: Final = ("/opt/keycloak/bin/kc.sh", "bootstrap-admin", "user", "--no-prompt", "--username")
_MAKE_SECONDS, _START_SECONDS = 300.0, 300.0
_FORWARDING: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_EARLY_SECONDS: Final = 10.0
"""Before its end a token is replaced."""
_OK: Final = range(200, 300)


class Administrator:
    """The administration of Keycloak by port-forward, as a temporary administrator; made when there is none.

    Raises:
        ProofError: from every method, in Keycloak's words or with what does not come up.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._file = world.plan.home / KEPT
        self._forward: subprocess.Popen[str] | None = None
        self._port = 0
        self._token, self._until = "", 0.0
        if not self._file.is_file():
            self._make()
        kept = json.loads(self._file.read_text(encoding="utf-8"))
        self._name, self._password = str(kept["name"]), str(kept["password"])

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """One request below `/admin/realms`; the answer's JSON, or for what was created its id."""
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._signed_in()}", "Content-Type": "application/json"}
        status, answer, location = self._send(method, f"/admin/realms{path}", payload, headers)
        if status not in _OK:
            msg = f"Keycloak's administration: {method} {path}: {status} {answer.decode(errors='replace')[:300]}"
            raise ProofError(msg)
        return json.loads(answer) if answer else location.rpartition("/")[2]

    def remove(self) -> None:
        """Removes every administrator that a proof made, itself at last."""
        found = [one for one in self.request("GET", f"/master/users?username={MARK}") if one["username"].startswith(MARK)]
        for user in sorted(found, key=lambda one: bool(one["username"] == self._name)):
            self.request("DELETE", f"/master/users/{user['id']}")
        self._file.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Ends the port-forward."""
        if self._forward:
            self._forward.terminate()
            self._forward.wait()
            self._forward = None

    def _signed_in(self) -> str:
        if time.monotonic() > self._until - _EARLY_SECONDS:
            asked = {"grant_type": "password", "client_id": "admin-cli", "username": self._name, "password": self._password}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            path = "/realms/master/protocol/openid-connect/token"
            status, answer, _ = self._send("POST", path, urlencode(asked).encode(), headers)
            if status not in _OK:
                self._file.unlink(missing_ok=True)
                msg = f"Keycloak does not know its temporary administrator: {answer.decode(errors='replace')[:200]}; run it again"
                raise ProofError(msg)
            given = json.loads(answer)
            self._token, self._until = given["access_token"], time.monotonic() + given["expires_in"]
        return self._token

    def _send(self, method: str, path: str, payload: bytes | None, headers: dict[str, str]) -> tuple[int, bytes, str]:
        if self._forward is None or self._forward.poll() is not None:
            self._open()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Location", "")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            msg = f"Keycloak does not answer by its port-forward: {type(error).__name__}: {error}"
            raise ProofError(msg) from error
        finally:
            connection.close()

    def _open(self) -> None:
        pod = issuer_pod(self._world)
        command = [*_kubectl(self._world), "port-forward", f"pod/{pod.name}", f":{_PORT}"]
        self._forward = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self._forward.stdout.readline() if self._forward.stdout else ""
        found = _FORWARDING.search(line)
        if not found:
            self.close()
            msg = f"no port-forward to {pod}: {line.strip()}"
            raise ProofError(msg)
        self._port = int(found.group(1))
        atexit.register(self.close)

    def _make(self) -> None:
        name, password = f"{MARK}{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        with _stopped(self._world) as pod:
            # by the server's channel: Java reads the limits of its own control group, which nothing else enters
            inside = ["exec", "--stdin", pod.name, f"--container={_CONTAINER}", "--", "/bin/bash", "-c", _MAKE, "-"]
            command = [*_kubectl(self._world), *inside, *_COMMAND, name]
            done = subprocess.run(
                command, input=f"{password}\n", capture_output=True, text=True, check=False, timeout=_MAKE_SECONDS
            )
            if done.returncode != 0:
                msg = f"no temporary administrator: {(done.stderr or done.stdout).strip()[-300:]}"
                raise ProofError(msg)
            write_private(self._file, json.dumps({"name": name, "password": password}))


def issuer_pod(world: World) -> Pod:
    """The first pod of Keycloak that is ready.

    Raises:
        ProofError: there is none.
    """
    for pod in world.pods(world.home_region, ISSUER_NAMESPACE, **POD_LABELS):
        if pod.ready:
            return pod
    msg = f"no pod of Keycloak is ready in {world.home_region}"
    raise ProofError(msg)


def write_private(file: Path, text: str) -> None:
    """Writes a file that this user alone reads."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)


@contextmanager
def _stopped(world: World) -> Iterator[Pod]:
    """A pod that SPIRE, the network and the database know as Keycloak, while every instance of Keycloak stands still."""
    cluster = world.clusters[world.home_region]
    found = cluster.get("apps/v1", "StatefulSet", ISSUER_NAMESPACE, _SET)
    if found is None:
        msg = f"there is no {_SET} in {ISSUER_NAMESPACE} of {world.home_region}"
        raise ProofError(msg)
    # a proof that was killed meanwhile left it at none
    replicas = found["spec"]["replicas"] or 1
    applied = cluster.apply(_administering(found["spec"]["template"]), "proof", force=True)
    try:
        world.wait(f"pod {_POD} runs", lambda: bool(_running(world)), _MAKE_SECONDS)
        _scale(cluster, 0)
        world.wait("Keycloak stands still", lambda: not _instances(world), _MAKE_SECONDS)
        yield _running(world)[0]
    finally:
        _scale(cluster, replicas)
        cluster.delete(applied, "Background")
        world.wait("Keycloak is ready again", lambda: _ready(world) >= replicas, _START_SECONDS)


def _administering(template: dict[str, Any]) -> dict[str, Any]:
    about = template["metadata"]
    spec = {**template["spec"], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    left_out = ("args", "startupProbe", "livenessProbe")
    spec["containers"] = [
        {**{key: value for key, value in one.items() if key not in left_out}, "command": _SLEEP, "readinessProbe": _NEVER}
        if one["name"] == _CONTAINER
        else one
        for one in spec["containers"]
    ]
    metadata = {key: about[key] for key in ("labels", "annotations") if key in about}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "name": _POD, "namespace": ISSUER_NAMESPACE},
        "spec": spec,
    }


def _running(world: World) -> list[Pod]:
    found = world.pods(world.home_region, ISSUER_NAMESPACE, **POD_LABELS)
    return [pod for pod in found if pod.name == _POD and _CONTAINER in pod.processes]


def _instances(world: World) -> list[dict[str, Any]]:
    cluster = world.clusters[world.home_region]
    labels = ",".join(f"{key}={value}" for key, value in POD_LABELS.items())
    found = cluster.list("v1", "Pod", ISSUER_NAMESPACE, labelSelector=labels)
    return [one for one in found if one["metadata"]["name"] != _POD]


def _ready(world: World) -> int:
    return sum(pod.ready for pod in world.pods(world.home_region, ISSUER_NAMESPACE, **POD_LABELS) if pod.name != _POD)


def _kubectl(world: World) -> list[str]:
    kubeconfig = world.plan.region(world.home_region).kubeconfig
    return [str(build("kubectl", lambda _line: None)), f"--kubeconfig={kubeconfig}", f"--namespace={ISSUER_NAMESPACE}"]


def _scale(cluster: Cluster, replicas: int) -> None:
    path = f"{cluster.path('apps/v1', 'StatefulSet', ISSUER_NAMESPACE, _SET)}/scale"
    cluster.merge(path, {"spec": {"replicas": replicas}})
