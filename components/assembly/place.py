"""What every part of a region's cluster is told about where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.context import RegionContext
from components.graph.model import Graph
from components.tenancy.postgres import Archive, Postgres


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket that stands with its policy."""

    name: pulumi.Input[str]
    arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """Where a region's cluster writes what must outlive it."""

    backups: Bucket
    """Locked against removal. Prefixes: `velero/`, `databases/<namespace>/`, `vault/`; encrypted with the region's backup key."""
    logs: Bucket
    """Loki's chunks and rules; encrypted with the region's logs key."""
    traces: Bucket
    """Tempo's blocks, where Tempo keeps the traces; encrypted with the region's logs key."""


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
    logs_key_arn: pulumi.Input[str]
    """KMS key of logs, metrics and traces."""
    backup_key_arn: pulumi.Input[str]
    """KMS key of backups."""
    vault_key_arn: pulumi.Input[str]
    """KMS key that unseals Vault."""
    oidc_provider_arn: pulumi.Input[str]
    oidc_issuer: pulumi.Input[str]
    """`https://…`, the cluster's own issuer: for the one service account that needs IRSA."""
    buckets: Buckets
    ready: Sequence[pulumi.Resource]
    """Nodes, DNS, volumes and the pod identity agent."""

    @property
    def region(self) -> str:
        """The region's code."""
        return self.context.region


def platform_database(place: ClusterPlace, namespace: str, name: str, *, storage: str, memory: str) -> Postgres:
    """A database of the platform's own, of the newest pinned version: an instance in each zone, one client with a certificate."""
    images = place.graph.settings.images.postgres
    major = max(images)
    return Postgres(
        namespace=namespace,
        name=name,
        major=major,
        image=images[major],
        instances=place.graph.settings.cluster.pods(3),
        storage=storage,
        cpu="250m",
        memory=memory,
        login="certificate",
        archive=Archive(timeout_seconds=place.graph.settings.backup.databases.archive_timeout_seconds),
    )
