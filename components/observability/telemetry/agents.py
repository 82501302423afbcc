"""The agents: a collector on every node that reads the pods' logs and Hubble's denied flows and redacts before anything leaves.

Guarantees: no line leaves a node as it was written; a position is kept over restarts; the log folders are mounted read-only, and
of the root user, which files of the kubelet ask for, no capability is left. Relies on: the gateway's TLS port, the pipeline's
certificate in the namespace. Traps: facts of the chart (closed schema), the collector's names of 0.158.
"""

from collections.abc import Mapping
from typing import Any, Final

from components.graph.names import SERVICE_LABEL
from components.observability.telemetry import redaction
from components.observability.telemetry.names import (
    AGENT,
    AGENT_NAMESPACE,
    BATCH,
    CERTIFICATE,
    GATEWAY_HOST,
    LIMITER,
    METRICS_PORT,
    RETRY,
    STATE_FOLDER,
    TLS_FOLDER,
    TLS_PORT,
    extensions,
    own_telemetry,
    queue,
    tls,
)
from components.observability.telemetry.ottl import put, text
from components.observability.telemetry.sources import ORIGIN, SERVICE
from components.pods import pod_resources

POD_LOGS: Final = "/var/log/pods"
FLOWS: Final = "/var/run/cilium/hubble"
FLOW_FILE: Final = "denied.log"
"""`components.cni.cilium` exports there."""
LONGEST: Final = "256KiB"
FLUSH: Final = "2s"
_CONTINUES: Final = (
    r"^(?:\s|[a-z][A-Za-z0-9_.$]*[.][A-Z][A-Za-z0-9_$]*(?:Exception|Error)\b"
    r"|Caused by:|Suppressed:|\.\.\. [0-9]+ more|-----END |Proc-Type:|DEK-Info:|\}|\)"
    r"|(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$)"
)
"""A line that belongs to the one before: of a stack trace, of a key in PEM (whole groups of Base64), of an indented object."""


def _pod_logs() -> dict[str, Any]:
    first = text(_CONTINUES)
    return {
        "include": [f"{POD_LOGS}/*/*/*.log"],
        # Its own words would come round for ever.
        "exclude": [f"{POD_LOGS}/{AGENT_NAMESPACE}_{AGENT}-*/*/*.log"],
        "start_at": "beginning",
        "include_file_path": True,
        "include_file_name": False,
        # The runtime breaks long lines anywhere; a blank lost at the break would glue two words together, and hide the second.
        "preserve_trailing_whitespaces": True,
        "max_log_size": LONGEST,
        "max_concurrent_files": 512,
        "storage": "file_storage",
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
        "operators": [
            {"type": "container", "id": "cri", "format": "containerd", "max_log_size": LONGEST},
            {
                "type": "recombine",
                "combine_field": "body",
                "combine_with": "\n",
                "is_first_entry": f"not (body matches {first})",
                "source_identifier": 'attributes["log.file.path"]',
                "max_batch_size": 1000,
                "max_log_size": LONGEST,
                "force_flush_period": FLUSH,
            },
            {"type": "remove", "field": 'attributes["log.file.path"]'},
        ],
    }


def _flows() -> dict[str, Any]:
    return {
        "include": [f"{FLOWS}/{FLOW_FILE}"],
        "start_at": "beginning",
        "include_file_name": False,
        "max_log_size": LONGEST,
        "storage": "file_storage",
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
    }


def origin(name: str) -> dict[str, Any]:
    """A `transform` processor that says where records come from, over whatever they claim."""
    statement = put(f"resource.attributes[{text(ORIGIN)}]", text(name))
    return {"error_mode": "propagate", "log_statements": [{"context": "resource", "statements": [statement]}]}


def config() -> dict[str, Any]:
    """The agent's configuration: the same on every node and in every region."""
    common = ["memory_limiter", "transform/redact"]
    return {
        "extensions": extensions(),
        "receivers": {"file_log/pods": _pod_logs(), "file_log/flows": _flows()},
        "processors": {
            "memory_limiter": dict(LIMITER),
            "transform/redact": redaction.agent_processor(),
            "transform/pods": origin("pods"),
            "transform/flows": origin("flows"),
            "k8s_attributes": {
                "auth_type": "serviceAccount",
                "filter": {"node_from_env_var": "OTEL_K8S_NODE_NAME"},
                "extract": {
                    "metadata": ["k8s.node.name"],
                    "labels": [{"tag_name": SERVICE, "key": SERVICE_LABEL, "from": "pod"}],
                },
                "pod_association": [{"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]}],
            },
            "batch": dict(BATCH),
        },
        "exporters": {
            "otlp_grpc": {
                "endpoint": f"{GATEWAY_HOST}:{TLS_PORT}",
                "tls": tls(server=GATEWAY_HOST),
                "sending_queue": queue(),
                "retry_on_failure": dict(RETRY),
            }
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "telemetry": own_telemetry("${env:MY_POD_IP}"),
            "pipelines": {
                "logs/pods": {
                    "receivers": ["file_log/pods"],
                    "processors": [*common, "transform/pods", "k8s_attributes", "batch"],
                    "exporters": ["otlp_grpc"],
                },
                "logs/flows": {
                    "receivers": ["file_log/flows"],
                    "processors": [*common, "transform/flows", "batch"],
                    "exporters": ["otlp_grpc"],
                },
            },
        },
    }


def image_values(image: str) -> dict[str, str]:
    """`image` of the chart from `<repository>@sha256:…`."""
    repository, _, digest = image.partition("@")
    return {"repository": repository, "digest": digest, "pullPolicy": "IfNotPresent"}


def closed_ports() -> dict[str, Any]:
    """No port of the chart's own but the one for metrics."""
    off = ("otlp", "otlp-http", "jaeger-compact", "jaeger-thrift", "jaeger-grpc", "zipkin")
    return {**{port: {"enabled": False} for port in off}, "metrics": {"enabled": True, "containerPort": METRICS_PORT}}


def _mount(name: str, path: str, *, read_only: bool = True) -> dict[str, Any]:
    return {"name": name, "mountPath": path, "readOnly": read_only}


def _host(name: str, path: str, kind: str) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path, "type": kind}}


def chart_values(image: str) -> Mapping[str, Any]:
    """The chart's values; its schema is closed, an unknown key fails the installation."""
    return {
        "mode": "daemonset",
        "nameOverride": AGENT,
        "fullnameOverride": AGENT,
        "image": image_values(image),
        "command": {"name": "otelcol-contrib"},
        "alternateConfig": config(),
        "ports": closed_ports(),
        "serviceAccount": {"create": True, "name": AGENT},
        "clusterRole": {
            "create": True,
            "name": AGENT,
            # Labels of its node's pods; no other object, no secret.
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
        },
        # The kubelet's log files are root's; as root without a capability it reads what root owns and no more.
        "podSecurityContext": {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "extraVolumes": [
            _host("pod-logs", POD_LOGS, "Directory"),
            _host("flows", FLOWS, "DirectoryOrCreate"),
            _host("state", f"{STATE_FOLDER}-agent", "DirectoryOrCreate"),
            {"name": "tls", "secret": {"secretName": CERTIFICATE, "defaultMode": 0o400}},
        ],
        "extraVolumeMounts": [
            _mount("pod-logs", POD_LOGS),
            _mount("flows", FLOWS),
            _mount("state", STATE_FOLDER, read_only=False),
            _mount("tls", TLS_FOLDER),
        ],
        "resources": pod_resources("100m", "256Mi", memory_limit="512Mi"),
        "priorityClassName": "system-node-critical",
        # A node without its agent would be a node without a witness.
        "tolerations": [{"operator": "Exists"}],
        "rollout": {"strategy": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "podMonitor": {"enabled": True},
        "networkPolicy": {"enabled": False},
    }
