"""Names, ports and files that agents, gateway and audit reader share."""

from typing import Final

from components.graph.names import COLLECTOR, NODE_TELEMETRY_NAMESPACE, OBSERVABILITY_NAMESPACE, service_host

AGENT: Final = "telemetry-agent"
"""Release, account and value of SERVICE_LABEL of the agents."""
READER: Final = "audit-reader"
"""Release, account and value of SERVICE_LABEL of what reads CloudWatch's log groups."""
TLS_PORT: Final = 4316
"""Of the gateway: OTLP with the pipeline's own client certificates, outside of the mesh."""
AUDIT_PORT: Final = 4319
"""Of the gateway: OTLP from the audit reader alone, whose word on a record's origin counts."""
METRICS_PORT, HEALTH_PORT = 8888, 13133
PEERS: Final = f"{COLLECTOR}-peers"
"""Headless Service by which gateways find each other: a trace's spans are judged together by one of them."""
ISSUER: Final = "telemetry"
"""ClusterIssuer of the pipeline's certificates; cert-manager must be told to sign for it."""
CERTIFICATE: Final = "telemetry-tls"
"""Secret of a namespace's certificate."""
TLS_FOLDER, STATE_FOLDER = "/run/telemetry/tls", "/var/lib/telemetry"
TOKEN_FOLDER: Final = "/vault/secrets"  # noqa: S105
"""Where Vault's agent writes a sink's token, `siem-<sink>`."""
PLATFORM_LOGS, AUDIT_LOGS = "platform", "audit"
"""Loki's tenants beside the platform's own: what belongs to no tenant, and the audit stream."""
GATEWAY_HOST: Final = service_host(OBSERVABILITY_NAMESPACE, COLLECTOR)
PEERS_HOST: Final = service_host(OBSERVABILITY_NAMESPACE, PEERS)
AGENT_NAMESPACE: Final = NODE_TELEMETRY_NAMESPACE


def tls(*, server: str | None = None) -> dict[str, object]:
    """TLS 1.3 with the pipeline's certificate on both ends; files are read again when cert-manager renews them.

    Args:
        server: The name that the server's certificate must have; None for the server itself, which asks clients for theirs.
    """
    own: dict[str, object] = {
        "cert_file": f"{TLS_FOLDER}/tls.crt",
        "key_file": f"{TLS_FOLDER}/tls.key",
        "min_version": "1.3",
        "reload_interval": "10m",
    }
    authority = f"{TLS_FOLDER}/ca.crt"
    if server is None:
        return {**own, "client_ca_file": authority, "client_ca_file_reload": True}
    return {**own, "ca_file": authority, "server_name_override": server}


def own_telemetry(host: str = "127.0.0.1") -> dict[str, object]:
    """The collector's own log and metrics; the latter for Prometheus alone.

    Left to itself the collector leaves `_total` off its counters as soon as a reader is configured, and every alert about them
    would be silent for ever: the names' form is said here, and a test scrapes them.

    Args:
        host: Where metrics are served: in the mesh on loopback, where the agent beside the proxy asks (Istio 1.30,
            pilot-agent/status/server.go: `localhost`, never the pod's address); outside of it by the pod's address.
    """
    named = {"without_type_suffix": False, "without_units": False, "without_scope_info": True}
    reader = {"pull": {"exporter": {"prometheus": {"host": host, "port": METRICS_PORT, **named}}}}
    return {"logs": {"level": "warn", "encoding": "json"}, "metrics": {"level": "normal", "readers": [reader]}}


def queue(size: int = 5000) -> dict[str, object]:
    """A sending queue on disk: what the other side does not take waits, also over a restart."""
    return {"enabled": True, "storage": "file_storage", "queue_size": size, "num_consumers": 4}


RETRY: Final = {"enabled": True, "initial_interval": "5s", "max_interval": "1m", "max_elapsed_time": "0s"}
"""For ever: the queue's size is the limit, and an alert tells before it is reached."""
LIMITER: Final = {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20}
BATCH: Final = {"timeout": "2s", "send_batch_size": 2048, "send_batch_max_size": 4096}


def extensions() -> dict[str, object]:
    """Health, and the files that queues and read positions are kept in."""
    return {
        "health_check": {"endpoint": f"${{env:MY_POD_IP}}:{HEALTH_PORT}"},
        "file_storage": {"directory": STATE_FOLDER, "create_directory": True, "fsync": True},
    }
