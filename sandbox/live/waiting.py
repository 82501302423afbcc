"""Waiting for an object: until it is ready, until it is gone; and, when it will not be, why, in the cluster's own words."""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sandbox.live.client import Cluster, Object, ServerError
from sandbox.live.readiness import FailedError, annotation, missing

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.5
_SAID: Final = 3


class NotReadyError(Exception):
    """An object that is stored and did not become ready; `live` is its last state, `reasons` are sentences."""

    def __init__(self, live: Object, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.live, self.reasons = live, reasons


def named(one: Mapping[str, Any]) -> str:
    """An object in a sentence: `Deployment bank-a/api-ms`."""
    about = one.get("metadata") or {}
    inside = f"{about['namespace']}/" if about.get("namespace") else ""
    return f"{one.get('kind')} {inside}{about.get('name') or about.get('generateName')}"


def _pauses(timeout: float, cancelled: threading.Event) -> Iterator[str]:
    """Yields until the time is up or the engine cancels; says which."""
    deadline, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while True:
        yield ""
        if cancelled.wait(min(pause, max(deadline - time.monotonic(), 0))):
            yield "the operation was cancelled"
            return
        if time.monotonic() >= deadline:
            yield f"not in {timeout:g} s"
            return
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def until_ready(cluster: Cluster, live: Object, timeout: float, cancelled: threading.Event) -> Object:
    """The object once it is ready.

    Raises:
        NotReadyError: when it fails, vanishes, or is not ready in `timeout` seconds.
    """
    about, waiting = live["metadata"], ""
    for over in _pauses(timeout, cancelled):
        try:
            waiting = missing(live, cluster)
        except FailedError as error:
            raise NotReadyError(live, [f"{named(live)} failed: {error}", *explained(cluster, live)]) from error
        if not waiting:
            return live
        if over:
            raise NotReadyError(live, [f"{named(live)} is not ready: {waiting} ({over})", *explained(cluster, live)])
        found = cluster.get(live["apiVersion"], live["kind"], about.get("namespace"), about["name"])
        if found is None:
            raise NotReadyError(live, [f"{named(live)} was deleted while it was waited for"])
        live = found
    raise AssertionError(live)


def until_gone(cluster: Cluster, live: Object, timeout: float, cancelled: threading.Event) -> None:
    """Returns when the object, by its uid, is not there any more.

    Raises:
        NotReadyError: when it is still there after `timeout` seconds; names the finalizers that hold it.
    """
    about = live["metadata"]
    for over in _pauses(timeout, cancelled):
        found = cluster.get(live["apiVersion"], live["kind"], about.get("namespace"), about["name"])
        if found is None or found["metadata"]["uid"] != about["uid"]:
            return
        if over:
            held = ", ".join(found["metadata"].get("finalizers") or (found.get("spec") or {}).get("finalizers") or [])
            why = f"finalizers {held} hold it" if held else "the server has not removed it"
            raise NotReadyError(found, [f"{named(live)} is not deleted: {why} ({over})"])
    raise AssertionError(live)


def explained(cluster: Cluster, live: Object) -> list[str]:
    """What the cluster says about an object that is not ready: its pods' containers, and the last warnings."""
    try:
        pods = _pods(cluster, live)
        return [*(_pod_state(pod) for pod in pods[:_SAID]), *_warnings(cluster, live, pods)]
    except ServerError as error:
        return [f"nothing more is known: {error}"]


def unready_pods(cluster: Cluster, namespace: str, selector: str) -> list[str]:
    """The same for the pods of a release."""
    try:
        pods = [pod for pod in cluster.list("v1", "Pod", namespace, labelSelector=selector) if not _is_ready(pod)]
        return [*(_pod_state(pod) for pod in pods[:_SAID]), *_last(_events(cluster, namespace), pods, "")]
    except ServerError as error:
        return [f"nothing more is known: {error}"]


def _pods(cluster: Cluster, live: Object) -> list[Object]:
    if live["kind"] == "Pod":
        return [live]
    spec = live.get("spec") or {}
    selector = spec.get("selector") or {}
    labels = selector.get("matchLabels", selector) if isinstance(selector, dict) else {}
    if not labels or not all(isinstance(value, str) for value in labels.values()):
        return []
    text = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    found = cluster.list("v1", "Pod", live["metadata"].get("namespace"), labelSelector=text)
    return [pod for pod in found if not _is_ready(pod)]


def _is_ready(pod: Object) -> bool:
    status = pod.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or []}
    return status.get("phase") == "Succeeded" or conditions.get("Ready") == "True"


def _pod_state(pod: Object) -> str:
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    said = [f"{each['name']}: {why}" for each in containers for why in _container_states(each)]
    for each in status.get("conditions") or []:
        if (each.get("type"), each.get("status")) == ("PodScheduled", "False"):
            said = [f"not scheduled: {each.get('message')}"]
    return ", ".join([f"{named({**pod, 'kind': 'Pod'})} is {status.get('phase') or 'new'}", *said])


def _container_states(status: Object) -> list[str]:
    """Why a container waits, and how it ended before."""
    states = ((status.get("state") or {}).get("waiting"), (status.get("lastState") or {}).get("terminated"))
    told = (each for each in states if each and each.get("reason") not in ("PodInitializing", "Completed"))
    return [f"{each.get('reason')} ({each['message']})" if each.get("message") else str(each.get("reason")) for each in told]


def _warnings(cluster: Cluster, live: Object, pods: list[Object]) -> list[str]:
    return _last(_events(cluster, live["metadata"].get("namespace")), pods, str(live["metadata"]["name"]))


def _events(cluster: Cluster, namespace: str | None) -> list[Object]:
    return cluster.list("v1", "Event", namespace, fieldSelector="type=Warning")


def _last(events: list[Object], pods: list[Object], name: str) -> list[str]:
    """The newest warnings about the object, what it owns by name, and its pods."""
    ours = {pod["metadata"]["name"] for pod in pods}

    def concerns(event: Object) -> bool:
        about = str(event["involvedObject"].get("name", ""))
        return about in ours or (bool(name) and (about == name or about.startswith(f"{name}-")))

    def when(event: Object) -> str:
        return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")

    newest = sorted(filter(concerns, events), key=when)[-_SAID:]
    texts = (f"{each['involvedObject'].get('name')}: {each.get('reason')}: {each.get('message')}" for each in newest)
    return list(dict.fromkeys(texts))


def timeout_of(one: Mapping[str, Any], asked: float, usual: float) -> float:
    """Seconds: what the engine passes on from `customTimeouts`, else the object's annotation, else the usual."""
    said = annotation(one, "pulumi.com/timeoutSeconds")
    if asked:
        return float(asked)
    return float(said) if said.isdigit() else usual
