"""The gateway and the audit reader as releases of the collector's chart, and the reader's configuration.

The reader is one pod: two would read each log group twice. It alone may read CloudWatch, and writes to nobody but the gateway.
Both keep queues and read positions on a volume of their own, so a restart loses nothing. Relies on: the mesh, a storage class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi

from components.graph.model import Graph
from components.graph.names import COLLECTOR, SERVICE_LABEL, VAULT_PORT
from components.observability.stores import proxy_annotations
from components.observability.telemetry import gateway
from components.observability.telemetry.agents import closed_ports, image_values
from components.observability.telemetry.names import (
    AUDIT_PORT,
    BATCH,
    CERTIFICATE,
    GATEWAY_HOST,
    LIMITER,
    METRICS_PORT,
    READER,
    RETRY,
    STATE_FOLDER,
    TLS_FOLDER,
    TLS_PORT,
    extensions,
    own_telemetry,
    queue,
)
from components.observability.telemetry.ottl import every, key, put, text
from components.observability.telemetry.sources import ORIGIN
from components.pods import SECRET_MODE, pod_resources, pod_security, system_placement

REPLICAS: Final = 3
USER: Final = 10001
"""The collector image's own, which is not root."""
API_PORT: Final = 443


@dataclass(frozen=True, kw_only=True)
class TokenDelivery:
    """What brings the sinks' tokens into the gateway's pods: an agent that writes them into TOKEN_FOLDER."""

    init_containers: Sequence[Mapping[str, Any]] = ()
    volumes: Sequence[Mapping[str, Any]] = ()
    volume_mounts: Sequence[Mapping[str, Any]] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def log_groups(graph: Graph, region: str, cluster: str, trail: str) -> dict[str, str]:
    """The log groups that are read, by the origin their records get.

    Args:
        graph: The access graph.
        region: The region's code.
        cluster: The EKS cluster's physical name.
        trail: The trail's log group, in the home region.
    """
    settings = graph.settings.siem
    groups = {}
    if settings.read_cluster_audit:
        groups["kubernetes-audit"] = f"/aws/eks/{cluster}/cluster"
    if settings.read_cloud_trail and region == graph.settings.home_region:
        groups["cloudtrail"] = trail
    return groups


def reader_policy(groups: Mapping[str, str], *, region: str, account: str) -> dict[str, Any]:
    """Reading these log groups and no other; describing them has no finer resource than the group."""
    arns = [f"arn:aws:logs:{region}:{account}:log-group:{group}" for _, group in sorted(groups.items())]
    statement = {
        "Sid": "ReadAuditLogs",
        "Effect": "Allow",
        "Action": ["logs:DescribeLogStreams", "logs:FilterLogEvents"],
        "Resource": [*arns, *(f"{arn}:*" for arn in arns)],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def reader_config(groups: Mapping[str, str], region: str) -> dict[str, Any]:
    """The reader's configuration: of the cluster's group the audit streams alone, of the trail's all."""
    named = {
        group: {"prefixes": ["kube-apiserver-audit"]} if origin == "kubernetes-audit" else {}
        for origin, group in sorted(groups.items())
    }
    origin_of = [
        put(
            key("resource.attributes", ORIGIN),
            text(origin),
            where=every(f'resource.attributes["cloudwatch.log.group.name"] == {text(group)}'),
        )
        for origin, group in sorted(groups.items())
    ]
    return {
        "extensions": extensions(),
        "receivers": {
            "awscloudwatch": {
                "region": region,
                "storage": "file_storage",
                "logs": {"poll_interval": "1m", "max_events_per_request": 5000, "groups": {"named": named}},
            }
        },
        "processors": {
            "memory_limiter": dict(LIMITER),
            "transform/origin": {
                "error_mode": "ignore",
                "log_statements": [{"context": "resource", "statements": origin_of}],
            },
            "batch": dict(BATCH),
        },
        "exporters": {
            "otlp_grpc": {
                "endpoint": f"{GATEWAY_HOST}:{AUDIT_PORT}",
                # The proxies of both make it mutual TLS.
                "tls": {"insecure": True},
                "sending_queue": queue(),
                "retry_on_failure": dict(RETRY),
            }
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "telemetry": own_telemetry(),
            "pipelines": {
                "logs": {
                    "receivers": ["awscloudwatch"],
                    "processors": ["memory_limiter", "transform/origin", "batch"],
                    "exporters": ["otlp_grpc"],
                }
            },
        },
    }


def _release(
    name: str,
    image: str,
    config: Mapping[str, Any],
    *,
    replicas: int,
    storage: str,
    plain: tuple[int, ...],
    plain_out: tuple[int, ...] = (),
) -> dict[str, Any]:
    claim = {
        "metadata": {"name": "state"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}},
    }
    labels = {SERVICE_LABEL: name}
    return {
        "mode": "statefulset",
        "nameOverride": name,
        "fullnameOverride": name,
        "image": image_values(image),
        "command": {"name": "otelcol-contrib"},
        "replicaCount": replicas,
        "alternateConfig": config,
        "ports": closed_ports(),
        "serviceAccount": {"create": True, "name": name, "automountServiceAccountToken": False},
        "podAnnotations": proxy_annotations(
            metrics_port=METRICS_PORT, plain_out=(*plain, *plain_out, API_PORT), plain_in=plain, agent=True
        ),
        "podSecurityContext": pod_security(USER),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "statefulset": {"podManagementPolicy": "Parallel", "volumeClaimTemplates": [claim]},
        "extraVolumeMounts": [{"name": "state", "mountPath": STATE_FOLDER}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",  # its volume has already chosen the zone
                "labelSelector": {"matchLabels": labels},
            }
        ],
        "networkPolicy": {"enabled": False},
        **system_placement(),
    }


def gateway_values(
    graph: Graph,
    region: str,
    image: str,
    places: Mapping[str, pulumi.Input[str]] | None = None,
    delivery: TokenDelivery | None = None,
) -> dict[str, Any]:
    """The gateway's values; the Service is an object of ours, with ports by name for the mesh (`objects`).

    Raises:
        ValueError: for a sink whose token nobody delivers.
    """
    if graph.settings.siem.tokens and delivery is None:
        msg = f"siem: {', '.join(graph.settings.siem.tokens)} need a token, and nothing delivers it to the collector"
        raise ValueError(msg)
    brought = delivery or TokenDelivery()
    storage = f"{graph.settings.siem.queue_storage_gib}Gi"
    config = gateway.config(graph, region, places)
    # The agent's own TLS to Vault, which is in no mesh.
    past = (VAULT_PORT,) if delivery else ()
    values = _release(COLLECTOR, image, config, replicas=REPLICAS, storage=storage, plain=(TLS_PORT,), plain_out=past)
    return {
        **values,
        "service": {"enabled": False},
        "podAnnotations": {**values["podAnnotations"], **brought.annotations},
        **({"initContainers": list(map(dict, brought.init_containers))} if brought.init_containers else {}),
        "extraVolumes": [
            {"name": "tls", "secret": {"secretName": CERTIFICATE, "defaultMode": SECRET_MODE}},
            *map(dict, brought.volumes),
        ],
        "extraVolumeMounts": [
            *values["extraVolumeMounts"],
            {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
            *map(dict, brought.volume_mounts),
        ],
        "resources": pod_resources("250m", "1Gi", memory_limit="2Gi"),
        "podDisruptionBudget": {"enabled": True, "minAvailable": REPLICAS - 1},
    }


def reader_values(image: str, groups: Mapping[str, str], region: str) -> dict[str, Any]:
    """The reader's values."""
    values = _release(READER, image, reader_config(groups, region), replicas=1, storage="1Gi", plain=())
    return {
        **values,
        "service": {"enabled": False},
        "resources": pod_resources("50m", "256Mi", memory_limit="512Mi"),
    }
