"""Namespaces: the tenants' with their limits and service accounts, and the platform's own.

Every namespace carries its Pod Security level pinned to the cluster's minor version, so that a control plane upgrade changes
no admission decision by itself. A tenant's service accounts have no token of the API server: nothing in a tenant's pod
talks to it. Relies on: names no tenant can take (settings refuse them).
"""

from dataclasses import dataclass
from typing import Final, Literal

from components.graph.model import Graph
from components.graph.names import (
    BACKUP_NAMESPACE,
    CERTIFICATES_NAMESPACE,
    CHAOS_NAMESPACE,
    DATABASE_OPERATOR_NAMESPACE,
    EXTERNAL_DNS_NAMESPACE,
    FAULTS_ALLOWED,
    GATEKEEPER_NAMESPACE,
    GATEWAYS,
    GITOPS_NAMESPACE,
    ISSUER_NAMESPACE,
    KYVERNO_NAMESPACE,
    MESH_NAMESPACE,
    NODE_TELEMETRY_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    PLATFORM_NAMESPACES,
    RATE_LIMIT_NAMESPACE,
    RUNNER_CONTROLLER_NAMESPACE,
    RUNNER_NAMESPACE,
    RUNTIME_NAMESPACE,
    SCANNING_NAMESPACE,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
    TENANT_LABEL,
    VAULT_NAMESPACE,
)
from components.manifests import Manifest, manifest
from components.settings import Settings

Level = Literal["restricted", "privileged"]
INJECTION: Final = "istio-injection"
PART_OF: Final = "app.kubernetes.io/part-of"
PLATFORM: Final = "zero-trust-platform"
DISPLAY_NAME: Final = "zerotrust.dev/display-name"
QUOTA: Final = "quota"
LIMITS: Final = "limits"


@dataclass(frozen=True, kw_only=True)
class _Needs:
    """What a platform namespace's pods need."""

    level: Level = "restricted"
    injected: bool = False


_PLATFORM: Final[dict[str, _Needs]] = {
    CERTIFICATES_NAMESPACE: _Needs(),
    DATABASE_OPERATOR_NAMESPACE: _Needs(),
    EXTERNAL_DNS_NAMESPACE: _Needs(),
    # A service of the mesh: its TLS is the sidecar's.
    ISSUER_NAMESPACE: _Needs(injected=True),
    # istiod only: the node agent, which needs the host, stands in kube-system beside the network plug-in.
    MESH_NAMESPACE: _Needs(),
    RATE_LIMIT_NAMESPACE: _Needs(injected=True),
    SPIRE_SERVER_NAMESPACE: _Needs(),
    # SPIRE's agents share the host's PID namespace and its socket directory, the CSI driver mounts into other pods.
    SPIRE_SYSTEM_NAMESPACE: _Needs(level="privileged"),
    GATEKEEPER_NAMESPACE: _Needs(),
    KYVERNO_NAMESPACE: _Needs(),
    # Falco reads every process of a node through its kernel.
    RUNTIME_NAMESPACE: _Needs(level="privileged"),
    SECURITY_NAMESPACE: _Needs(injected=True),
    # Its TLS is its own: who has no sidecar must reach it too, and its peers agree on data over a port of their own.
    VAULT_NAMESPACE: _Needs(),
    # Who writes and reads telemetry is told by SPIFFE id.
    OBSERVABILITY_NAMESPACE: _Needs(injected=True),
    # Log files and the node's own figures lie on the host.
    NODE_TELEMETRY_NAMESPACE: _Needs(level="privileged"),
    # The node agent reads the pods' volumes where the kubelet mounts them.
    BACKUP_NAMESPACE: _Needs(level="privileged"),
    # The daemon enters other pods' namespaces.
    CHAOS_NAMESPACE: _Needs(level="privileged"),
    GITOPS_NAMESPACE: _Needs(),
    SCANNING_NAMESPACE: _Needs(),
    RUNNER_CONTROLLER_NAMESPACE: _Needs(),
    RUNNER_NAMESPACE: _Needs(),
    # A gateway is nothing but an injected proxy: the chart's container is filled in by the injector.
    **{gateway.namespace: _Needs(injected=True) for gateway in GATEWAYS},
}


def pod_security_labels(level: Level, kubernetes_version: str) -> dict[str, str]:
    """Pod Security admission in its three modes, at the rules of `kubernetes_version` (`1.35`)."""
    modes = ("enforce", "audit", "warn")
    return {
        **{f"pod-security.kubernetes.io/{mode}": level for mode in modes},
        **{f"pod-security.kubernetes.io/{mode}-version": f"v{kubernetes_version}" for mode in modes},
    }


def injected(settings: Settings, namespace: str) -> bool:
    """Whether a namespace of the platform asks for proxies.

    Raises:
        KeyError: for a platform namespace whose needs nobody has stated.
    """
    # The controller of faults asks Prometheus, which answers identities alone; without Chaos Mesh nobody there has one.
    return _PLATFORM[namespace].injected or (namespace == CHAOS_NAMESPACE and settings.chaos.enabled)


def faults_allowed(settings: Settings, namespace: str) -> dict[str, str]:
    """The annotation that opens a namespace to game days; nothing where the settings do not."""
    return dict(FAULTS_ALLOWED) if settings.chaos.enabled and namespace in settings.chaos.namespaces else {}


def platform_namespaces(settings: Settings) -> tuple[Manifest, ...]:
    """The platform's own namespaces, the same in every region, in the order of their names.

    Injection is said of each namespace, off as well as on: no setting of the injector's default decides it.

    Raises:
        KeyError: for a platform namespace whose needs nobody has stated.
    """
    return tuple(
        manifest(
            "v1",
            "Namespace",
            name,
            labels={
                PART_OF: PLATFORM,
                INJECTION: "enabled" if injected(settings, name) else "disabled",
                **pod_security_labels(_PLATFORM[name].level, settings.cluster.kubernetes_version),
            },
            annotations=faults_allowed(settings, name) or None,
        )
        for name in sorted(PLATFORM_NAMESPACES)
    )


def namespace_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The tenant's namespace in a region, its limits, and one service account for each workload that runs there.

    The `default` account exists in any case; it is taken over only to take its token away. CloudNativePG makes the accounts
    of the databases itself.
    """
    wanted = graph.settings.tenants[tenant]
    labels = {TENANT_LABEL: tenant}
    namespace = manifest(
        "v1",
        "Namespace",
        tenant,
        labels={
            **labels,
            PART_OF: tenant,
            INJECTION: "enabled",
            **pod_security_labels("restricted", graph.settings.cluster.kubernetes_version),
        },
        annotations={DISPLAY_NAME: wanted.display_name, **faults_allowed(graph.settings, tenant)},
    )
    quota = manifest(
        "v1",
        "ResourceQuota",
        QUOTA,
        namespace=tenant,
        labels=labels,
        spec={
            "hard": {
                "requests.cpu": wanted.quota.cpu,
                "requests.memory": wanted.quota.memory,
                "limits.memory": wanted.quota.memory,
                "requests.storage": wanted.quota.storage,
                "pods": str(wanted.quota.pods),
                # The only way in is the ingress gateway.
                "services.loadbalancers": "0",
                "services.nodeports": "0",
            }
        },
    )
    limits = manifest(
        "v1",
        "LimitRange",
        LIMITS,
        namespace=tenant,
        labels=labels,
        spec={
            "limits": [
                {
                    "type": "Container",
                    "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
                    # No CPU limit by default: one below a larger request would refuse the pod, or throttle it unseen.
                    "default": {"memory": "128Mi"},
                }
            ]
        },
    )
    accounts = (
        manifest("v1", "ServiceAccount", "default", namespace=tenant, labels=labels, automountServiceAccountToken=False),
        *(
            manifest(
                "v1",
                "ServiceAccount",
                workload.name,
                namespace=tenant,
                labels={**labels, SERVICE_LABEL: workload.name},
                automountServiceAccountToken=False,
            )
            for workload in graph.workloads_of(tenant, region)
        ),
    )
    return (namespace, quota, limits, *accounts)
