"""Loki: every log, in the region's bucket, under the name of whose it is.

Guarantees: no request without a tenant's name is answered; each tenant has limits and a retention of its own, compiled from the
settings; the index and what is not yet in the bucket lie on encrypted volumes, three times. The configuration is this module's
as a whole: the chart hands the text on as it is, so that what the real binary accepts in the tests is what runs. Relies on: the
bucket, its role, a namespace of the mesh.

One program in three instances, not eleven in thirty: at a bank's volume of logs the parts scale together, and each instance
may fail. There is no gateway in front; the mesh says who may write and who may read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml

from components.base import Component
from components.graph.model import Graph
from components.graph.names import LOKI_PORT, LOKI_SERVICE, OBSERVABILITY_NAMESPACE, SERVICE_LABEL, service_host
from components.helm import install
from components.observability.log_rules import volume
from components.observability.stores import proxy_annotations, telemetry_tenants
from components.pods import pod_resources, spread_over_zones, system_placement
from components.settings.observability import TenantLogSettings

INSTANCES: Final = 3
GRPC_PORT, MEMBER_PORT = 9095, 7946
DATA: Final = "/var/loki"
RUNTIME_FILE: Final = "/etc/loki/runtime-config/runtime-config.yaml"
RULES: Final = "/etc/loki/rules"
SCHEMA: Final[Mapping[str, Any]] = {
    "configs": [
        {
            "from": "2026-01-01",
            "store": "tsdb",
            "object_store": "s3",
            "schema": "v13",  # what structured metadata asks for
            "index": {"prefix": "index_", "period": "24h"},
        }
    ]
}
INDEXED: Final = ("k8s.namespace.name", "k8s.deployment.name", "k8s.container.name", "service.name", "zerotrust.log")
"""Resource attributes that become labels; every other stays with its line as structured metadata."""
UNNAMED: Final = TenantLogSettings()


def _limits(settings: TenantLogSettings) -> dict[str, Any]:
    return {
        "retention_period": f"{settings.retention_days * 24}h",
        "ingestion_rate_mb": settings.mebibytes_per_second,
        "ingestion_burst_size_mb": 2 * settings.mebibytes_per_second,
        "max_global_streams_per_user": settings.streams,
    }


def runtime_config(graph: Graph) -> dict[str, Any]:
    """Limits of each name that logs are kept under; read again while Loki runs."""
    named = graph.settings.observability.logs.tenants
    return {"overrides": {tenant: _limits(named.get(tenant, UNNAMED)) for tenant in telemetry_tenants(graph)}}


def loki_config(*, region: str, bucket: str) -> dict[str, Any]:
    """Loki's whole configuration."""
    own = service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE)
    members = service_host(OBSERVABILITY_NAMESPACE, f"{LOKI_SERVICE}-memberlist")
    instances = service_host(OBSERVABILITY_NAMESPACE, "alertmanager-operated")
    alertmanagers = [f"http://alertmanager-monitoring-alertmanager-{number}.{instances}:9093" for number in range(3)]
    return {
        "auth_enabled": True,
        "server": {
            "http_listen_port": LOKI_PORT,
            "grpc_listen_port": GRPC_PORT,
            "grpc_server_max_recv_msg_size": 32 * 1024 * 1024,
            "grpc_server_max_send_msg_size": 32 * 1024 * 1024,
            "log_format": "json",
        },
        "common": {
            "path_prefix": DATA,
            "replication_factor": INSTANCES,
            "ring": {"kvstore": {"store": "memberlist"}},
            "compactor_grpc_address": f"{own}:{GRPC_PORT}",
            "storage": {"s3": {"bucketnames": bucket, "region": region, "s3forcepathstyle": False}},
        },
        "memberlist": {"cluster_label": LOKI_SERVICE, "join_members": [f"{members}:{MEMBER_PORT}"]},
        "schema_config": dict(SCHEMA),
        "runtime_config": {"file": RUNTIME_FILE, "period": "30s"},
        "limits_config": {
            **_limits(UNNAMED),
            "allow_structured_metadata": True,
            "otlp_config": {
                "resource_attributes": {
                    "ignore_defaults": True,
                    "attributes_config": [{"action": "index_label", "attributes": list(INDEXED)}],
                }
            },
            "reject_old_samples": True,
            "reject_old_samples_max_age": "168h",
            "max_line_size": "256KB",
            "max_line_size_truncate": False,
            "max_query_series": 5000,
            "query_timeout": "2m",
            "split_queries_by_interval": "1h",
            "volume_enabled": True,
        },
        "ingester": {"chunk_encoding": "snappy", "wal": {"dir": f"{DATA}/wal", "flush_on_shutdown": True}},
        "compactor": {
            "working_directory": f"{DATA}/compactor",
            "retention_enabled": True,
            "delete_request_store": "s3",
            "compaction_interval": "10m",
        },
        "ruler": {
            "storage": {"type": "local", "local": {"directory": RULES}},
            "rule_path": f"{DATA}/rules",
            "alertmanager_url": ",".join(alertmanagers),
            "enable_alertmanager_v2": True,
            "enable_api": False,
            "ring": {"kvstore": {"store": "memberlist"}},
        },
        "analytics": {"reporting_enabled": False},
    }


def _text(region: str, bucket: pulumi.Input[str]) -> pulumi.Input[str]:
    """The configuration as the chart takes it; at once where the bucket's name is plain."""

    def text(name: str) -> str:
        return yaml.safe_dump(loki_config(region=region, bucket=name), sort_keys=True)

    return text(bucket) if isinstance(bucket, str) else pulumi.Output.all(bucket).apply(lambda named: text(named[0]))


def chart_values(graph: Graph, *, region: str, bucket: pulumi.Input[str], storage_class: str) -> dict[str, Any]:
    """The chart's values. Beside the configuration it asks for parts of it once more, to check them at rendering."""
    settings = graph.settings.observability.logs
    rules, mounted = volume(RULES)
    off = ("chunksCache", "gateway", "lokiCanary", "resultsCache", "ruler", "test")
    parts = ("backend", "read", "write")
    return {
        "deploymentMode": "Monolithic",
        "fullnameOverride": LOKI_SERVICE,
        "loki": {
            "config": _text(region, bucket),
            "auth_enabled": True,
            "commonConfig": {"replication_factor": INSTANCES},
            "schemaConfig": dict(SCHEMA),
            "storage": {"type": "s3", "bucketNames": {"chunks": bucket, "ruler": bucket}, "s3": {"region": region}},
            "runtimeConfig": runtime_config(graph),
            "podLabels": {SERVICE_LABEL: LOKI_SERVICE},
        },
        **{name: {"enabled": False} for name in off},
        **{name: {"replicas": 0} for name in parts},
        "sidecar": {"rules": {"enabled": False}},
        "monitoring": {"serviceMonitor": {"enabled": False}},  # at their proxies
        "serviceAccount": {"create": True, "name": LOKI_SERVICE, "automountServiceAccountToken": False},
        "rbac": {"namespaced": True},
        "singleBinary": {
            "replicas": INSTANCES,
            "sidecar": False,
            "podAnnotations": proxy_annotations(
                metrics_port=LOKI_PORT,
                plain_out=(443, MEMBER_PORT, 9093, GRPC_PORT),
                plain_in=(MEMBER_PORT, GRPC_PORT),
                agent=True,
            ),
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
            "topologySpreadConstraints": spread_over_zones(
                {SERVICE_LABEL: LOKI_SERVICE, "app.kubernetes.io/component": "single-binary"}
            ),
            "resources": pod_resources("200m", "1Gi", memory_limit="2Gi"),
            "extraVolumes": [rules],
            "extraVolumeMounts": [mounted],
            "terminationGracePeriodSeconds": 300,  # what is in memory goes to the bucket first
            "persistence": {
                "enabled": True,
                "size": settings.cache,
                "storageClass": storage_class,
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
            **system_placement(),
        },
    }


@dataclass(frozen=True, kw_only=True)
class LokiArgs:
    """The store of logs of one region."""

    graph: Graph
    region: str
    bucket: pulumi.Input[str]
    storage_class: str
    after: tuple[pulumi.Resource, ...]
    """Gates the release: the role, the mesh, who is who, the namespace's rules."""


class Loki(Component, token="zerotrust:observability:Loki"):
    """The store of logs."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: LokiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)

        release = install(
            f"{name}-release",
            "loki",
            namespace=OBSERVABILITY_NAMESPACE,
            values=chart_values(args.graph, region=args.region, bucket=args.bucket, storage_class=args.storage_class),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
