"""Traces of the gateway: whose a span is, and the exporter that writes it under that name.

Guarantees: a span is written under the tenant of the proxy that sent it, by the SPIFFE id that the proxy's certificate has, and
under nobody else's name; what has no tenant's id goes to the platform's. A store refuses what bears no name.
"""

from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import OTLP_GRPC_PORT
from components.graph.traces import PLATFORM_TRACES, trace_hosts, trace_names
from components.observability.telemetry.names import RETRY, queue

ROUTING: Final = "routing/traces"
REPORTER: Final = "zerotrust_reporter_id"
"""Attribute of a span: the SPIFFE id of the proxy that sent it. The gateway writes it, and removes what a sender wrote."""
TENANT_HEADER: Final = "X-Scope-OrgID"


def exporter_name(name: str) -> str:
    """The exporter that writes one name's traces."""
    return f"otlp_grpc/traces-{name}"


def exporters(graph: Graph) -> dict[str, Any]:
    """One for each name: the header says whose the spans are, and what a store does not take waits in the name's own queue."""
    return {
        exporter_name(name): {
            "endpoint": f"{host}:{OTLP_GRPC_PORT}",
            "headers": {TENANT_HEADER: name},
            # The proxies of both make it mutual TLS.
            "tls": {"insecure": True},
            "sending_queue": queue(),
            "retry_on_failure": dict(RETRY),
        }
        for name, host in trace_hosts(graph).items()
    }


def connector(graph: Graph, region: str) -> dict[str, Any]:
    """Each span to its tenant's pipeline, by the namespace in its reporter's id."""
    domain = graph.trust_domain(region).replace(".", "[.]")

    def row(tenant: str) -> dict[str, Any]:
        condition = f'IsMatch(attributes["{REPORTER}"], "^spiffe://{domain}/ns/{tenant}/sa/")'
        return {"context": "span", "condition": condition, "pipelines": [f"traces/{tenant}"]}

    return {
        "default_pipelines": [f"traces/{PLATFORM_TRACES}"],
        "error_mode": "ignore",
        "table": [row(tenant) for tenant in graph.tenants],
    }


def pipelines(graph: Graph) -> dict[str, Any]:
    """From the connector, a pipeline for each name."""
    return {
        f"traces/{name}": {"receivers": [ROUTING], "processors": ["batch"], "exporters": [exporter_name(name)]}
        for name in trace_names(graph)
    }
