"""Network rules of delivery: Argo CD, scanners and runners."""

from components.cni.policies import Policy
from components.graph.model import Graph


def delivery_policies(graph: Graph, region: str) -> tuple[Policy, ...]:  # noqa: ARG001
    """Nothing yet."""
    return ()
