"""Where traces are kept: the store that the settings choose, and the names that it keeps them under.

A span belongs to the tenant whose proxy sent it, and otherwise to the platform: gateways, the rate limiter, the token issuer. A
trace that crosses tenants has the same id under each of their names, and each name holds its own tenant's spans alone.
"""

from collections.abc import Mapping
from typing import Final

from components.graph.model import Graph
from components.graph.names import JAEGER_SERVICE, OBSERVABILITY_NAMESPACE, TEMPO_SERVICE, service_host

PLATFORM_TRACES: Final = "platform"
TEMPO_PORT: Final = 3200
JAEGER_PORT: Final = 16686
"""Where the stores are asked."""


def by_jaeger(graph: Graph) -> bool:
    """Whether Jaeger keeps the traces, and not Tempo."""
    return graph.settings.observability.traces.store == "jaeger"


def trace_names(graph: Graph) -> tuple[str, ...]:
    """The names that traces are kept under, sorted."""
    return tuple(sorted({*graph.tenants, PLATFORM_TRACES}))


def trace_store(graph: Graph) -> str:
    """Service account, and value of SERVICE_LABEL, of the store's pods in the observability namespace."""
    return JAEGER_SERVICE if by_jaeger(graph) else TEMPO_SERVICE


def trace_port(graph: Graph) -> int:
    """Where the store is asked."""
    return JAEGER_PORT if by_jaeger(graph) else TEMPO_PORT


def jaeger_name(name: str) -> str:
    """Service and StatefulSet of the Jaeger that keeps one name's traces."""
    return f"{JAEGER_SERVICE}-{name}"


def trace_hosts(graph: Graph) -> Mapping[str, str]:
    """The host that keeps each name's traces: one Tempo for all of them, or a Jaeger for each."""
    services = {name: jaeger_name(name) if by_jaeger(graph) else TEMPO_SERVICE for name in trace_names(graph)}
    return {name: service_host(OBSERVABILITY_NAMESPACE, service) for name, service in services.items()}
