"""The client of a Kubernetes API server: one kept connection, objects as plain JSON values, strict field validation.

Made for hundreds of objects in seconds: no process per object, no discovery request per kind.
"""

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import yaml

Object = Mapping[str, Any]
_SETTLE_SECONDS: Final = 30.0
_TIMEOUT_SECONDS: Final = 60.0
_READY_SECONDS: Final = 2.0
_JSON: Final = "application/json"
_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_MANAGER: Final = "zerotrust-sandbox"
_CLOSED_MEANWHILE: Final = (
    *(http.client.RemoteDisconnected, http.client.CannotSendRequest),
    *(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError),
)
"""How a request on a kept connection fails that the server closed while it was idle, with TLS's own words for it."""


class RefusedError(Exception):
    """The server refuses an object: `message` is its own sentence, `code` the HTTP status, `reason` its short word."""

    def __init__(self, what: str, code: int, reason: str, message: str) -> None:
        super().__init__(f"{what}: {message}")
        self.code, self.reason, self.message = code, reason, message


class ApiServer:
    """One server and one identity. `url` is the base address; a lock lets threads share the connection."""

    def __init__(self, url: str, *, authority: Path, certificate: Path, key: Path) -> None:
        self.url, self.authority, self.certificate, self.key = url, authority, certificate, key
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(str(certificate), str(key))
        address = urlsplit(url)
        self._connection = http.client.HTTPSConnection(
            str(address.hostname), address.port, context=context, timeout=_TIMEOUT_SECONDS
        )
        self._lock = threading.Lock()
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}
        self._offered: dict[tuple[str, str], Mapping[str, Any]] = {}

    def close(self) -> None:
        """Closes the connection; a later request opens a new one."""
        self._connection.close()

    def ready(self) -> bool:
        """Whether the server says that it serves; False while nobody answers, or somebody who says nothing."""
        self._connection.timeout = _READY_SECONDS
        try:
            return self._send("GET", "/readyz")[0] == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            self._connection.timeout = _TIMEOUT_SECONDS
            if self._connection.sock is not None:
                self._connection.sock.settimeout(_TIMEOUT_SECONDS)

    def request(self, method: str, path: str, body: Object | None = None, *, query: Mapping[str, str] | None = None) -> Any:
        """One request; the answer's JSON.

        Args:
            method: GET, POST, PUT, DELETE; PATCH is a server-side apply.
            path: from the root, for example `/api/v1/namespaces`.
            body: the object to send.
            query: URL parameters.

        Raises:
            RefusedError: for every status of 400 and above.
        """
        where = path + (f"?{urlencode(query)}" if query else "")
        status, answer = self._send(method, where, body)
        if status >= http.HTTPStatus.BAD_REQUEST:
            what = f"{method} {path}"
            raise _refusal(what, status, answer)
        return json.loads(answer) if answer else None

    def apply(self, manifest: Object, *, dry_run: bool = False, namespace: str = "default") -> None:
        """Creates the object, or takes over and changes the one that exists, by server-side apply.

        A field the schema does not have, or one written twice, is refused and named. With `dry_run` the server does all
        but store it; the namespace must exist all the same. `namespace` is for an object that names none.

        Raises:
            RefusedError: in the server's words; also for a kind the server does not have.
        """
        what, query = _name(manifest), {"fieldManager": _MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        path = self._path(manifest, what, namespace)
        status, answer = self._send("POST", f"{path}?{urlencode(query)}", manifest)
        if status == http.HTTPStatus.CONFLICT and _reason(answer) == "AlreadyExists":
            one = f"{path}/{quote(manifest['metadata']['name'])}"
            status, answer = self._send("PATCH", f"{one}?{urlencode({**query, 'force': 'true'})}", manifest)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise _refusal(what, status, answer)

    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """A namespace with its labels and the `default` service account, which a controller makes in a real cluster."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}})
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})

    def install(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        """Custom resource definitions; returns when the server answers for every served version of each.

        Discovery says so seconds later; the paths are known from the definitions and are asked themselves.

        Raises:
            RefusedError: for a definition the server refuses or does not serve in time.
        """
        awaited: dict[tuple[str, str], tuple[str, bool]] = {}
        for definition in definitions:
            self.apply(definition)
            spec = definition["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                    awaited[key] = spec["names"]["plural"], spec["scope"] == "Namespaced"
        deadline = time.monotonic() + _SETTLE_SECONDS + len(awaited)
        for (version, kind), (plural, namespaced) in awaited.items():
            while self._send("GET", f"/apis/{version}/{plural}?limit=1")[0] != http.HTTPStatus.OK:
                if time.monotonic() > deadline:
                    raise _timeout(kind, version)
                time.sleep(0.02)
            self._resources[version, kind] = plural, namespaced

    def offer(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        """Custom resource definitions that are installed when the first object of their kind comes.

        Two hundred of them cost the server a gigabyte and most of a minute; a program uses a few dozen.
        """
        for definition in definitions:
            spec = definition["spec"]
            self._offered[spec["group"], spec["names"]["kind"]] = definition

    def prepare(self, objects: Iterable[Object]) -> None:
        """Installs together what was offered for the kinds of these objects.

        The server lets the first creation of a new kind wait two seconds: they pass once for all of them.
        """
        wanted = {(one["apiVersion"], one["kind"]) for one in objects} - self._resources.keys()
        found = (self._offer(version, kind) for version, kind in sorted(wanted))
        definitions = {one["metadata"]["name"]: one for one in found if one}
        self.install(definitions.values())
        for one in definitions.values():
            del self._offered[one["spec"]["group"], one["spec"]["names"]["kind"]]

    def knows(self, api_version: str, kind: str) -> bool:
        """Whether an object of this kind can be judged: the server serves it, or its definition was offered."""
        wanted = api_version, kind
        return self._offer(api_version, kind) is not None or wanted in self._resources or wanted in self._discover()

    def write_kubeconfig(self, path: Path) -> None:
        """A kubeconfig of this server and identity, for kubectl and for the engine's Kubernetes provider."""
        name = "sandbox"
        cluster = {"server": self.url, "certificate-authority": str(self.authority)}
        user = {"client-certificate": str(self.certificate), "client-key": str(self.key)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def _path(self, manifest: Object, what: str, namespace: str) -> str:
        wanted = version, kind = manifest["apiVersion"], manifest["kind"]
        if wanted not in self._resources:
            self.prepare([manifest])
        found = self._resources.get(wanted) or self._discover().get(wanted)
        if found is None:
            raise RefusedError(what, int(http.HTTPStatus.NOT_FOUND), "NotFound", f"the server has no {kind} in {version}")
        plural, namespaced = found
        inside = f"/namespaces/{quote(manifest['metadata'].get('namespace', namespace))}" if namespaced else ""
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}{inside}/{plural}"

    def _offer(self, version: str, kind: str) -> Mapping[str, Any] | None:
        group, _, number = version.rpartition("/")
        definition = self._offered.get((group, kind))
        versions = definition["spec"]["versions"] if definition else ()
        return definition if any(one["name"] == number and one["served"] for one in versions) else None

    def _discover(self) -> dict[tuple[str, str], tuple[str, bool]]:
        """(apiVersion, kind) → (plural, namespaced), everything in two requests; asked again when a kind is missing.

        An answer may be seconds old: what is known already stays.
        """
        for root in ("/api", "/apis"):
            status, answer = self._send("GET", root, accept=_DISCOVERY)
            if status >= http.HTTPStatus.BAD_REQUEST:
                what = f"GET {root}"
                raise _refusal(what, status, answer)
            for group in json.loads(answer)["items"]:
                prefix = f"{group['metadata']['name']}/" if root == "/apis" else ""
                for version in group["versions"]:
                    for entry in version.get("resources", []):
                        key = prefix + version["version"], entry["responseKind"]["kind"]
                        self._resources.setdefault(key, (entry["resource"], entry["scope"] == "Namespaced"))
        return self._resources

    def _send(self, method: str, where: str, body: Object | None = None, *, accept: str = _JSON) -> tuple[int, bytes]:
        content = "application/apply-patch+yaml" if method == "PATCH" else _JSON
        payload = None if body is None else json.dumps(body).encode()
        with self._lock:
            for last in (False, True):
                try:
                    self._connection.request(method, where, payload, {"Content-Type": content, "Accept": accept})
                    answer = self._connection.getresponse()
                    return answer.status, answer.read()
                except _CLOSED_MEANWHILE:
                    # the server closes a connection that was idle; applying twice has the same outcome
                    self._connection.close()
                    if last:
                        raise
                except BaseException:
                    self._connection.close()
                    raise
        raise AssertionError(where)


def _timeout(kind: str, version: str) -> RefusedError:
    return RefusedError(f"{kind} ({version})", 0, "Timeout", "the definition is accepted, but not served")


def _name(manifest: Object) -> str:
    about = manifest.get("metadata", {})
    inside = f"{about['namespace']}/" if "namespace" in about else ""
    return f"{manifest.get('kind')} {inside}{about.get('name')}"


def _reason(answer: bytes) -> str:
    with contextlib.suppress(ValueError):
        return str(json.loads(answer).get("reason", ""))
    return ""


def _refusal(what: str, status: int, answer: bytes) -> RefusedError:
    try:
        said = json.loads(answer)
        return RefusedError(what, status, str(said.get("reason", "")), str(said.get("message", "")))
    except (ValueError, AttributeError):
        return RefusedError(what, status, "", answer.decode(errors="replace").strip())
