"""Events as the side-kick posts them, to the responder that runs; afterwards what it did is put back.

The side-kick's program is not to be had here. A pod stands in for it that is its Deployment's in all that the platform judges it
by: namespace, labels, account, and so the identity, the proxy and what that may reach.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import (
    QUARANTINE_LABEL,
    RESPONDER,
    RESPONDER_PATH,
    RESPONDER_PORT,
    RISK_CONFIG_MAP,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    service_host,
)
from components.runtime.sidekick import LABELS, sidekick_objects
from sandbox.live.client import Cluster, Object
from sandbox.proof.attacks.switches import added
from sandbox.proof.world import SIDECAR, Pod, ProofError, World

ACCOUNT: Final = f"system:serviceaccount:{SECURITY_NAMESPACE}:{RESPONDER}"
_NAME: Final = "proof-falcosidekick"
_OF_ITS_PROGRAM: Final = ("args", "livenessProbe", "readinessProbe", "volumeMounts")
_SMALL: Final = {"sidecar.istio.io/proxyCPU": "10m", "sidecar.istio.io/proxyMemory": "64Mi"}
_START_SECONDS: Final = 120.0


def responder(world: World) -> Pod:
    """A ready pod of the home region's responder.

    Raises:
        ProofError: it has none.
    """
    for pod in world.pods(world.home_region, SECURITY_NAMESPACE, **{SERVICE_LABEL: RESPONDER}):
        if pod.ready:
            return pod
    msg = f"no responder is ready in {world.home_region}"
    raise ProofError(msg)


def stand_in(graph: Graph) -> Object:
    """The side-kick's pod with a program that does nothing.

    Raises:
        ProofError: the settings have no image of such a program.
    """
    if graph.settings.images.chaos is None:
        msg = "images.chaos.pause: the stack names no program that does nothing"
        raise ProofError(msg)
    (deployment,) = (one for one in sidekick_objects(graph) if one["kind"] == "Deployment")
    template: dict[str, Any] = copy.deepcopy(deployment["spec"]["template"])
    (container,) = template["spec"].pop("containers")
    kept = {key: value for key, value in container.items() if key not in _OF_ITS_PROGRAM}
    kept |= {"image": graph.settings.images.chaos.pause, "resources": {**container["resources"], "requests": {"cpu": "10m"}}}
    for key in ("volumes", "topologySpreadConstraints"):
        template["spec"].pop(key)
    about = template["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": _NAME,
            "namespace": SECURITY_NAMESPACE,
            "labels": about["labels"],
            "annotations": {**about["annotations"], **_SMALL},
        },
        "spec": {**template["spec"], "containers": [kept], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1},
    }


@contextmanager
def sidekick(world: World) -> Iterator[Pod]:
    """A running pod that is the side-kick to everybody.

    Raises:
        ServerError: it is refused.
        ProofError: it does not become ready.
    """

    def running() -> list[Pod]:
        found = world.pods(world.home_region, SECURITY_NAMESPACE, **LABELS)
        return [pod for pod in found if pod.name == _NAME and pod.ready and set(pod.processes) - {SIDECAR}]

    with added(world.clusters[world.home_region], stand_in(world.graph)):
        world.wait(f"{_NAME} to be ready", lambda: bool(running()), _START_SECONDS)
        yield running()[0]


def post(world: World, pod: Pod, event: Mapping[str, Any]) -> None:
    """Posts an event from a pod by its own proxy, as the side-kick's configuration says.

    Raises:
        ProofError: the responder does not take it.
    """
    url = f"http://{service_host(SECURITY_NAMESPACE, RESPONDER)}:{RESPONDER_PORT}{RESPONDER_PATH}"
    answer = world.call(pod, url, "-method=POST", "-header=Content-Type: application/json", f"-body={json.dumps(event)}")
    if not answer.is_allowed:
        msg = f"the responder does not take an event of {pod}: {answer}"
        raise ProofError(msg)


@contextmanager
def restored(world: World) -> Iterator[None]:
    """Afterwards the home region's risks are what they were, and no pod of a tenant is in quarantine: both are people's to do."""
    cluster = world.clusters[world.home_region]
    with ExitStack() as stack:
        for tenant in world.graph.tenants:
            stack.callback(_released, cluster, tenant)
            stack.callback(_lowered, cluster, tenant, _risks(cluster, tenant)["data"])
        yield


def _risks(cluster: Cluster, tenant: str) -> Object:
    found = cluster.get("v1", "ConfigMap", tenant, RISK_CONFIG_MAP)
    if found is None:
        msg = f"there is no {RISK_CONFIG_MAP} of {tenant}"
        raise ProofError(msg)
    return found


def _lowered(cluster: Cluster, tenant: str, before: Object) -> None:
    removed = dict.fromkeys(_risks(cluster, tenant)["data"])
    cluster.merge(cluster.path("v1", "ConfigMap", tenant, RISK_CONFIG_MAP), {"data": removed | before})


def _released(cluster: Cluster, tenant: str) -> None:
    for pod in cluster.list("v1", "Pod", tenant, labelSelector=f"{QUARANTINE_LABEL}=true"):
        path = cluster.path("v1", "Pod", tenant, pod["metadata"]["name"])
        cluster.merge(path, {"metadata": {"labels": {QUARANTINE_LABEL: None}}})
