"""The access graph as the mesh's objects: what exists because of one tenant, and what a region has once. Pure.

An edge has objects of its own on each side, named by its key; adding or deleting it adds or deletes those and changes no other
edge's. Two kinds sum up edges because Istio takes one of them only: a workload's Sidecar (its callees) and the every-region
ServiceEntry of a callee (`exportTo`: its callers' namespaces).
"""

from components.graph.model import Graph
from components.graph.names import OPA_PORT
from components.manifests import Manifest
from components.mesh.authentication import region_authentication, tenant_authentication
from components.mesh.authorization import region_authorization, tenant_authorization
from components.mesh.egress import region_egress, tenant_egress
from components.mesh.failover import tenant_failover
from components.mesh.ingress import region_ingress, tenant_ingress
from components.mesh.limits import region_limits, tenant_limits
from components.mesh.scope import authorizer_entry, limiter_scope, tenant_scope
from components.mesh.telemetry import region_telemetry


def tenant_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """Everything of the mesh in the tenant's namespace, and the tenant's own part at the gateways."""
    return (
        *tenant_authorization(graph, region, tenant),
        *tenant_authentication(graph, tenant),
        *tenant_scope(graph, region, tenant),
        *tenant_failover(graph, region, tenant),
        *tenant_egress(graph, region, tenant),
        *tenant_ingress(graph, region, tenant),
        *tenant_limits(graph, tenant),
    )


def region_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """Everything of the mesh that a region has once, whoever its tenants are; external hosts once each."""
    return (
        *region_authentication(graph),
        *region_authorization(graph, region),
        authorizer_entry(OPA_PORT),
        limiter_scope(),
        *region_egress(graph, region),
        *region_ingress(graph),
        *region_limits(),
        *region_telemetry(),
    )
