"""Network rules of Vault: its peers, its clients, its key in KMS."""

from components.cni.policies import Policy
from components.graph.model import Graph


def vault_policies(graph: Graph, region: str) -> tuple[Policy, ...]:  # noqa: ARG001
    """Nothing yet."""
    return ()
