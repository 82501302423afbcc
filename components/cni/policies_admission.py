"""Network rules of Gatekeeper and Kyverno: the API server's webhooks."""

from components.cni.policies import Policy
from components.graph.model import Graph


def admission_policies(graph: Graph, region: str) -> tuple[Policy, ...]:  # noqa: ARG001
    """Nothing yet."""
    return ()
