"""The side-kick: takes Falco's events over mutual TLS and tells the collector, Loki, Alertmanager and, by setting, people.

The chart is not used: it takes no second container, so nothing could bring secrets from Vault, and it always makes a Kubernetes
Secret of its outputs' keys. Guarantees: nobody speaks to it but Falco, by a certificate that only Falco has; in the mesh nobody
at all. Its proxy leaves alone the port that Falco calls (Falco has no proxy), Alertmanager's (outside the mesh), Vault's, and
that of the two hosts of the internet, whose names the network's rules hold. Relies on: the namespace, which asks for injection,
the certificate, and for Slack and PagerDuty what fetches their secrets.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.model import Graph
from components.graph.names import (
    CLUSTER_DOMAIN,
    COLLECTOR,
    LOKI_SERVICE,
    MESH_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    PROXY_METRICS_PORT,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    SIDEKICK,
    VAULT_PORT,
    service_host,
)
from components.manifests import Manifest, ManifestsArgs, RuntimeManifests, manifest
from components.pods import SECRET_MODE, container_security, pod_resources, pod_security, spread_over_zones, system_placement
from components.runtime.certificates import SERVER_SECRET
from components.runtime.configuration import TLS_FOLDER, configuration_file, needs_secrets
from components.runtime.names import ALERTMANAGER_PORT, EVENTS_PORT, SECRETS_DIRECTORY, STATUS_PORT
from components.settings.runtime import RuntimeSettings

USER: Final = 1234
"""The image's own."""
REPLICAS: Final = 2
CONFIG_FOLDER: Final = "/etc/falcosidekick/config"
CONFIG_FILE: Final = "config.yaml"
CONFIG_HASH: Final = "zerotrust.dev/config"
LABELS: Final = {SERVICE_LABEL: SIDEKICK}
PAST_THE_PROXY: Final = (443, VAULT_PORT, ALERTMANAGER_PORT)


@dataclass(frozen=True, kw_only=True)
class SecretDelivery:
    """What brings the secrets into the pod: an agent that writes `config.yaml` into SECRETS_DIRECTORY from a template."""

    init_containers: Sequence[Mapping[str, Any]] = ()
    containers: Sequence[Mapping[str, Any]] = ()
    volumes: Sequence[Mapping[str, Any]] = ()
    volume_mounts: Sequence[Mapping[str, Any]] = ()
    """What the application's own container mounts there."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the pods."""


@dataclass(frozen=True, kw_only=True)
class SidekickArgs:
    """The side-kick of one region."""

    graph: Graph
    delivery: SecretDelivery | None = None
    """Needed as soon as Slack or PagerDuty is on."""
    after: Sequence[pulumi.Resource]
    """Gates every object itself: the network's rules, the mesh, the certificate."""


def sidekick_objects(graph: Graph, delivery: SecretDelivery | None = None) -> tuple[Manifest, ...]:
    """Account, configuration, Deployment, Service, budget, monitor, and the mesh's rules about it.

    Raises:
        ValueError: for an output with a secret that nobody delivers.
    """
    settings = graph.settings.runtime
    if needs_secrets(settings) and delivery is None:
        msg = "runtime: slack and pagerduty need a secret, and nothing delivers it to the side-kick"
        raise ValueError(msg)
    text = "" if needs_secrets(settings) else configuration_file(settings)
    configs = () if needs_secrets(settings) else (_placed("v1", "ConfigMap", data={CONFIG_FILE: text}),)
    return (
        _placed("v1", "ServiceAccount", automountServiceAccountToken=False),
        *configs,
        _placed("apps/v1", "Deployment", spec=_deployment(graph.settings.images.falcosidekick, settings, text, delivery)),
        _placed(
            "v1",
            "Service",
            spec={
                "type": "ClusterIP",
                "selector": LABELS,
                # Not `https`: the port's name is what would make the proxy read the stream.
                "ports": [{"name": "tls-events", "port": EVENTS_PORT, "targetPort": EVENTS_PORT, "protocol": "TCP"}],
            },
        ),
        _placed(
            "policy/v1",
            "PodDisruptionBudget",
            spec={"maxUnavailable": 1, "selector": {"matchLabels": LABELS}, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        ),
        *mesh_objects(),
    )


def mesh_objects() -> tuple[Manifest, ...]:
    """Nobody in the mesh may call it, it reaches the collector and Loki and nothing else; and who asks for its metrics."""
    reached = (
        f"{OBSERVABILITY_NAMESPACE}/{service_host(OBSERVABILITY_NAMESPACE, COLLECTOR)}",
        f"{OBSERVABILITY_NAMESPACE}/{service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE)}",
        f"{MESH_NAMESPACE}/istiod.{MESH_NAMESPACE}.svc.{CLUSTER_DOMAIN}",
        f"{SECURITY_NAMESPACE}/*",
    )
    return (
        manifest("security.istio.io/v1", "AuthorizationPolicy", "default-deny", namespace=SECURITY_NAMESPACE, spec={}),
        _placed(
            "security.istio.io/v1",
            "AuthorizationPolicy",
            spec={"action": "DENY", "selector": {"matchLabels": LABELS}, "rules": [{}]},
        ),
        _placed(
            "networking.istio.io/v1",
            "Sidecar",
            spec={
                "workloadSelector": {"labels": LABELS},
                "egress": [{"hosts": sorted(reached)}],
                "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
            },
        ),
        _placed(
            "monitoring.coreos.com/v1",
            "PodMonitor",
            spec={
                "selector": {"matchLabels": LABELS},
                "podMetricsEndpoints": [{"port": "proxy-metrics", "path": "/stats/prometheus", "interval": "30s"}],
            },
        ),
    )


def _placed(api_version: str, kind: str, **fields: Any) -> Manifest:
    return manifest(api_version, kind, SIDEKICK, namespace=SECURITY_NAMESPACE, labels=LABELS, **fields)


def _deployment(image: str, settings: RuntimeSettings, text: str, delivery: SecretDelivery | None) -> dict[str, Any]:
    annotations = {
        CONFIG_HASH: hashlib.sha256((text + settings.model_dump_json()).encode()).hexdigest()[:16],
        "kubectl.kubernetes.io/default-container": SIDEKICK,
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(STATUS_PORT),
        "prometheus.io/scrape": "true",
        "traffic.sidecar.istio.io/excludeInboundPorts": str(EVENTS_PORT),
        "traffic.sidecar.istio.io/excludeOutboundPorts": ",".join(map(str, PAST_THE_PROXY)),
        **(delivery.annotations if delivery else {}),
    }
    return {
        "replicas": REPLICAS,
        "revisionHistoryLimit": 3,
        "minReadySeconds": 5,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS, "annotations": annotations}, "spec": _pod(image, delivery, text)},
    }


def _pod(image: str, delivery: SecretDelivery | None, text: str) -> dict[str, Any]:
    brought = delivery or SecretDelivery()
    folder = CONFIG_FOLDER if text else SECRETS_DIRECTORY
    mounts = [{"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True}]
    volumes: list[dict[str, Any]] = [{"name": "tls", "secret": {"secretName": SERVER_SECRET, "defaultMode": SECRET_MODE}}]
    if text:
        mounts.append({"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True})
        volumes.append({"name": "config", "configMap": {"name": SIDEKICK}})
    return {
        "serviceAccountName": SIDEKICK,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(USER),
        "topologySpreadConstraints": spread_over_zones(LABELS),
        **system_placement(),
        **({"initContainers": list(map(dict, brought.init_containers))} if brought.init_containers else {}),
        "containers": [
            _container(image, f"{folder}/{CONFIG_FILE}", [*mounts, *map(dict, brought.volume_mounts)]),
            *map(dict, brought.containers),
        ],
        "volumes": [*volumes, *map(dict, brought.volumes)],
    }


def _container(image: str, config: str, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    ping = {"httpGet": {"path": "/ping", "port": STATUS_PORT}, "timeoutSeconds": 2}
    return {
        "name": SIDEKICK,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-c", config],
        "ports": [
            {"name": "tls-events", "containerPort": EVENTS_PORT, "protocol": "TCP"},
            {"name": "status", "containerPort": STATUS_PORT, "protocol": "TCP"},
            # Declared for scraping to find it; the agent beside the proxy listens there.
            {"name": "proxy-metrics", "containerPort": PROXY_METRICS_PORT, "protocol": "TCP"},
        ],
        "securityContext": container_security(),
        "resources": pod_resources("50m", "128Mi", memory_limit="256Mi"),
        "readinessProbe": {**ping, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**ping, "periodSeconds": 10, "failureThreshold": 3, "initialDelaySeconds": 10},
        "volumeMounts": mounts,
    }


class Sidekick(Component, token="zerotrust:runtime:Sidekick"):
    """The side-kick. Falco waits for it: its first events would reach nobody."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: SidekickArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        objects = RuntimeManifests(
            f"{name}-objects",
            ManifestsArgs(objects=sidekick_objects(args.graph, args.delivery), after=args.after),
            opts=self.child(),
        )
        self.ready = objects.ready
        self.register_outputs({})
