"""Tempo: every trace, in the region's bucket, under the name of whose it is.

Guarantees: no request without a tenant's name is answered; a tenant's spans have a rate of their own. One instance of the single
program: in parts Tempo needs a Kafka since its third version, and what a single one has not yet written survives on its volume.
While it restarts no trace is read, and the collectors keep what they could not send. The configuration is this module's as a
whole. Relies on: the bucket, its role, a namespace of the mesh.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml

from components.base import Component
from components.graph.model import Graph
from components.graph.names import OBSERVABILITY_NAMESPACE, OTLP_GRPC_PORT, SERVICE_LABEL, TEMPO_SERVICE
from components.graph.traces import TEMPO_PORT
from components.helm import install
from components.observability.stores import proxy_annotations
from components.pods import pod_resources, system_placement
from components.settings.observability import TraceSettings

DATA: Final = "/var/tempo"
SPAN_BYTES_PER_SECOND: Final = 8 * 1024 * 1024
BYTES_PER_TRACE: Final = 8 * 1024 * 1024


def tempo_config(settings: TraceSettings, *, region: str, bucket: str) -> dict[str, Any]:
    """Tempo's whole configuration. Source: the configuration reference of Tempo 2.10."""
    return {
        "multitenancy_enabled": True,
        "usage_report": {"reporting_enabled": False},
        "server": {"http_listen_port": TEMPO_PORT, "log_format": "json"},
        "distributor": {"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"0.0.0.0:{OTLP_GRPC_PORT}"}}}}},
        "ingester": {"max_block_duration": "30m", "complete_block_timeout": "15m"},
        "compactor": {"compaction": {"block_retention": f"{settings.retention_days * 24}h"}},
        "storage": {
            "trace": {
                "backend": "s3",
                "s3": {"bucket": bucket, "endpoint": f"s3.{region}.amazonaws.com", "region": region},
                "wal": {"path": f"{DATA}/wal"},
            }
        },
        "overrides": {
            "defaults": {
                "ingestion": {"rate_limit_bytes": SPAN_BYTES_PER_SECOND, "burst_size_bytes": 2 * SPAN_BYTES_PER_SECOND},
                "global": {"max_bytes_per_trace": BYTES_PER_TRACE},
            }
        },
    }


def _text(settings: TraceSettings, region: str, bucket: pulumi.Input[str]) -> pulumi.Input[str]:
    """The configuration as the chart takes it; at once where the bucket's name is plain."""

    def text(name: str) -> str:
        return yaml.safe_dump(tempo_config(settings, region=region, bucket=name), sort_keys=True)

    return text(bucket) if isinstance(bucket, str) else pulumi.Output.all(bucket).apply(lambda named: text(named[0]))


def chart_values(settings: TraceSettings, *, region: str, bucket: pulumi.Input[str], storage_class: str) -> dict[str, Any]:
    """The chart's values; `config` replaces the chart's template of the file."""
    hardened = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    return {
        "fullnameOverride": TEMPO_SERVICE,
        "replicas": 1,
        "config": _text(settings, region, bucket),
        "tempo": {
            "multitenancyEnabled": True,
            "reportingEnabled": False,
            "retention": f"{settings.retention_days * 24}h",
            "securityContext": hardened,
            "resources": pod_resources("200m", "1Gi", memory_limit="2Gi"),
        },
        "tempoQuery": {"enabled": False},
        "podAnnotations": proxy_annotations(metrics_port=TEMPO_PORT, plain_out=(443,), agent=True),
        "podLabels": {SERVICE_LABEL: TEMPO_SERVICE},
        "serviceAccount": {"create": True, "name": TEMPO_SERVICE, "automountServiceAccountToken": False},
        "serviceMonitor": {"enabled": False},  # at its proxy
        "securityContext": {
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "persistence": {"enabled": True, "size": settings.cache, "storageClassName": storage_class},
        **system_placement(),
    }


@dataclass(frozen=True, kw_only=True)
class TempoArgs:
    """The store of traces of one region."""

    graph: Graph
    region: str
    bucket: pulumi.Input[str]
    storage_class: str
    after: tuple[pulumi.Resource, ...]
    """Gates the release: the role, the mesh, who is who, the namespace's rules."""


class Tempo(Component, token="zerotrust:observability:Tempo"):
    """The store of traces."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: TempoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        settings = args.graph.settings.observability.traces

        release = install(
            f"{name}-release",
            "tempo",
            namespace=OBSERVABILITY_NAMESPACE,
            values=chart_values(settings, region=args.region, bucket=args.bucket, storage_class=args.storage_class),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
