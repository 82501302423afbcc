"""Whether what the clusters were told to run runs, and what keeps the rest from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.apiclient import ApiServer

_KINDS: Final = ("deployments", "statefulsets", "daemonsets")
Object = Mapping[str, Any]


@dataclass(frozen=True, order=True, kw_only=True)
class Workload:
    """One Deployment, StatefulSet or DaemonSet: pods it wants, pods that are ready, and why the others are not."""

    region: str
    namespace: str
    kind: str
    name: str
    wanted: int
    ready: int
    reasons: tuple[str, ...] = ()

    @property
    def is_up(self) -> bool:
        """Whether all wanted pods are ready."""
        return self.ready >= self.wanted

    def __str__(self) -> str:
        where = f"{self.region} {self.namespace}/{self.name}: {self.ready} of {self.wanted} pods ready"
        return f"{where} ({'; '.join(self.reasons)})" if self.reasons else where


def workloads(region: str, client: ApiServer) -> list[Workload]:
    """Every workload of a cluster.

    Raises:
        RefusedError: in the API server's words.
    """
    pods = client.request("GET", "/api/v1/pods")["items"]
    found = []
    for kind in _KINDS:
        for each in client.request("GET", f"/apis/apps/v1/{kind}")["items"]:
            wanted, ready = _counts(kind, each)
            found.append(
                Workload(
                    region=region,
                    namespace=each["metadata"]["namespace"],
                    kind=kind,
                    name=each["metadata"]["name"],
                    wanted=wanted,
                    ready=ready,
                    reasons=tuple(dict.fromkeys(_reasons(each, pods))) if ready < wanted else (),
                )
            )
    return sorted(found)


def _counts(kind: str, each: Object) -> tuple[int, int]:
    status = each.get("status", {})
    if kind == "daemonsets":
        # one of a generation that the controller has not seen yet wants at least one
        return max(status.get("desiredNumberScheduled", 0), 1), status.get("numberReady", 0)
    return each["spec"].get("replicas", 1), status.get("readyReplicas", 0)


def _reasons(owner: Object, pods: list[Any]) -> Iterator[str]:
    selector = owner["spec"]["selector"].get("matchLabels", {}).items()
    own = [
        pod
        for pod in pods
        if pod["metadata"]["namespace"] == owner["metadata"]["namespace"]
        and selector <= pod["metadata"].get("labels", {}).items()
    ]
    if not own:
        conditions = owner.get("status", {}).get("conditions", [])
        yield from (one["message"] for one in conditions if one["status"] != "True" or one["type"] == "ReplicaFailure")
    for pod in own:
        yield from _of_pod(pod)


def _of_pod(pod: Object) -> Iterator[str]:
    for one in pod["status"].get("conditions", []):
        if one["type"] == "PodScheduled" and one["status"] != "True":
            yield one.get("message", one.get("reason", "not scheduled"))
    states = [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]
    for state in states:
        waiting = state.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in {"PodInitializing", "ContainerCreating"}:
            yield f"{state['name']}: {waiting.get('reason')}: {waiting.get('message', '')}"
        elif not state.get("ready") and "running" in state.get("state", {}):
            yield f"{state['name']}: runs and is not ready"
