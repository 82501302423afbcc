"""The responder: takes events from the side-kick, raises workloads' risk where OPA reads it, and labels a pod for quarantine.

Its program is `tools/responder`. Guarantees: the side-kick alone may post to it, by SPIFFE id and on one path; what it knows of
workloads it is told here, so an event that names nobody of the region changes nothing. Two pods, because the side-kick does not
try again. Its way to the API server passes the proxy by: the connection is that server's TLS, with a token that is renewed within
the hour and mounted into the program's own container alone. Relies on: the namespace, its default deny (`sidekick.py`), and on
the rights in each tenant's namespace (`components.decision.rights`).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.identity import principal, spiffe_id
from components.graph.model import Graph
from components.graph.names import (
    CLUSTER_DOMAIN,
    MESH_NAMESPACE,
    PROXY_METRICS_PORT,
    QUARANTINE_LABEL,
    RESPONDER,
    RESPONDER_PATH,
    RESPONDER_PORT,
    RISK_CONFIG_MAP,
    RISK_FILE,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    SIDEKICK,
)
from components.manifests import Manifest, ManifestsArgs, RuntimeManifests, manifest
from components.pods import SECRET_MODE, container_security, pod_resources, pod_security, spread_over_zones, system_placement
from components.settings.runtime import ResponderSettings

USER: Final = 65532
REPLICAS: Final = 2
CONFIG_FOLDER: Final = "/etc/responder"
CONFIG_FILE: Final = "configuration.json"
CONFIG_HASH: Final = "zerotrust.dev/config"
HEALTH_PATH: Final = "/healthz"
TOKEN_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where clients of Kubernetes look
TOKEN_SECONDS: Final = 3600
API_PORT: Final = 443
LABELS: Final = {SERVICE_LABEL: RESPONDER}


@dataclass(frozen=True, kw_only=True)
class ResponderArgs:
    """The responder of one region."""

    graph: Graph
    region: str
    after: Sequence[pulumi.Resource]
    """Gates every object itself: the network's rules, the mesh."""


def configuration(graph: Graph, region: str, settings: ResponderSettings) -> dict[str, Any]:
    """What the program reads: priorities, names, every tenant, and each workload of the region by its SPIFFE id."""
    domain = graph.trust_domain(region)
    return {
        "minimum_priority": settings.minimum_priority,
        "high_priority": settings.high_priority,
        "risk_config_map": RISK_CONFIG_MAP,
        "risk_file": RISK_FILE,
        "quarantine_label": QUARANTINE_LABEL,
        "path": RESPONDER_PATH,
        "tenants": sorted(graph.tenants),
        "workloads": {
            spiffe_id(domain, workload.tenant, workload.name): {"tenant": workload.tenant, "service_account": workload.name}
            for _, workload in sorted(graph.workloads.items())
            if region in workload.regions
        },
    }


def responder_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """Account, configuration, Deployment, Service, budget, monitor, and the mesh's rules; nothing without the setting."""
    settings = graph.settings.runtime.responder
    if settings is None:
        return ()
    text = json.dumps(configuration(graph, region, settings), indent=1, sort_keys=True) + "\n"
    return (
        _placed("v1", "ServiceAccount", automountServiceAccountToken=False),
        _placed("v1", "ConfigMap", data={CONFIG_FILE: text}),
        _placed("apps/v1", "Deployment", spec=_deployment(graph, settings.image, text)),
        _placed(
            "v1",
            "Service",
            spec={
                "type": "ClusterIP",
                "selector": LABELS,
                "ports": [{"name": "http", "port": RESPONDER_PORT, "targetPort": RESPONDER_PORT, "protocol": "TCP"}],
            },
        ),
        _placed(
            "policy/v1",
            "PodDisruptionBudget",
            spec={"maxUnavailable": 1, "selector": {"matchLabels": LABELS}, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        ),
        *_mesh_objects(graph.trust_domain(region)),
    )


def _mesh_objects(trust_domain: str) -> tuple[Manifest, ...]:
    source = {"principals": [principal(trust_domain, SECURITY_NAMESPACE, SIDEKICK)]}
    operation = {"methods": ["POST"], "paths": [RESPONDER_PATH], "ports": [str(RESPONDER_PORT)]}
    istiod = f"{MESH_NAMESPACE}/istiod.{MESH_NAMESPACE}.svc.{CLUSTER_DOMAIN}"
    return (
        _placed(
            "security.istio.io/v1",
            "AuthorizationPolicy",
            spec={
                "action": "ALLOW",
                "selector": {"matchLabels": LABELS},
                "rules": [{"from": [{"source": source}], "to": [{"operation": operation}]}],
            },
        ),
        _placed(
            "networking.istio.io/v1",
            "Sidecar",
            spec={
                "workloadSelector": {"labels": LABELS},
                "egress": [{"hosts": [istiod]}],
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
    return manifest(api_version, kind, RESPONDER, namespace=SECURITY_NAMESPACE, labels=LABELS, **fields)


def _deployment(graph: Graph, image: str, text: str) -> dict[str, Any]:
    annotations = {
        CONFIG_HASH: hashlib.sha256(text.encode()).hexdigest()[:16],
        "kubectl.kubernetes.io/default-container": RESPONDER,
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(RESPONDER_PORT),
        "prometheus.io/scrape": "true",
        # An event now and then; the injector's own figures are for services.
        "sidecar.istio.io/proxyCPU": "25m",
        "sidecar.istio.io/proxyMemory": "128Mi",
        "sidecar.istio.io/proxyMemoryLimit": "256Mi",
        "traffic.sidecar.istio.io/excludeOutboundPorts": str(API_PORT),
    }
    return {
        "replicas": graph.settings.cluster.pods(REPLICAS),
        "revisionHistoryLimit": 3,
        "minReadySeconds": 5,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS, "annotations": annotations}, "spec": _pod(image)},
    }


def _pod(image: str) -> dict[str, Any]:
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}}
    authority = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    return {
        "serviceAccountName": RESPONDER,
        # The automatic mount would give the token to the proxy as well.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 45,
        "securityContext": pod_security(USER),
        "topologySpreadConstraints": spread_over_zones(LABELS),
        **system_placement(),
        "containers": [_container(image)],
        "volumes": [
            {"name": "config", "configMap": {"name": RESPONDER}},
            {"name": "token", "projected": {"defaultMode": SECRET_MODE, "sources": [token, authority]}},
        ],
    }


def _container(image: str) -> dict[str, Any]:
    health = {"httpGet": {"path": HEALTH_PATH, "port": RESPONDER_PORT}, "timeoutSeconds": 2}
    return {
        "name": RESPONDER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--configuration={CONFIG_FOLDER}/{CONFIG_FILE}", f"--listen=:{RESPONDER_PORT}"],
        "ports": [
            {"name": "http", "containerPort": RESPONDER_PORT, "protocol": "TCP"},
            # Declared for scraping to find it; the agent beside the proxy listens there.
            {"name": "proxy-metrics", "containerPort": PROXY_METRICS_PORT, "protocol": "TCP"},
        ],
        "securityContext": container_security(),
        "resources": pod_resources("25m", "64Mi", memory_limit="128Mi"),
        "readinessProbe": {**health, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**health, "periodSeconds": 10, "failureThreshold": 3, "initialDelaySeconds": 10},
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        ],
    }


class Responder(Component, token="zerotrust:runtime:Responder"):
    """The responder; the side-kick waits for it, so that no event is posted to nobody."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ResponderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        objects = RuntimeManifests(
            f"{name}-objects",
            ManifestsArgs(objects=responder_objects(args.graph, args.region), after=args.after),
            opts=self.child(),
        )
        self.ready = objects.ready
        self.register_outputs({})
