"""The gateway: every redacted line and every span passes it, is redacted once more, gets its identity, and goes to its store.

Guarantees: logs of a tenant go to Loki under that tenant alone, by the namespace the API server put the pod in, spans by the id
of the proxy that sent them (`traces`); audit records go to Loki's `audit` and to every sink; a trace is kept whole or not at
all, and always when a part of it failed, was denied or was slow. What a store or sink does not take waits on disk. Relies on: the
mesh for whoever writes at the OTLP ports, the pipeline's own certificates at the TLS port.
"""

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from components.graph.model import Graph
from components.graph.names import (
    LOKI_PORT,
    LOKI_SERVICE,
    OBSERVABILITY_NAMESPACE,
    OTLP_GRPC_PORT,
    OTLP_HTTP_PORT,
    SECURITY_NAMESPACE,
    service_host,
)
from components.observability.telemetry import redaction, schema, sinks, traces
from components.observability.telemetry.agents import origin
from components.observability.telemetry.names import (
    AUDIT_LOGS,
    AUDIT_PORT,
    BATCH,
    GATEWAY_HOST,
    LIMITER,
    PEERS_HOST,
    PLATFORM_LOGS,
    RETRY,
    TLS_PORT,
    extensions,
    own_telemetry,
    queue,
    tls,
)
from components.observability.telemetry.ottl import put, text
from components.observability.telemetry.sources import DATASET, TENANT

SLOW_MS: Final = 1000
DECISION_WAIT: Final = "10s"
HERE: Final = "${env:MY_POD_IP}"
REPORTER: Final = r"(?s)^.*URI=(?P<zerotrust_reporter_id>spiffe://[^;,\"\s]+)"


def log_tenants(graph: Graph) -> tuple[str, ...]:
    """Loki's tenants: the platform's own tenants, the platform, the audit stream."""
    return (*graph.tenants, PLATFORM_LOGS, AUDIT_LOGS)


def _loki(tenant: str) -> dict[str, Any]:
    return {
        "endpoint": f"http://{service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE)}:{LOKI_PORT}/otlp",
        "headers": {"X-Scope-OrgID": tenant},
        "compression": "gzip",
        "sending_queue": queue(),
        "retry_on_failure": dict(RETRY),
    }


def _sampling(percent: int) -> dict[str, Any]:
    """Denials by Istio's own words: a 401 or 403, or a response flag, which only a request that did not end well has."""
    return {
        "decision_wait": DECISION_WAIT,
        "num_traces": 50000,
        "policies": [
            {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
            {
                "name": "denials",
                "type": "string_attribute",
                "string_attribute": {"key": "http.status_code", "values": ["401", "403", "429"]},
            },
            {
                "name": "denials-numbered",
                "type": "numeric_attribute",
                "numeric_attribute": {"key": "http.response.status_code", "min_value": 401, "max_value": 403},
            },
            {
                "name": "flags",
                "type": "string_attribute",
                "string_attribute": {"key": "response_flags", "values": ["^[A-Z]{2,}"], "enabled_regex_matching": True},
            },
            {"name": "slow", "type": "latency", "latency": {"threshold_ms": SLOW_MS}},
            {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": percent}},
        ],
    }


def _receivers() -> dict[str, Any]:
    return {
        "otlp/tls": {"protocols": {"grpc": {"endpoint": f"{HERE}:{TLS_PORT}", "tls": tls()}}},
        "otlp/mesh": {"protocols": {"grpc": {"endpoint": f"{HERE}:{OTLP_GRPC_PORT}", "include_metadata": True}}},
        "otlp/events": {"protocols": {"http": {"endpoint": f"{HERE}:{OTLP_HTTP_PORT}"}}},
        "otlp/audit": {"protocols": {"grpc": {"endpoint": f"{HERE}:{AUDIT_PORT}"}}},
    }


def _processors(graph: Graph, region: str) -> dict[str, Any]:
    service = put('resource.attributes["service.name"]', text(AUDIT_LOGS))
    return {
        "memory_limiter": dict(LIMITER),
        "transform/redact": redaction.gateway_processor(),
        "transform/events": origin(SECURITY_NAMESPACE),
        "transform/schema": schema.processor(graph, region),
        "transform/audit": {"error_mode": "ignore", "log_statements": [{"context": "resource", "statements": [service]}]},
        # Whose proxy sent a span, by the certificate that it showed to the gateway's own: the last of the header, what stands
        # before it the sender wrote itself.
        "attributes/reporter": {
            "actions": [
                {"key": "zerotrust.reporter", "action": "delete"},
                {"key": "zerotrust_reporter_id", "action": "delete"},
                {"key": "zerotrust.reporter", "action": "insert", "from_context": "metadata.x-forwarded-client-cert"},
                {"key": "zerotrust.reporter", "action": "extract", "pattern": REPORTER},
                {"key": "zerotrust.reporter", "action": "delete"},
            ]
        },
        "tail_sampling": _sampling(graph.settings.siem.trace_sample_percent),
        "batch": dict(BATCH),
    }


def _pipelines(graph: Graph) -> dict[str, Any]:
    def logs(receiver: str, *more: str) -> dict[str, Any]:
        return {
            "receivers": [receiver],
            "processors": ["memory_limiter", "transform/redact", *more, "transform/schema"],
            "exporters": ["routing/tenant", "routing/audit"],
        }

    settings = graph.settings.siem
    outlets = [sinks.exporter_name(name, sink) for name, sink in sorted(settings.sinks.items())]
    return {
        "logs/agents": logs("otlp/tls"),
        "logs/events": logs("otlp/events", "transform/events"),
        "logs/read": logs("otlp/audit"),
        "logs/audit": {
            "receivers": ["routing/audit"],
            "processors": ["transform/audit", "batch"],
            "exporters": [f"otlp_http/loki-{AUDIT_LOGS}", *outlets],
        },
        **{
            f"logs/{tenant}": {
                "receivers": ["routing/tenant"],
                "processors": ["batch"],
                "exporters": [f"otlp_http/loki-{tenant}"],
            }
            for tenant in (*graph.tenants, PLATFORM_LOGS)
        },
        "traces/in": {
            "receivers": ["otlp/mesh"],
            "processors": ["memory_limiter", "attributes/reporter", "transform/redact"],
            "exporters": ["load_balancing"],
        },
        "traces/kept": {
            "receivers": ["otlp/tls"],
            "processors": ["memory_limiter", "tail_sampling"],
            "exporters": [traces.ROUTING],
        },
        **traces.pipelines(graph),
    }


def _connectors(graph: Graph, region: str) -> dict[str, Any]:
    def row(context: str, condition: str, pipeline: str) -> dict[str, Any]:
        return {"context": context, "condition": condition, "pipelines": [pipeline]}

    return {
        "routing/tenant": {
            "default_pipelines": [f"logs/{PLATFORM_LOGS}"],
            "error_mode": "ignore",
            "table": [row("resource", f'attributes["{TENANT}"] == "{tenant}"', f"logs/{tenant}") for tenant in graph.tenants],
        },
        "routing/audit": {
            "error_mode": "ignore",
            "table": [row("log", f'attributes["{DATASET}"] != nil', "logs/audit")],
        },
        traces.ROUTING: traces.connector(graph, region),
    }


def config(graph: Graph, region: str, places: Mapping[str, pulumi.Input[str]] | None = None) -> dict[str, Any]:
    """The gateway's configuration.

    Args:
        graph: The access graph.
        region: The region's code.
        places: By sink, the bucket or stream that it writes to.
    """
    settings = graph.settings.siem
    authenticators = sinks.authenticators(settings, region)
    return {
        "extensions": {**extensions(), **authenticators},
        "receivers": _receivers(),
        "processors": _processors(graph, region),
        "connectors": _connectors(graph, region),
        "exporters": {
            **{f"otlp_http/loki-{tenant}": _loki(tenant) for tenant in log_tenants(graph)},
            **sinks.exporters(settings, region, places or {}),
            **traces.exporters(graph),
            "load_balancing": {
                "routing_key": "traceID",
                "protocol": {"otlp": {"tls": tls(server=GATEWAY_HOST)}},
                "resolver": {"dns": {"hostname": PEERS_HOST, "port": str(TLS_PORT)}},
            },
        },
        "service": {
            "extensions": ["health_check", "file_storage", *authenticators],
            "telemetry": own_telemetry(),
            "pipelines": _pipelines(graph),
        },
    }
