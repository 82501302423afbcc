"""Every object of backups in a region's cluster: what the region has once, and what exists because of one tenant. Pure."""

from components.backup.databases import tenant_archives
from components.backup.velero import reader_objects, tenant_schedule
from components.graph.model import Graph
from components.manifests import Manifest


def region_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:  # noqa: ARG001 - the form of every layer
    """Velero's rights to read."""
    return reader_objects()


def tenant_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The tenant's schedule, and the archives of its databases."""
    return (tenant_schedule(graph.settings.backup.namespaces, tenant), *tenant_archives(graph, region, tenant))
