"""Runners of GitHub Actions: a pod for each job, thrown away after it, that may become the deployer and nothing else in AWS.

Guarantees: a runner has no token of the API server, no way to a root user and no container engine; its files live as long as
its pod. It has an identity from SPIRE and one role in AWS, whose only right is to assume the deployer's. The controller watches
the runners' namespace alone and has no cluster role. One scale set in each region, under a name of its own: two listeners under
one name would take the jobs from each other.
Relies on: the Secret with the App's key (docs/runners.md), the deployer role's own trust, the namespaces' network rules. An
image that lies too far behind GitHub's releases is sent no more jobs: nothing here updates itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.delivery.argocd import split
from components.graph.model import Graph
from components.graph.names import RUNNER, RUNNER_CONTROLLER_NAMESPACE, RUNNER_NAMESPACE, SERVICE_LABEL, SPIRE_SOCKET_FILE
from components.helm import install
from components.manifests import Manifest, manifest
from components.names import bounded
from components.pods import pod_resources, pod_security, spread_over_zones, system_placement
from components.settings.delivery import RunnerSettings
from components.settings.images import DeliveryImages

CONTROLLER: Final = "gha-rs-controller"
"""Release, Deployment and value of SERVICE_LABEL, as the chart names them."""
CONTROLLER_ACCOUNT: Final = "actions-runner-controller"
LISTENER_LABELS: Final = {"app.kubernetes.io/component": "runner-scale-set-listener"}
METRICS_PORT: Final = 8080
"""Of controller and listener."""
HEALTH_PORT: Final = 8081
HOME: Final = "/home/runner"
SOCKET_FOLDER: Final = "/spiffe-workload-api"
LONGEST_NAME: Final = 45
"""Of a scale set, in the chart."""
_CONTROLLER_USER: Final = 65532
_RUNNER_USER: Final = 1001
_CONTAINER: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
}


def _wanted(graph: Graph) -> tuple[RunnerSettings, DeliveryImages]:
    runners, images = graph.settings.delivery.runners, graph.settings.images.delivery
    if runners is None or images is None:
        msg = "the settings name no runners or not their images; nothing is compiled for them"
        raise ValueError(msg)
    return runners, images


def scale_set(graph: Graph, region: str) -> str:
    """The scale set's name: what a workflow of the repository writes under `runs-on`."""
    return bounded(LONGEST_NAME, graph.settings.organization, graph.settings.environment, region)


def controller_values(graph: Graph) -> dict[str, Any]:
    """Values of the controller's chart.

    Raises:
        ValueError: where the settings name no runners.
    """
    _, images = _wanted(graph)
    return {
        "replicaCount": 2,
        "image": split(images.runner_controller),
        "serviceAccount": {"create": True, "name": CONTROLLER_ACCOUNT},
        "podSecurityContext": pod_security(_CONTROLLER_USER),
        "securityContext": dict(_CONTAINER),
        "resources": pod_resources("50m", "128Mi", memory_limit="256Mi"),
        "topologySpreadConstraints": spread_over_zones({SERVICE_LABEL: CONTROLLER}),
        "metrics": {
            "controllerManagerAddr": f":{METRICS_PORT}",
            "listenerAddr": f":{METRICS_PORT}",
            "listenerEndpoint": "/metrics",
        },
        "flags": {
            "logLevel": "info",
            "logFormat": "json",
            "watchSingleNamespace": RUNNER_NAMESPACE,  # roles instead of cluster roles
            "healthProbeBindAddress": f":{HEALTH_PORT}",
        },
        **system_placement(),
    }


def runner_values(graph: Graph, region: str) -> dict[str, Any]:
    """Values of the scale set's chart.

    Raises:
        ValueError: where the settings name no runners.
    """
    wanted, images = _wanted(graph)
    listener = {
        "name": "listener",
        "securityContext": dict(_CONTAINER),
        "resources": pod_resources("20m", "64Mi", memory_limit="128Mi"),
    }
    values: dict[str, Any] = {
        "githubConfigUrl": wanted.repository,
        "githubConfigSecret": wanted.credential.secret,
        "runnerScaleSetName": scale_set(graph, region),
        "minRunners": wanted.minimum,
        "maxRunners": wanted.maximum,
        "controllerServiceAccount": {"namespace": RUNNER_CONTROLLER_NAMESPACE, "name": CONTROLLER_ACCOUNT},
        "listenerTemplate": {
            "spec": {"securityContext": pod_security(_CONTROLLER_USER), "containers": [listener], **system_placement()}
        },
        "template": {"metadata": {"labels": {SERVICE_LABEL: RUNNER}}, "spec": runner_pod(images.runner)},
    }
    if wanted.group is not None:
        values["runnerGroup"] = wanted.group
    return values


def runner_pod(image: str) -> dict[str, Any]:
    """The pod of one job.

    A runner writes beside its own program (its registration, its diagnostics, the job's folder), so the program is copied to
    where the pod may write, and the image stays as it is. On the platform's nodes, where no tenant's pod runs.
    """
    return {
        "serviceAccountName": RUNNER,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": pod_security(_RUNNER_USER),
        "initContainers": [
            {
                "name": "home",
                "image": image,
                "command": ["cp", "-r", f"{HOME}/.", "/new/"],
                "securityContext": dict(_CONTAINER),
                "resources": pod_resources("100m", "128Mi"),
                "volumeMounts": [{"name": "home", "mountPath": "/new"}],
            }
        ],
        "containers": [
            {
                "name": "runner",
                "image": image,
                "command": [f"{HOME}/run.sh"],
                "env": [{"name": "SPIFFE_ENDPOINT_SOCKET", "value": f"unix://{SOCKET_FOLDER}/{SPIRE_SOCKET_FILE}"}],
                "securityContext": dict(_CONTAINER),
                "resources": pod_resources("500m", "2Gi", memory_limit="4Gi"),
                "volumeMounts": [
                    {"name": "home", "mountPath": HOME},
                    {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own, empty at its start
                    {"name": "spiffe-workload-api", "mountPath": SOCKET_FOLDER, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "home", "emptyDir": {"sizeLimit": "10Gi"}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "5Gi"}},
            {"name": "spiffe-workload-api", "csi": {"driver": "csi.spiffe.io", "readOnly": True}},
        ],
        **system_placement(),
    }


def deployer_document(graph: Graph) -> dict[str, Any]:
    """What a runner may do in AWS: become the deployer. The tags are those that pod identity puts on every session."""
    statement = {
        "Sid": "BecomeTheDeployer",
        "Effect": "Allow",
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Resource": [graph.settings.account.deployer_role],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def region_objects(graph: Graph) -> tuple[Manifest, ...]:
    """What the charts have none of: the runners' account, the controller's disruption budget, who is scraped."""
    if graph.settings.delivery.runners is None:
        return ()
    place, controller = RUNNER_CONTROLLER_NAMESPACE, {SERVICE_LABEL: CONTROLLER}
    watched = [
        manifest(
            "monitoring.coreos.com/v1",
            "PodMonitor",
            name,
            namespace=place,
            spec={"podMetricsEndpoints": [{"port": "metrics"}], "selector": {"matchLabels": dict(labels)}},
        )
        for name, labels in (("runner-controller", controller), ("runner-listeners", LISTENER_LABELS))
    ]
    budget = {"minAvailable": 1, "selector": {"matchLabels": controller}}
    return (
        manifest("v1", "ServiceAccount", RUNNER, namespace=RUNNER_NAMESPACE, automountServiceAccountToken=False),
        manifest("policy/v1", "PodDisruptionBudget", CONTROLLER, namespace=place, spec=budget),
        *watched,
    )


@dataclass(frozen=True, kw_only=True)
class RunnersArgs:
    """Runners in one cluster."""

    graph: Graph
    region: str
    after: Sequence[pulumi.Resource]
    """Gates the releases: namespaces and their rules, the runners' account and role in AWS, SPIRE's driver."""


class Runners(Component, token="zerotrust:delivery:Runners"):
    """Controller and scale set."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: RunnersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        controller = install(
            f"{name}-controller",
            "gha-runner-scale-set-controller",
            release=CONTROLLER,
            namespace=RUNNER_CONTROLLER_NAMESPACE,
            values=controller_values(args.graph),
            opts=self.child(depends_on=list(args.after)),
        )
        scaled = install(
            f"{name}-set",
            "gha-runner-scale-set",
            release="runners",
            namespace=RUNNER_NAMESPACE,
            values=runner_values(args.graph, args.region),
            opts=self.child(depends_on=[controller]),
        )
        self.ready = (controller, scaled)
        self.register_outputs({})
