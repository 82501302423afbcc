"""Chaos Mesh: what injects faults on a game day, in namespaces that were opted in and nowhere else.

Guarantees: a namespace without the annotation is never touched, whatever an experiment selects; the controller's webhooks fail
closed, so no experiment is stored that it has not checked; no page, no profiler. The daemon enters other pods' namespaces and is
privileged on every node: that is why nothing of this is installed unless `chaos.enabled` says so. Relies on: containerd,
cert-manager (the chart would make new keys at each rendering).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import CHAOS_NAMESPACE, FAULT_CONTROLLER
from components.helm import install
from components.pods import pod_resources, system_placement
from components.settings.images import ChaosImages

WEBHOOK_PORT, METRICS_PORT, DAEMON_PORT = 10250, 10080, 31767
CLUSTER_API_PORT: Final = 443


def chart_values(images: ChaosImages | None) -> dict[str, Any]:
    """The chart's values."""
    controller: dict[str, Any] = {
        "replicaCount": 3,
        "serviceAccount": FAULT_CONTROLLER,
        "enableFilterNamespace": True,  # off by default: any namespace could be attacked
        "allowHostNetworkTesting": False,
        "leaderElection": {"enabled": True},
        "chaosdSecurityMode": True,
        "localHelmChart": {"enabled": False},
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "resources": pod_resources("50m", "256Mi", memory_limit="512Mi"),
        # Prometheus answers identities alone: a proxy carries the question. The API server calls the webhooks past it, and the
        # daemon has a TLS of its own.
        "podAnnotations": {
            "traffic.sidecar.istio.io/excludeInboundPorts": f"{WEBHOOK_PORT},{METRICS_PORT}",
            "traffic.sidecar.istio.io/excludeOutboundPorts": f"{CLUSTER_API_PORT},{DAEMON_PORT}",
        },
        **system_placement(),
    }
    daemon: dict[str, Any] = {
        "runtime": "containerd",  # the chart expects Docker
        "socketPath": "/run/containerd/containerd.sock",
        "privileged": True,  # it enters the namespaces of other pods
        "hostNetwork": False,
        "mtls": {"enabled": True},
        "resources": pod_resources("50m", "128Mi", memory_limit="512Mi"),
        "tolerations": [{"operator": "Exists"}],
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
    }
    if images is not None:
        controller["image"] = _split(images.controller)
        controller["podChaos"] = {"podFailure": {"pauseImage": images.pause}}
        daemon["image"] = _split(images.daemon)
    return {
        "clusterScoped": True,  # opted-in namespaces, of which there are several
        "enableProfiling": False,
        "controllerManager": controller,
        "chaosDaemon": daemon,
        "dashboard": {"create": False, "securityMode": True, "service": {"type": "ClusterIP"}},
        # Lookups are failed by cutting the way to the resolver; a resolver of its own would be one more that may be asked.
        "dnsServer": {"create": False},
        "prometheus": {"create": False},
        "bpfki": {"create": False},
        "chaosDlv": {"enable": False},
        "webhook": {"FailurePolicy": "Fail", "certManager": {"enabled": True}},
    }


def _split(image: str) -> dict[str, str]:
    """An image by digest in a chart that joins registry, repository and tag by `/` and `:`."""
    name, digest = image.split("@sha256:")
    registry, _, repository = name.partition("/")
    return {"registry": registry, "repository": f"{repository}@sha256", "tag": digest}


@dataclass(frozen=True, kw_only=True)
class ChaosMeshArgs:
    """Chaos Mesh in one cluster."""

    images: ChaosImages | None
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace and its rules, cert-manager."""


class ChaosMesh(Component, token="zerotrust:chaos:ChaosMesh"):
    """The release. `ready` gates every object of its kinds."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ChaosMeshArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "chaos-mesh",
            namespace=CHAOS_NAMESPACE,
            values=chart_values(args.images),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
