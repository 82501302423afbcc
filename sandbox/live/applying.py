"""Objects of one cluster as the engine's operations: apply, read, remove. What refuses says which object and what to do."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.live import objects
from sandbox.live.client import Cluster, Object, ServerError, UnknownKindError
from sandbox.live.definitions import supply
from sandbox.live.readiness import annotation, is_awaited
from sandbox.live.releases import Releases
from sandbox.live.running import Running
from sandbox.live.waiting import named, until_gone, until_ready

FORCE: Final = "pulumi.com/patchForce"
MANAGER: Final = "pulumi.com/patchFieldManager"
PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
_POLICIES: Final[Mapping[str, str]] = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}
_KIND_SECONDS: Final = 60.0


class Applying:
    """Creates, changes and removes objects as one program does; `cancelled` ends every waiting.

    What `running` leaves out the server judges, with its webhooks, and does not keep; what it is without is not sent.
    """

    def __init__(self, cluster: Cluster, running: Running, releases: Releases, cancelled: threading.Event) -> None:
        self._cluster, self._releases, self._cancelled = cluster, releases, cancelled
        self._without, self._left_out = running.without, running.left_out

    def apply(self, inputs: Mapping[str, Any], manager: str, *, timeout: float, patch: bool = False) -> Object:
        """Applies and waits until it is ready; the object as the server has it then.

        Args:
            inputs: the engine's.
            manager: of the fields.
            timeout: seconds until ready.
            patch: whether another must have made the object.

        Raises:
            ServerError: refused, with the object's name in front.
            NotReadyError: stored, and not ready.
        """
        wanted = objects.manifest(inputs, self._without)
        self._known(wanted)
        if patch and self._found(wanted) is None:
            raise ServerError(404, "NotFound", f"{named(wanted)} is not there, and a patch changes only what is")
        if why := self._left_out.get(named(wanted)):
            self._releases.note(named(wanted), why)
            return self._applied(wanted, manager, dry_run=True)
        live = self._applied(wanted, manager)
        return until_ready(self._cluster, live, timeout, self._cancelled) if is_awaited(wanted) else live

    def rehearse(self, inputs: Mapping[str, Any], manager: str) -> Object | None:
        """What the server would make of an object, None when that cannot be said before other things are there.

        Raises:
            ServerError: when it would refuse.
        """
        if objects.has_unknowns(inputs):
            return None
        wanted = objects.manifest(inputs, self._without)
        try:
            return self._applied(wanted, manager, dry_run=True)
        except ServerError as error:
            # a kind or a namespace that an earlier step of the same update makes; a webhook that cannot be asked for nothing
            if error.is_absent or "does not support dry run" in error.message:
                return None
            raise

    def intended(self, inputs: Mapping[str, Any], manager: str) -> Object | None:
        """What the server would have if the inputs were applied again, whoever owns the fields by now."""
        try:
            return self._cluster.apply(objects.manifest(inputs, self._without), manager, force=True, dry_run=True)
        except ServerError:
            return None

    def has_namespace(self, api_version: str, kind: str) -> bool:
        """Whether objects of a kind stand in a namespace; False for a kind that is not served yet."""
        try:
            return self._cluster.kind(api_version, kind)[1]
        except ServerError:
            return False

    def read(self, kind: tuple[str, str], identifier: str) -> Object | None:
        """The object of an id."""
        namespace, _, name = identifier.rpartition("/")
        return self._cluster.get(*kind, namespace or None, name)

    def remove(self, state: Mapping[str, Any], identifier: str, *, timeout: float) -> None:
        """Deletes and waits until it is gone; nothing when it is not there.

        Raises:
            ServerError: refused.
            NotReadyError: still there.
        """
        live = self.read((str(state["apiVersion"]), str(state["kind"])), identifier)
        if live is None or live["metadata"].get("uid") != (state.get("metadata") or {}).get("uid", live["metadata"].get("uid")):
            return
        policy = _POLICIES.get(annotation(live, PROPAGATION).lower(), "Foreground")
        self._told(live, lambda: self._cluster.delete(live, policy))
        if is_awaited(live):
            until_gone(self._cluster, live, timeout, self._cancelled)

    def withdraw(self, state: Mapping[str, Any], identifier: str, manager: str) -> None:
        """Gives up the fields that a patch owns; the object stays."""
        api_version, kind = str(state["apiVersion"]), str(state["kind"])
        if self.read((api_version, kind), identifier) is None:
            return
        namespace, _, name = identifier.rpartition("/")
        about = {"name": name} | ({"namespace": namespace} if namespace else {})
        empty = {"apiVersion": api_version, "kind": kind, "metadata": about}
        self._told(empty, lambda: self._cluster.apply(empty, manager))

    def _applied(self, wanted: Object, manager: str, *, dry_run: bool = False) -> Object:
        force = annotation(wanted, FORCE).lower() == "true"
        live: Object = self._told(wanted, lambda: self._cluster.apply(wanted, manager, force=force, dry_run=dry_run))
        return live

    def _found(self, wanted: Object) -> Object | None:
        about = wanted["metadata"]
        return self._cluster.get(wanted["apiVersion"], wanted["kind"], about.get("namespace"), about["name"])

    def _known(self, wanted: Object) -> None:
        """Returns when the server serves the kind: a controller may make it of an object that has just been applied."""
        deadline, tried = time.monotonic() + _KIND_SECONDS, False
        while True:
            try:
                self._cluster.kind(wanted["apiVersion"], wanted["kind"])
            except UnknownKindError as error:
                if not tried and self._releases.is_anything_declared():
                    tried = True
                    if self._told(wanted, lambda: supply(self._cluster, wanted["apiVersion"], wanted["kind"])):
                        continue
                if time.monotonic() > deadline or self._cancelled.wait(0.6):
                    raise _about(wanted, error) from error
            else:
                return

    @staticmethod
    def _told(one: Object, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except ServerError as error:
            raise _about(one, error) from error


def _about(one: Object, error: ServerError) -> ServerError:
    message = f"{named(one)}: {error.message}"
    if error.is_conflict:
        message += f'. Another manager owns what the program sets; to take it over, annotate the object with {FORCE}: "true"'
    return type(error)(error.code, error.reason, message, error.fields)
