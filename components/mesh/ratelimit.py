"""The global rate limiter: envoyproxy/ratelimit in namespace rate-limit, asked by the ingress gateway before a request goes on.

Guarantees: no request is let through uncounted. Without counters the service is not ready and answers nobody, and the gateway's
filter refuses what it cannot ask about (the mesh compiler sets that). It is called over the mesh's mTLS, by its sidecar; the
counters lie outside the mesh, in a Valkey that knows this service by its client certificate. Relies on: the namespace, which
asks for injection, that Valkey and the certificate (the tenancy layer's objects, given by the region).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import RATE_LIMIT_NAMESPACE, RATE_LIMIT_PORT, RATE_LIMIT_SERVICE, SERVICE_LABEL, VALKEY_PORT
from components.manifests import Manifest, ManifestsArgs, MeshManifests, manifest
from components.pods import SECRET_MODE, container_security, pod_resources, pod_security, spread_over_zones, system_placement

USER: Final = 10003
HEALTH_PORT: Final = 8080
METRICS_PORT: Final = 9090
REPLICAS: Final = 3
CONFIG_FOLDER: Final = "/etc/ratelimit"
CONFIG_FILE: Final = "config.yaml"
TLS_FOLDER: Final = "/etc/counters"
CONFIG_HASH: Final = "zerotrust.dev/config"


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The Valkey that counts."""

    host: str
    """Its primary; its certificate names it."""
    client_secret: str
    """Secret in this namespace with `tls.crt`, `tls.key` and `ca.crt`."""
    port: int = VALKEY_PORT


@dataclass(frozen=True, kw_only=True)
class RateLimiterArgs:
    """The rate limiter of one region."""

    image: str
    """By digest."""
    config: str
    """The service's configuration file, YAML, as the mesh's compiler made it."""
    counters: Counters
    after: Sequence[pulumi.Resource]
    """Gates every object itself: the namespace, the Valkey and the client certificate."""
    replicas: int = REPLICAS
    """Pods."""


def environment(counters: Counters) -> dict[str, str]:
    """The service's settings (envoyproxy/ratelimit, src/settings), every one that is not its default."""
    return {
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "GRPC_PORT": str(RATE_LIMIT_PORT),
        "PORT": str(HEALTH_PORT),
        "DEBUG_HOST": "127.0.0.1",  # the debug port shows the configuration and profiles
        "USE_STATSD": "false",
        "USE_PROMETHEUS": "true",
        "PROMETHEUS_ADDR": f":{METRICS_PORT}",
        # <root>/<subdirectory>/<appdirectory>/*.yaml; a changed file restarts the pods, so nothing is watched.
        "RUNTIME_ROOT": "/etc",
        "RUNTIME_SUBDIRECTORY": "ratelimit",
        "RUNTIME_APPDIRECTORY": "config",
        "RUNTIME_WATCH_ROOT": "false",
        "RUNTIME_IGNOREDOTFILES": "true",
        "BACKEND_TYPE": "redis",
        "REDIS_TYPE": "SINGLE",
        "REDIS_SOCKET_TYPE": "tcp",
        "REDIS_URL": f"{counters.host}:{counters.port}",
        "REDIS_TLS": "true",
        "REDIS_TLS_CACERT": f"{TLS_FOLDER}/ca.crt",
        "REDIS_TLS_CLIENT_CERT": f"{TLS_FOLDER}/tls.crt",
        "REDIS_TLS_CLIENT_KEY": f"{TLS_FOLDER}/tls.key",
        "REDIS_TLS_SKIP_HOSTNAME_VERIFICATION": "false",
        # No connection, no health: a service that cannot count must not be asked.
        "REDIS_HEALTH_CHECK_ACTIVE_CONNECTION": "true",
        "SHADOW_MODE": "false",
        "LIMIT_RESPONSE_HEADERS_ENABLED": "true",
    }


def rate_limit_objects(image: str, config: str, counters: Counters, replicas: int = REPLICAS) -> tuple[Manifest, ...]:
    """The service account, the configuration, the Deployment, its Service and its disruption budget."""
    labels = {SERVICE_LABEL: RATE_LIMIT_SERVICE}
    name, namespace = RATE_LIMIT_SERVICE, RATE_LIMIT_NAMESPACE

    def placed(api_version: str, kind: str, **fields: Any) -> Manifest:
        return manifest(api_version, kind, name, namespace=namespace, labels=labels, **fields)

    return (
        placed("v1", "ServiceAccount", automountServiceAccountToken=False),
        placed("v1", "ConfigMap", data={CONFIG_FILE: config}),
        placed(
            "apps/v1",
            "Deployment",
            spec={
                "replicas": replicas,
                "revisionHistoryLimit": 3,
                "minReadySeconds": 5,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {
                        "labels": labels,
                        "annotations": {
                            CONFIG_HASH: hashlib.sha256(config.encode()).hexdigest()[:16],
                            "prometheus.io/scrape": "true",
                            "prometheus.io/port": str(METRICS_PORT),
                        },
                    },
                    "spec": _pod(image, counters),
                },
            },
        ),
        placed(
            "v1",
            "Service",
            spec={
                "type": "ClusterIP",
                "selector": labels,
                "ports": [
                    {
                        "name": "grpc",
                        "appProtocol": "grpc",
                        "port": RATE_LIMIT_PORT,
                        "targetPort": RATE_LIMIT_PORT,
                        "protocol": "TCP",
                    }
                ],
            },
        ),
        placed(
            "policy/v1",
            "PodDisruptionBudget",
            spec={
                "minAvailable": replicas - 1,
                "selector": {"matchLabels": labels},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        ),
    )


def _pod(image: str, counters: Counters) -> dict[str, Any]:
    health = {"httpGet": {"path": "/healthcheck", "port": HEALTH_PORT}, "timeoutSeconds": 2}
    return {
        "serviceAccountName": RATE_LIMIT_SERVICE,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(USER),
        "topologySpreadConstraints": spread_over_zones({SERVICE_LABEL: RATE_LIMIT_SERVICE}),
        **system_placement(),
        "containers": [
            {
                "name": "ratelimit",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/ratelimit"],
                "env": [{"name": key, "value": value} for key, value in sorted(environment(counters).items())],
                "ports": [
                    {"name": "grpc", "containerPort": RATE_LIMIT_PORT, "protocol": "TCP"},
                    {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
                    {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
                ],
                "securityContext": container_security(),
                "resources": pod_resources("100m", "128Mi", memory_limit="256Mi"),
                "readinessProbe": {**health, "periodSeconds": 5, "failureThreshold": 1},
                # The certificate is read at start only: once it is over no connection is left, and a new start reads the new one.
                "livenessProbe": {**health, "periodSeconds": 10, "failureThreshold": 12, "initialDelaySeconds": 10},
                "volumeMounts": [
                    {"name": "config", "mountPath": f"{CONFIG_FOLDER}/config", "readOnly": True},
                    {"name": "counters", "mountPath": TLS_FOLDER, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": RATE_LIMIT_SERVICE}},
            {"name": "counters", "secret": {"secretName": counters.client_secret, "defaultMode": SECRET_MODE}},
        ],
    }


class RateLimiter(Component, token="zerotrust:mesh:RateLimiter"):
    """The rate limiter. `ready` is its objects; the gateway asks it from its first request on."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: RateLimiterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        objects = MeshManifests(
            f"{name}-objects",
            ManifestsArgs(objects=rate_limit_objects(args.image, args.config, args.counters, args.replicas), after=args.after),
            opts=self.child(),
        )
        self.ready = objects.ready
        self.register_outputs({})
