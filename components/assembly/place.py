"""What every part of a region's cluster is told about where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.context import RegionContext
from components.graph.model import Graph
from components.tenancy.postgres import Postgres


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


def platform_database(place: ClusterPlace, namespace: str, name: str, *, storage: str, memory: str) -> Postgres:
    """A database of the platform's own: three instances of the newest pinned version, one client known by its certificate."""
    images = place.graph.settings.images.postgres
    major = max(images)
    return Postgres(
        namespace=namespace,
        name=name,
        major=major,
        image=images[major],
        instances=3,
        storage=storage,
        cpu="250m",
        memory=memory,
        login="certificate",
    )
