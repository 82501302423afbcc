"""Network rules of backups and chaos: the node agents, the stores of AWS."""

from components.cni.policies import Policy
from components.graph.model import Graph


def backup_policies(graph: Graph, region: str) -> tuple[Policy, ...]:  # noqa: ARG001
    """Nothing yet."""
    return ()
