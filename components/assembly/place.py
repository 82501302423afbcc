"""What every part of a region's cluster is told about where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.context import RegionContext
from components.graph.model import Graph


@dataclass(frozen=True, kw_only=True)
class ClusterPlace:
    """One region's cluster and the graph that is compiled into it."""

    graph: Graph
    context: RegionContext
    cluster: str
    """The EKS cluster's physical name."""
    cluster_name: pulumi.Input[str]
    """The same, known once the cluster exists."""
    cluster_arn: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]
    """KMS key of volumes."""
    ready: Sequence[pulumi.Resource]
    """Nodes, DNS, volumes and the pod identity agent."""

    @property
    def region(self) -> str:
        """The region's code."""
        return self.context.region
