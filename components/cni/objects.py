"""Every network policy object of a region, in two parts: what exists because of a tenant, and what a region has once.

Pure. Both kinds lie side by side: Cilium's, which a region enforces, and the Kubernetes baseline from the same rules.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from components.cni.baseline import NOT_PUBLIC, namespace_deny, network_policies
from components.cni.policies import Policy
from components.cni.policies_admission import admission_policies
from components.cni.policies_backup import backup_policies, tenant_backups
from components.cni.policies_cilium import cilium_policy, default_deny, impostor, public_only, quarantine
from components.cni.policies_delivery import delivery_policies
from components.cni.policies_mesh import mesh_policies
from components.cni.policies_observability import observability_policies, tenant_scrapes
from components.cni.policies_platform import cluster_policies
from components.cni.policies_runtime import runtime_policies
from components.cni.policies_telemetry import telemetry_policies, tenant_spans
from components.cni.policies_tenant import gateway_pods, store_pods, tenant_policies, workload_pods
from components.cni.policies_vault import tenant_vault_policies, vault_policies
from components.graph.model import Graph
from components.graph.names import EGRESS, GATEWAYS, PLATFORM_NAMESPACES, SYSTEM_NAMESPACE
from components.manifests import Manifest

NAMESPACES: Final = (*PLATFORM_NAMESPACES, SYSTEM_NAMESPACE, "default", "kube-node-lease", "kube-public")
"""The platform's namespaces and those that Kubernetes makes; nothing runs in the last three, nor could it speak there."""

PARTS: Final = (
    cluster_policies,
    mesh_policies,
    admission_policies,
    vault_policies,
    runtime_policies,
    observability_policies,
    telemetry_policies,
    backup_policies,
    delivery_policies,
)
"""The rules of every part of the platform."""


def tenant_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """What exists in a region because of one tenant, in its namespace and in the gateways'."""
    return (
        namespace_deny(tenant),
        quarantine(tenant),
        *(impostor(workload.name, workload_pods(workload)) for workload in graph.workloads_of(tenant, region)),
        *(impostor(store.name, store_pods(store)) for store in graph.stores_of(tenant)),
        *_both(tenant_policies(graph, region, tenant)),
        *_both(tenant_vault_policies(graph, region, tenant)),
        *_both(tenant_scrapes(graph, region, tenant)),
        *_both(tenant_spans(graph, region, tenant)),
        *_both(tenant_backups(graph, region, tenant)),
    )


def region_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """What a region has once: the clusterwide deny first."""
    return (
        default_deny(),
        public_only("external-hosts-are-public", gateway_pods(EGRESS), NOT_PUBLIC),
        *(namespace_deny(namespace) for namespace in NAMESPACES),
        *(impostor(gateway.name, gateway_pods(gateway)) for gateway in GATEWAYS),
        *_both(policy for part in PARTS for policy in part(graph, region)),
    )


def _both(policies: Iterable[Policy]) -> Iterator[Manifest]:
    for policy in policies:
        yield cilium_policy(policy)
        yield from network_policies(policy)
