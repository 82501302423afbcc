"""Turning a layer off by an object in a cluster, and putting back exactly what was there, also when the proof fails."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from sandbox.live.client import Cluster, Object, ServerError
from sandbox.proof.world import ProofError, World

MANAGER: Final = "proof"
"""Who the API server notes down as the one who changed a field."""
OFF: Final = "proof-without"
"""How the names of objects begin that stand only while a layer is off."""
_ATTEMPTS: Final = 5
"""Of a change, when somebody else's comes between reading and writing."""
_OF_THE_SERVER: Final = ("managedFields", "resourceVersion", "generation")


class Where(NamedTuple):
    """One object of a cluster."""

    api_version: str
    kind: str
    namespace: str | None
    name: str


@contextmanager
def added(cluster: Cluster, manifest: Object) -> Iterator[Object]:
    """An object that stands for this time alone; one of the same name that a killed run left is removed first.

    Raises:
        ServerError: it is refused.
        ProofError: it does not go away.
    """
    about = manifest["metadata"]
    where = Where(manifest["apiVersion"], manifest["kind"], about.get("namespace"), about["name"])
    _removed(cluster, where)
    made = cluster.apply(manifest, MANAGER)
    try:
        yield made
    finally:
        _removed(cluster, where)


def _removed(cluster: Cluster, where: Where) -> None:
    found = cluster.get(*where)
    if found is not None:
        cluster.delete(found, "Background")
        World.wait(f"{where.kind} {where.name} to go away", lambda: cluster.get(*where) is None)


@contextmanager
def changed(cluster: Cluster, where: Where, change: Callable[[Object], None]) -> Iterator[Object]:
    """An object that is another one for this time.

    Args:
        cluster: where it is.
        where: which one.
        change: edits a copy of it in place.

    Raises:
        ServerError: the change is refused.
        ProofError: it is not there, or is not what it was after it was put back.
    """
    before = cluster.get(*where)
    if before is None:
        msg = f"there is no {where.kind} {where.name} that could be turned off"
        raise ProofError(msg)
    wanted = copy.deepcopy(before)
    change(wanted)
    made = _put(cluster, wanted)
    try:
        yield made
    finally:
        _put(cluster, before)
        after = cluster.get(*where)
        if after is None or canonical(after) != canonical(before):
            msg = f"{where.kind} {where.name} could not be put back as it was"
            raise ProofError(msg)


def canonical(found: Object) -> str:
    """An object without what the server counts, to compare two states of it."""
    about = {key: value for key, value in found["metadata"].items() if key not in _OF_THE_SERVER}
    kept: dict[str, Any] = {key: value for key, value in found.items() if key != "status"} | {"metadata": about}
    return json.dumps(kept, sort_keys=True)


def _put(cluster: Cluster, wanted: Object, attempts: int = _ATTEMPTS) -> Object:
    about = wanted["metadata"]
    path = cluster.path(wanted["apiVersion"], wanted["kind"], about.get("namespace"), about["name"])
    live = cluster.request("GET", path)
    body = copy.deepcopy(wanted)
    # what others noted down meanwhile (a webhook's own certificate, a status) stands in the version of now
    body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    body["metadata"].pop("managedFields", None)
    try:
        made: Object = cluster.request("PUT", path, body, query={"fieldManager": MANAGER})
    except ServerError as error:
        if error.is_outdated and attempts > 1:
            return _put(cluster, wanted, attempts - 1)
        msg = f"{wanted['kind']} {about['name']}: {error.message}"
        raise ProofError(msg) from error
    return made
