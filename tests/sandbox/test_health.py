"""What runs is told from what does not, and what keeps the rest from it is said in the cluster's own words."""

from typing import Any

import pytest

from sandbox.local.health import Workload, workloads

LABELS = {"app": "one"}


class Cluster:
    """Answers lists as an API server does."""

    def __init__(self, **lists: list[dict[str, Any]]) -> None:
        self.lists = lists

    def request(self, method: str, path: str) -> dict[str, Any]:
        assert method == "GET"
        return {"items": self.lists.get(path.rsplit("/", 1)[-1], [])}


def owner(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    meta = {"name": "one", "namespace": "here"}
    return {"metadata": meta, "spec": {"selector": {"matchLabels": LABELS}, **spec}, "status": status}


def pod(status: dict[str, Any], namespace: str = "here") -> dict[str, Any]:
    return {"metadata": {"name": "one-0", "namespace": namespace, "labels": {**LABELS, "more": "so"}}, "status": status}


def only(**lists: list[dict[str, Any]]) -> Workload:
    (found,) = workloads("eu-west-1", Cluster(**lists))  # type: ignore[arg-type]
    return found


def test_a_workload_with_all_its_pods_is_up_and_has_no_reason():
    found = only(deployments=[owner({"readyReplicas": 2}, replicas=2)])
    assert found.is_up
    assert found.reasons == ()


def test_a_deployment_scaled_to_nothing_is_up():
    assert only(deployments=[owner({}, replicas=0)]).is_up


def test_a_daemon_set_that_its_controller_has_not_seen_is_not_up():
    assert not only(daemonsets=[owner({})]).is_up
    assert only(daemonsets=[owner({"desiredNumberScheduled": 3, "numberReady": 3})]).is_up


WAITING = {"waiting": {"reason": "ErrImagePull", "message": "no local build of it"}}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]}, "Insufficient cpu"),
        ({"containerStatuses": [{"name": "c", "ready": False, "state": WAITING}]}, "c: ErrImagePull: no local build of it"),
        ({"initContainerStatuses": [{"name": "i", "ready": False, "state": WAITING}]}, "i: ErrImagePull: no local build of it"),
        ({"containerStatuses": [{"name": "c", "ready": False, "state": {"running": {}}}]}, "c: runs and is not ready"),
    ],
)
def test_what_keeps_a_pod_is_the_reason(status, reason):
    other = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "of another"}]}
    found = only(statefulsets=[owner({}, replicas=1)], pods=[pod(status), pod(other, namespace="elsewhere")])
    assert not found.is_up
    assert found.reasons == (reason,)
    assert str(found) == f"eu-west-1 here/one: 0 of 1 pods ready ({reason})"


def test_a_pod_that_only_begins_gives_no_reason():
    beginning = {"containerStatuses": [{"name": "c", "ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}]}
    assert only(deployments=[owner({}, replicas=1)], pods=[pod(beginning)]).reasons == ()


def test_without_any_pod_the_controllers_own_words_are_the_reason():
    refused = {"type": "ReplicaFailure", "status": "True", "message": "admission webhook denied the request"}
    found = only(deployments=[owner({"conditions": [refused]}, replicas=1)])
    assert found.reasons == ("admission webhook denied the request",)
