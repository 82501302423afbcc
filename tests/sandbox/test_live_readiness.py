"""When the live provider takes an object for ready: by its status alone, as its controller writes it."""

from typing import Any

import pytest

from sandbox.live.jsonpath import JsonPathError, select
from sandbox.live.readiness import WAIT_FOR, FailedError, missing


class Cluster:
    """A cluster with one storage class and the endpoints of one service."""

    def get(self, _version: str, _kind: str, _namespace: str | None, name: str) -> dict[str, Any] | None:
        return {"volumeBindingMode": "WaitForFirstConsumer"} if name == "later" else None

    def list(self, _version: str, _kind: str, _namespace: str | None, **query: str) -> list[dict[str, Any]]:
        ready = query["labelSelector"] == "kubernetes.io/service-name=answered"
        return [{"endpoints": [{"conditions": {"ready": ready}}]}]


def made(version: str, kind: str, spec: dict[str, Any], status: dict[str, Any] | None = None, **about: Any) -> dict[str, Any]:
    metadata = {"name": "one", "namespace": "default", "generation": 2, **about}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": status or {}}


ROLLED = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
DAEMONS = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}
WAITING = [
    (made("apps/v1", "Deployment", {"replicas": 2}, {**ROLLED, "observedGeneration": 1}), "has not seen it"),
    (made("apps/v1", "Deployment", {"replicas": 2}, {**ROLLED, "updatedReplicas": 1}), "1 of 2 pods are of the new"),
    (made("apps/v1", "Deployment", {"replicas": 2}, {**ROLLED, "replicas": 3}), "1 pods of the old"),
    (made("apps/v1", "Deployment", {"replicas": 2}, {**ROLLED, "availableReplicas": 1}), "1 of 2 pods are available"),
    (made("apps/v1", "StatefulSet", {"replicas": 2}, {**ROLLED, "readyReplicas": 1}), "1 of 2 pods are ready"),
    (made("apps/v1", "StatefulSet", {"replicas": 2}, {**ROLLED, "updatedReplicas": 1}), "1 of 2 pods are of the new"),
    (made("apps/v1", "DaemonSet", {}, {**DAEMONS, "numberAvailable": 2}), "2 of 3 pods are available"),
    (made("v1", "Pod", {}, {"phase": "Pending"}), "the pod is Pending"),
    (made("batch/v1", "Job", {}), "the job is not complete"),
    (made("v1", "PersistentVolumeClaim", {"storageClassName": "now"}), "not bound"),
    (made("v1", "Service", {"selector": {"app": "x"}}), "no ready pod"),
    (made("v1", "Service", {"type": "LoadBalancer"}), "no address"),
    (made("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}), "not established"),
    (made("x.io/v1", "Thing", {}, annotations={WAIT_FOR: "condition=Ready"}), "condition Ready is not there"),
]
READY = [
    made("apps/v1", "Deployment", {"replicas": 2}, ROLLED),
    made("apps/v1", "StatefulSet", {"replicas": 2}, ROLLED),
    made("apps/v1", "DaemonSet", {}, DAEMONS),
    made("v1", "Pod", {}, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
    made("v1", "PersistentVolumeClaim", {"storageClassName": "later"}),
    made("v1", "Service", {"selector": {"app": "x"}}, name="answered"),
    made("v1", "Service", {"selector": {"app": "x"}, "clusterIP": "None"}),
    made("x.io/v1", "Thing", {}, {"phase": "Up"}, annotations={WAIT_FOR: '["jsonpath={.status.phase}=Up"]'}),
]
FAILED = [
    made("v1", "Pod", {}, {"phase": "Failed", "message": "evicted"}),
    made("batch/v1", "Job", {}, {"conditions": [{"type": "Failed", "status": "True", "message": "evicted"}]}),
]


@pytest.mark.parametrize(("one", "why"), WAITING, ids=lambda value: value if isinstance(value, str) else value["kind"])
def test_what_is_under_way_says_what_it_waits_for(one: dict[str, Any], why: str) -> None:
    assert why in missing(one, Cluster())


@pytest.mark.parametrize("one", READY, ids=lambda one: one["kind"])
def test_what_its_controller_has_finished_is_ready(one: dict[str, Any]) -> None:
    assert missing(one, Cluster()) == ""


@pytest.mark.parametrize("one", FAILED, ids=lambda one: one["kind"])
def test_what_failed_is_not_waited_for(one: dict[str, Any]) -> None:
    with pytest.raises(FailedError, match="evicted"):
        missing(one, Cluster())


def test_a_path_selects_by_key_place_and_condition() -> None:
    one = {"a": [{"type": "x", "v": 1}, {"type": "Ready", "v": 2}], "b": {"c.d": True}}
    assert select(one, ".a[0].v") == [1]
    assert select(one, ".a[*].v") == [1, 2]
    assert select(one, '.a[?(@.type=="Ready")].v') == [2]
    assert select(one, r".b.c\.d") == [True]
    with pytest.raises(JsonPathError):
        select(one, ".a[1:2]")
