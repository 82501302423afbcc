"""When an object is ready, by its kind: pure functions of the live object, and of what it stands on where that matters.

As pulumi-kubernetes waits: rollouts, pods, jobs, volumes, services with their endpoints and addresses, definitions. Every
other kind is ready once it is stored, unless `pulumi.com/waitFor` names conditions or paths.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from sandbox.live.jsonpath import JsonPathError, matches

SKIP: Final = "pulumi.com/skipAwait"
WAIT_FOR: Final = "pulumi.com/waitFor"
_SLICES: Final = ("discovery.k8s.io/v1", "EndpointSlice")
_LATER: Final = "WaitForFirstConsumer"


class FailedError(Exception):
    """The object will not become ready by waiting; the message says why."""


class Look(Protocol):
    """How other objects of the cluster are read."""

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """One object, None when it is not there."""

    def list(self, api_version: str, kind: str, namespace: str | None, **query: str) -> list[dict[str, Any]]:
        """The objects of a kind in a namespace."""


Object = Mapping[str, Any]


def annotation(one: Object, name: str) -> str:
    """An annotation of an object, empty when it has none."""
    return str(((one.get("metadata") or {}).get("annotations") or {}).get(name, ""))


def is_awaited(one: Object) -> bool:
    """Whether the object asks to be waited for at all."""
    return annotation(one, SKIP).lower() != "true"


def missing(one: Object, look: Look) -> str:
    """What an object still waits for, in words; empty when it is ready.

    Raises:
        FailedError: when it will not become ready.
    """
    if asked := annotation(one, WAIT_FOR):
        return _asked(one, asked)
    rule = _RULES.get((str(one["apiVersion"]).partition("/")[0], str(one["kind"])))
    return rule(one, look) if rule else ""


def _asked(one: Object, asked: str) -> str:
    wanted = json.loads(asked) if asked.lstrip().startswith("[") else [asked]
    for expression in wanted:
        what, _, rest = str(expression).partition("=")
        if what == "condition":
            name, _, value = rest.partition("=")
            found = _condition(one, name)
            if str(found.get("status", "")).lower() != (value or "true").lower():
                said = f": {found['message']}" if found.get("message") else ""
                return f"condition {name} is {found.get('status') or 'not there'}{said}"
        elif what == "jsonpath":
            try:
                if not matches(one, rest):
                    return f"{rest} does not hold"
            except JsonPathError as error:
                raise FailedError(str(error)) from error
        else:
            msg = f"{WAIT_FOR}: {expression!r} is neither condition=… nor jsonpath=…"
            raise FailedError(msg)
    return ""


def _condition(one: Object, name: str) -> Mapping[str, Any]:
    conditions = (one.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == name), {})


def _observed(one: Object) -> str:
    seen = (one.get("status") or {}).get("observedGeneration", 0)
    return "" if seen >= one["metadata"].get("generation", 1) else "its controller has not seen it yet"


def _deployment(one: Object, _: Look) -> str:
    spec, status = one["spec"], one.get("status") or {}
    if spec.get("paused"):
        return ""
    if waiting := _observed(one):
        return waiting
    progress = _condition(one, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        raise FailedError(str(progress.get("message")))
    wanted = spec.get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    left = status.get("replicas", 0) - updated
    if updated < wanted:
        return f"{updated} of {wanted} pods are of the new template"
    if left > 0:
        return f"{left} pods of the old template are still there"
    return "" if available >= updated else f"{available} of {wanted} pods are available"


def _stateful_set(one: Object, _: Look) -> str:
    spec, status = one["spec"], one.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if waiting := _observed(one):
        return waiting
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if ready < wanted:
        return f"{ready} of {wanted} pods are ready"
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    if strategy.get("type") == "OnDelete":
        return ""
    updated, due = status.get("updatedReplicas", 0), max(wanted - partition, 0)
    return "" if updated >= due else f"{updated} of {due} pods are of the new template"


def _daemon_set(one: Object, _: Look) -> str:
    status = one.get("status") or {}
    if waiting := _observed(one):
        return waiting
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    if (one["spec"].get("updateStrategy") or {}).get("type") != "OnDelete" and updated < wanted:
        return f"{updated} of {wanted} pods are of the new template"
    return "" if available >= wanted else f"{available} of {wanted} pods are available"


def _pod(one: Object, _: Look) -> str:
    phase = (one.get("status") or {}).get("phase")
    if phase == "Failed":
        raise FailedError(str(one["status"].get("message") or "the pod failed"))
    if phase == "Succeeded" or _condition(one, "Ready").get("status") == "True":
        return ""
    return f"the pod is {phase or 'not scheduled'}"


def _job(one: Object, _: Look) -> str:
    failed = _condition(one, "Failed")
    if failed.get("status") == "True":
        raise FailedError(str(failed.get("message")))
    done = _condition(one, "Complete").get("status") == "True"
    return "" if done or one["spec"].get("suspend") else "the job is not complete"


def _claim(one: Object, look: Look) -> str:
    if (one.get("status") or {}).get("phase") == "Bound":
        return ""
    name = one["spec"].get("storageClassName")
    found = look.get("storage.k8s.io/v1", "StorageClass", None, name) if name else None
    return "" if found and found.get("volumeBindingMode") == _LATER else "the claim is not bound"


def _service(one: Object, look: Look) -> str:
    spec, about = one["spec"], one["metadata"]
    if spec.get("type") == "LoadBalancer" and not ((one.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        return "the load balancer has no address"
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return ""
    slices = look.list(*_SLICES, about["namespace"], labelSelector=f"kubernetes.io/service-name={about['name']}")
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    ready = any((endpoint.get("conditions") or {}).get("ready", True) for endpoint in endpoints)
    return "" if ready else "no ready pod answers to its selector"


def _ingress(one: Object, _: Look) -> str:
    found = ((one.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return "" if found else "the ingress has no address"


def _definition(one: Object, _: Look) -> str:
    accepted = _condition(one, "NamesAccepted")
    if accepted.get("status") == "False":
        raise FailedError(str(accepted.get("message")))
    return "" if _condition(one, "Established").get("status") == "True" else "the definition is not established"


_RULES: Final[Mapping[tuple[str, str], Callable[[Object, Look], str]]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("v1", "Pod"): _pod,
    ("batch", "Job"): _job,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "Service"): _service,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
