"""The client of one running cluster, for many threads at once: kept connections, server-side apply, discovery on demand."""

import functools
import http.client
import json
import queue
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from sandbox.live.running import Access

Object = dict[str, Any]
_JSON: Final = "application/json"
_ANY: Final = "*/*"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_TIMEOUT_SECONDS: Final = 60.0
_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5
_CLOSED_MEANWHILE: Final = (
    *(http.client.RemoteDisconnected, http.client.CannotSendRequest, BrokenPipeError, ConnectionResetError),
    *(ssl.SSLEOFError, ssl.SSLZeroReturnError),
)
_SOON: Final = re.compile(
    r"failed calling webhook.*(connection refused|no endpoints available|EOF|no route to host)"
    r"|request did not complete within requested timeout"
    r"|object has been modified|etcdserver: request timed out|not yet ready to handle request",
    re.DOTALL,
)
"""Refusals that pass by themselves: a webhook whose pod has just become ready, a write that another one overtook."""


class ServerError(Exception):
    """The server refuses: its own `message`, the HTTP `code`, its short `reason`, the `fields` it complains about."""

    def __init__(self, code: int, reason: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.fields = code, reason, message, tuple(fields)

    @property
    def is_absent(self) -> bool:
        """Whether the object, or what it stands in, is not there."""
        return self.code == http.HTTPStatus.NOT_FOUND

    @property
    def is_conflict(self) -> bool:
        """Whether another manager owns a field that was to be set."""
        return self.code == http.HTTPStatus.CONFLICT and "Apply failed" in self.message

    @property
    def is_outdated(self) -> bool:
        """Whether somebody changed the object after it was read."""
        return self.code == http.HTTPStatus.CONFLICT and "the object has been modified" in self.message

    @property
    def is_immutable(self) -> bool:
        """Whether a change asks for what only a new object can have."""
        fixed = ("immutable", "updates to statefulset spec", "may not change", "may not be changed", "cannot change")
        return self.code == http.HTTPStatus.UNPROCESSABLE_ENTITY and any(word in self.message for word in fixed)


class UnknownKindError(ServerError):
    """The server has no such kind."""


class Cluster:
    """One server. Every method may be called from any thread; each call uses a connection of its own while it lasts."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.tls = _tls(access)
        self._idle: queue.LifoQueue[http.client.HTTPSConnection] = queue.LifoQueue()
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}
        self._discovered = 0.0
        self._lock = threading.Lock()

    def kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        """The plural of a kind and whether it has namespaces.

        Raises:
            UnknownKindError: when the server does not serve it, as of half a second ago.
        """
        wanted = api_version, kind
        if wanted not in self._kinds:
            with self._lock:
                if wanted not in self._kinds and time.monotonic() - self._discovered > _PAUSE_SECONDS:
                    self._discover()
        if wanted not in self._kinds:
            raise UnknownKindError(http.HTTPStatus.NOT_FOUND, "NotFound", f"the server has no {kind} in {api_version}")
        return self._kinds[wanted]

    @property
    def known(self) -> AbstractSet[tuple[str, str]]:
        """(apiVersion, kind) of what was seen to be served."""
        return self._kinds.keys()

    def learn(self, api_version: str, kind: str, plural: str, *, namespaced: bool) -> None:
        """Takes down a kind that the server serves; its own discovery says so seconds later."""
        self._kinds[api_version, kind] = plural, namespaced

    def _discover(self) -> None:
        for root in ("/api", "/apis"):
            for group in self.request("GET", root, accept=_DISCOVERY)["items"]:
                prefix = f"{group['metadata']['name']}/" if root == "/apis" else ""
                for version in group["versions"]:
                    for entry in version.get("resources", []):
                        key = prefix + version["version"], entry["responseKind"]["kind"]
                        self._kinds[key] = entry["resource"], entry["scope"] == "Namespaced"
        self._discovered = time.monotonic()

    def path(self, api_version: str, kind: str, namespace: str | None, name: str | None = None) -> str:
        """Where objects of a kind are, or one of them; without a namespace, `default`."""
        plural, namespaced = self.kind(api_version, kind)
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        inside = f"/namespaces/{quote(namespace or 'default')}" if namespaced else ""
        return f"{root}{inside}/{plural}" + (f"/{quote(name)}" if name else "")

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        """One object, None when it or its kind is not there."""
        try:
            found: Object = self.request("GET", self.path(api_version, kind, namespace, name))
        except ServerError as error:
            if error.is_absent:
                return None
            raise
        return found

    def list(self, api_version: str, kind: str, namespace: str | None, **query: str) -> list[Object]:
        """The objects of a kind in a namespace; `query` are selectors by the server's own names."""
        answer = self.request("GET", self.path(api_version, kind, namespace), query=query)
        return list(answer["items"])

    def apply(self, manifest: Object, manager: str, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply; what the server made of the object. An object with `generateName` alone is created.

        Raises:
            ServerError: in the server's words, at once for a dry run, else after half a minute of what may pass by itself.
        """
        about = manifest["metadata"]
        query = {"fieldManager": manager} | ({"dryRun": "All"} if dry_run else {})
        if "name" not in about:
            path = self.path(manifest["apiVersion"], manifest["kind"], about.get("namespace"))
            return self._patiently("POST", path, manifest, query, patient=not dry_run)
        path = self.path(manifest["apiVersion"], manifest["kind"], about.get("namespace"), about["name"])
        query["force"] = "true" if force else "false"
        return self._patiently("PATCH", path, manifest, query, patient=not dry_run)

    def _patiently(self, method: str, path: str, body: Object, query: Mapping[str, str], *, patient: bool) -> Object:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer: Object = self.request(method, path, body, query=query)
            except ServerError as error:
                if not patient or not _SOON.search(error.message) or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return answer

    def delete(self, live: Object, propagation: str) -> None:
        """Asks the server to delete this very object; nothing when it is gone already."""
        about = live["metadata"]
        options = {"propagationPolicy": propagation, "preconditions": {"uid": about["uid"]}}
        path = self.path(live["apiVersion"], live["kind"], about.get("namespace"), about["name"])
        try:
            self.request("DELETE", path, options)
        except ServerError as error:
            # of another uid: somebody else's object of the same name by now
            if not error.is_absent and error.code != http.HTTPStatus.CONFLICT:
                raise

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        accept: str = _JSON,
    ) -> Any:
        """One request; the answer's JSON.

        Raises:
            ServerError: for every status of 400 and above, and (code 0) when nobody answers.
        """
        where = path + (f"?{urlencode(query)}" if query else "")
        payload = None if body is None else json.dumps(body).encode()
        answer = self._answer(method, where, payload, accept)
        return json.loads(answer) if answer else None

    def merge(self, path: str, changes: Object) -> None:
        """Changes these fields of whatever version of an object is there by now (RFC 7396); a field that is None is removed.

        Raises:
            ServerError: as `request`.
        """
        self._answer("PATCH", path, json.dumps(changes).encode(), _JSON, _MERGE)

    def text(self, path: str, query: Mapping[str, str]) -> str:
        """What the server has that is no JSON: a log.

        Raises:
            ServerError: as `request`.
        """
        return self._answer("GET", f"{path}?{urlencode(query)}", None, _ANY).decode(errors="replace")

    def _answer(self, method: str, where: str, payload: bytes | None, accept: str, media: str = "") -> bytes:
        headers = {"Content-Type": media or (_APPLY if method == "PATCH" else _JSON), "Accept": accept}
        try:
            status, answer = self._send(method, where, payload, headers)
        except (OSError, http.client.HTTPException) as error:
            message = f"{self.access.region}: {self.access.url} does not answer: {type(error).__name__}: {error}"
            raise ServerError(0, "Unreachable", message) from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise _refusal(status, answer)
        return answer

    def through(self, pod: str, method: str, path: str, body: Object | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One request to a pod, by way of the API server; what the pod answers.

        Args:
            pod: `<namespace>/https:<name>:<port>`.
            method: as the pod knows it.
            path: from the pod's root.
            body: JSON.
            headers: beside the content type.

        Raises:
            OSError: nobody answers.
        """
        namespace, _, where = pod.partition("/")
        payload = None if body is None else json.dumps(body).encode()
        about = {"Content-Type": _JSON, **headers}
        return self._send(method, f"/api/v1/namespaces/{namespace}/pods/{where}/proxy{path}", payload, about)

    def _send(self, method: str, where: str, payload: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        while True:
            connection, kept = self._connection()
            try:
                connection.request(method, where, payload, dict(headers))
                response = connection.getresponse()
                answer = response.status, response.read()
            except _CLOSED_MEANWHILE:
                connection.close()
                # the server closes what was idle; on a new connection the same words mean something
                if not kept:
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                self._idle.put(connection)
                return answer

    def _connection(self) -> tuple[http.client.HTTPSConnection, bool]:
        try:
            return self._idle.get_nowait(), True
        except queue.Empty:
            address = urlsplit(self.access.url)
            host, port = str(address.hostname), address.port
            return http.client.HTTPSConnection(host, port, context=self.tls, timeout=_TIMEOUT_SECONDS), False


@functools.lru_cache(maxsize=8)
def client(access: Access) -> Cluster:
    """The one client of a cluster that all provider instances of this process share."""
    return Cluster(access)


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=access.authority)
    # the key reaches the disk for as long as it is read, in a file of this user's alone
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(f"{access.certificate.strip()}\n{access.key.strip()}\n")
        file.flush()
        context.load_cert_chain(Path(file.name))
    return context


def _refusal(status: int, answer: bytes) -> ServerError:
    try:
        said = json.loads(answer)
        causes = (said.get("details") or {}).get("causes") or []
        fields = [str(cause["field"]) for cause in causes if cause.get("field")]
        return ServerError(status, str(said.get("reason", "")), str(said.get("message", "")), fields)
    except (ValueError, AttributeError):
        return ServerError(status, "", answer.decode(errors="replace").strip())
