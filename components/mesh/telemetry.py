"""Who called whom, in a line of JSON per request with both SPIFFE ids, and as a span: every proxy of the mesh does both.

Every span is sent, and the collector keeps a trace whole or not at all: what failed, was denied or was slow is known at its end.
"""

from typing import Any, Final

from components.graph.names import COLLECTOR, MESH_NAMESPACE, OBSERVABILITY_NAMESPACE, OTLP_GRPC_PORT, service_host
from components.manifests import Manifest
from components.mesh.kinds import istio

ACCESS_LOG_PROVIDER: Final = "spiffe-json"
TRACE_PROVIDER: Final = "collector"
COLLECTOR_HOST: Final = service_host(OBSERVABILITY_NAMESPACE, COLLECTOR)

_FIELDS: Final = {
    "time": "%START_TIME%",
    "source": "%DOWNSTREAM_PEER_URI_SAN%",
    "self": "%DOWNSTREAM_LOCAL_URI_SAN%",
    "upstream": "%UPSTREAM_PEER_URI_SAN%",
    "source_address": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "server_name": "%REQUESTED_SERVER_NAME%",
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "protocol": "%PROTOCOL%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ_WITHOUT_QUERY(:PATH)%",
    "original_path": "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH)%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace": "%REQ(TRACEPARENT)%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
}
"""Fields of a line. Paths are logged without their query, which may hold what no log should; no header of a user is. The path is
the one that rules were asked about; `original_path` is what a gateway took a prefix off, elsewhere whatever the caller
wrote. The address is the connection's own: the other operator believes `X-Forwarded-For`, which every caller may write."""


def access_log_provider() -> dict[str, Any]:
    """The access log as the mesh configuration's extension provider defines it."""
    labels = dict(sorted(_FIELDS.items()))
    return {
        "name": ACCESS_LOG_PROVIDER,
        "envoyFileAccessLog": {"path": "/dev/stdout", "logFormat": {"labels": labels}},
    }


def trace_provider() -> dict[str, Any]:
    """Where spans go, as the mesh configuration's extension provider defines it."""
    return {"name": TRACE_PROVIDER, "opentelemetry": {"service": COLLECTOR_HOST, "port": OTLP_GRPC_PORT}}


def region_telemetry() -> tuple[Manifest, ...]:
    """The mesh's one Telemetry: access log and spans on in every proxy."""
    spec = {
        "accessLogging": [{"providers": [{"name": ACCESS_LOG_PROVIDER}]}],
        "tracing": [{"providers": [{"name": TRACE_PROVIDER}], "randomSamplingPercentage": 100.0}],
    }
    return (istio("Telemetry", "access-log", MESH_NAMESPACE, spec),)
