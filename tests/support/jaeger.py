"""A shipped stack whose traces Jaeger keeps."""

from typing import Any

from components.graph.model import Graph
from tests.support.program import changed
from tests.unit.test_network_policies import graph_of

IMAGE = f"444455556666.dkr.ecr.eu-central-1.amazonaws.com/platform/jaeger@sha256:{'5' * 64}"


def jaeger_settings(stack: str = "prod") -> dict[str, Any]:
    """The stack's settings with Jaeger in Tempo's place."""
    data = changed(stack)
    data["observability"] = {
        **data.get("observability", {}),
        "traces": {"store": "jaeger", "retention_days": 7, "volume": "100Gi"},
    }
    data["images"]["jaeger"] = IMAGE
    return data


def jaeger_graph(stack: str = "prod") -> Graph:
    """Its access graph."""
    return graph_of(jaeger_settings(stack))
