"""Jaeger in Tempo's place: for each tenant, and for the platform's own traces, a Jaeger of its own on a volume of its own.

Jaeger's tenants are a check on a header: the lasting databases it writes to keep all of them together. So here a tenant is a
process, a database and a volume. Guarantees: each Jaeger answers for one name, and refuses a request that bears another or none;
a trace is gone after its days, which the database itself counts; two callers of the mesh reach it, and it calls nobody.

The database is Badger on the encrypted volume and not OpenSearch: there, who may read an index and when it is deleted are for the
domain to say, and neither promise would be this program's. The price is one instance and no bucket: what a zone takes with it is
lost, and a node's sudden end loses what its kernel had not written. Evidence is in the audit stream, not here.

Relies on: the storage class, the collectors, the mesh. Jaeger 2.13 spells the keys of `multi_tenancy` with capitals.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml

from components.base import Component
from components.graph.model import Graph
from components.graph.names import JAEGER_SERVICE, OBSERVABILITY_NAMESPACE, OTLP_GRPC_PORT, SERVICE_LABEL
from components.graph.traces import JAEGER_PORT, jaeger_name, trace_names
from components.manifests import Manifest, ManifestsArgs, ObservabilityManifests, manifest
from components.observability.stores import TENANT_HEADER, proxy_annotations
from components.pods import container_security, pod_resources, pod_security, system_placement
from components.settings.observability import TraceSettings

NAME_LABEL: Final = "zerotrust.dev/traces"
"""Whose traces a Jaeger keeps."""
USER: Final = 10001
"""The image's own."""
HERE: Final = "${env:MY_POD_IP}"
CONFIG_FOLDER, CONFIG_FILE = "/etc/jaeger", "jaeger.yaml"
CONFIG_HASH: Final = "zerotrust.dev/config"
DATA: Final = "/var/lib/jaeger"
HEALTH_PORT, METRICS_PORT, LOCAL_QUERY_PORT = 13133, 8888, 16685
HEALTH_PATH: Final = "/status"
MEMORY, MEMORY_LIMIT = "512Mi", "2Gi"
GO_MEMORY: Final = "1600MiB"
"""What Go may use of the limit; the rest is the database's files in memory."""
STORAGE: Final = "traces"


def jaeger_config(settings: TraceSettings, name: str) -> dict[str, Any]:
    """The whole configuration of one name's Jaeger. Judged by Jaeger's own binary in the tests."""
    reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": METRICS_PORT}}}}
    return {
        "extensions": {
            "healthcheckv2": {
                "use_v2": True,
                "http": {
                    "endpoint": f"{HERE}:{HEALTH_PORT}",
                    "status": {"enabled": True, "path": HEALTH_PATH},
                    "config": {"enabled": False},
                },
            },
            "jaeger_storage": {
                "backends": {
                    STORAGE: {
                        "badger": {
                            "ephemeral": False,
                            "directories": {"keys": f"{DATA}/keys", "values": f"{DATA}/values"},
                            "ttl": {"spans": f"{settings.retention_days * 24}h"},
                        }
                    }
                }
            },
            "jaeger_query": {
                "storage": {"traces": STORAGE},
                "multi_tenancy": {"Enabled": True, "Header": TENANT_HEADER, "Tenants": [name]},
                "http": {"endpoint": f"{HERE}:{JAEGER_PORT}"},
                "grpc": {"endpoint": f"127.0.0.1:{LOCAL_QUERY_PORT}"},
                # Its own spans would come back to it under the tenant's name.
                "enable_tracing": False,
            },
        },
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"{HERE}:{OTLP_GRPC_PORT}"}}}},
        "processors": {"memory_limiter": {"check_interval": "1s", "limit_percentage": 75, "spike_limit_percentage": 20}},
        # No queue: the collector that sends has one on disk, and is told only when a span is stored.
        "exporters": {"jaeger_storage_exporter": {"trace_storage": STORAGE, "queue": {"enabled": False}}},
        "service": {
            "extensions": ["healthcheckv2", "jaeger_storage", "jaeger_query"],
            "telemetry": {"logs": {"level": "warn", "encoding": "json"}, "metrics": {"level": "normal", "readers": [reader]}},
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": ["jaeger_storage_exporter"]}
            },
        },
    }


def jaeger_objects(graph: Graph, storage_class: str) -> tuple[Manifest, ...]:
    """The account, and for each name its configuration, Service and StatefulSet.

    Raises:
        ValueError: without Jaeger's image or the volume's size, which the settings do not let through.
    """
    settings, image = graph.settings.observability.traces, graph.settings.images.jaeger
    if image is None or settings.volume is None:
        msg = "observability.traces: Jaeger needs images.jaeger and traces.volume"
        raise ValueError(msg)
    account = manifest(
        "v1",
        "ServiceAccount",
        JAEGER_SERVICE,
        namespace=OBSERVABILITY_NAMESPACE,
        labels={SERVICE_LABEL: JAEGER_SERVICE},
        automountServiceAccountToken=False,
    )
    named = [_named(name, settings, image, settings.volume, storage_class) for name in trace_names(graph)]
    return (account, *(one for objects in named for one in objects))


def _named(name: str, settings: TraceSettings, image: str, volume: str, storage_class: str) -> tuple[Manifest, ...]:
    labels = {SERVICE_LABEL: JAEGER_SERVICE, NAME_LABEL: name}
    text = yaml.safe_dump(jaeger_config(settings, name), sort_keys=True)
    claim = {
        "metadata": {"name": "data", "labels": labels},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": volume}},
        },
    }
    ports = (("grpc-otlp", OTLP_GRPC_PORT), ("http-query", JAEGER_PORT))
    annotations = {
        # A changed file of a mounted ConfigMap restarts nothing; a changed template does.
        CONFIG_HASH: hashlib.sha256(text.encode()).hexdigest()[:16],
        "kubectl.kubernetes.io/default-container": JAEGER_SERVICE,
        **proxy_annotations(metrics_port=METRICS_PORT),
    }

    def placed(api_version: str, kind: str, **fields: Any) -> Manifest:
        return manifest(api_version, kind, jaeger_name(name), namespace=OBSERVABILITY_NAMESPACE, labels=labels, **fields)

    return (
        placed("v1", "ConfigMap", data={CONFIG_FILE: text}),
        placed(
            "v1",
            "Service",
            spec={
                "type": "ClusterIP",
                "selector": labels,
                "ports": [{"name": key, "port": port, "targetPort": port, "protocol": "TCP"} for key, port in ports],
            },
        ),
        placed(
            "apps/v1",
            "StatefulSet",
            spec={
                "serviceName": jaeger_name(name),
                "replicas": 1,  # one process opens the database
                "revisionHistoryLimit": 3,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod(name, image, ports)},
                "volumeClaimTemplates": [claim],
            },
        ),
    )


def _pod(name: str, image: str, ports: Sequence[tuple[str, int]]) -> dict[str, Any]:
    probe = {"httpGet": {"path": HEALTH_PATH, "port": HEALTH_PORT}, "timeoutSeconds": 5}
    opened = (*ports, ("http-health", HEALTH_PORT))
    container = {
        "name": JAEGER_SERVICE,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--config", f"file:{CONFIG_FOLDER}/{CONFIG_FILE}"],
        "env": [
            {"name": "MY_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "GOMEMLIMIT", "value": GO_MEMORY},
        ],
        "ports": [{"name": key, "containerPort": port, "protocol": "TCP"} for key, port in opened],
        "securityContext": container_security(),
        "resources": pod_resources("100m", MEMORY, memory_limit=MEMORY_LIMIT),
        # After a sudden end the database replays what it had not sorted.
        "startupProbe": {**probe, "periodSeconds": 10, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 10},
        "livenessProbe": {**probe, "periodSeconds": 20, "failureThreshold": 5},
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "data", "mountPath": DATA},
        ],
    }
    return {
        "serviceAccountName": JAEGER_SERVICE,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": pod_security(USER),
        **system_placement(),
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": jaeger_name(name)}}],
    }


@dataclass(frozen=True, kw_only=True)
class JaegerArgs:
    """The store of traces of one region."""

    graph: Graph
    storage_class: str
    after: tuple[pulumi.Resource, ...]
    """Gates every object: the mesh, who is who, the namespace's rules, the storage class."""


class Jaeger(Component, token="zerotrust:observability:Jaeger"):
    """The store of traces, a Jaeger for each name."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: JaegerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        objects = ObservabilityManifests(
            f"{name}-objects",
            ManifestsArgs(objects=jaeger_objects(args.graph, args.storage_class), after=args.after),
            opts=self.child(),
        )
        self.ready = objects.ready
        self.register_outputs({})
