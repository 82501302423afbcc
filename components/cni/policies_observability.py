"""Network rules of metrics, logs and traces: who scrapes, who sends, who stores."""

from components.cni.policies import Policy
from components.graph.model import Graph


def observability_policies(graph: Graph, region: str) -> tuple[Policy, ...]:  # noqa: ARG001
    """Nothing yet."""
    return ()
