"""Registration with SPIRE: one ClusterSPIFFEID for each workload of a region and each meshed part of the platform, none else.

The id follows the pod's service account, which the API server vouches for; what a pod may be registered as is narrowed by
its namespace's unforgeable name, by its service label, and once more at attestation: the entry's selectors demand the
namespace and the service account of *this* workload, so a pod that carries another's label is given nothing.

The image is no selector on purpose. A selector by the settings' digest would take the identity from the old pods the moment
a new digest is written, before the new pods are ready; one taken from the pod itself proves nothing beyond its uid, which
every entry carries. Which image may run under an account is decided where it can still be refused: at admission, by
signature and digest.

Argo CD has none: it speaks with the API server by its account's token and carries no volume of SPIRE's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import (
    ALERTMANAGER,
    CHAOS_NAMESPACE,
    COLLECTOR,
    FAULT_CONTROLLER,
    FAULT_CONTROLLER_LABELS,
    GATEWAYS,
    ISSUER_NAMESPACE,
    LOKI_SERVICE,
    NAMESPACE_LABEL,
    OBSERVABILITY_NAMESPACE,
    PROMETHEUS,
    RATE_LIMIT_NAMESPACE,
    RATE_LIMIT_SERVICE,
    RESPONDER,
    RUNNER,
    RUNNER_NAMESPACE,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    SIDEKICK,
    SPIRE_CLASS,
    TENANT_LABEL,
)
from components.graph.traces import trace_store
from components.identity.issuer import POD_LABELS, SERVICE_ACCOUNT
from components.manifests import Manifest, manifest

AUDIT_READER: Final = "audit-reader"
"""What reads the API server's and the account's audit logs and hands them to the collector."""
API: Final = "spire.spiffe.io/v1alpha1"
ID_TEMPLATE: Final = "spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}"
"""The only form Istio's rules match (`components.graph.identity`)."""

MONITORING: Final = (ALERTMANAGER, "grafana", LOKI_SERVICE, PROMETHEUS)
"""Accounts of the metrics' and logs' stores; Alertmanager, outside the mesh, proves itself to Vault."""
PIPELINE: Final = (COLLECTOR, AUDIT_READER)
"""Accounts of what brings logs and traces to them."""


def registration_name(namespace: str, account: str) -> str:
    """The object's name: cluster-scoped, so both parts, with a dot between them, which no namespace has in its name."""
    return f"{namespace}.{account}"


def tenant_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The registration of each of the tenant's workloads that run in a region."""
    return tuple(
        _registration(
            graph,
            tenant,
            workload.name,
            pods={SERVICE_LABEL: workload.name},
            federates=[graph.trust_domain(code) for code in graph.federates_with(workload, region)],
            labels={TENANT_LABEL: tenant},
        )
        for workload in graph.workloads_of(tenant, region)
    )


def region_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """The registration of what the platform itself has in the mesh.

    Gateways and the rate limiter everywhere; the token issuer, where the platform runs it, in the home region. None
    federates: ingress and egress gateways speak to their own region only, and the east-west gateway passes the mTLS of
    others through without ending it.
    """
    parts: list[tuple[str, str, Mapping[str, str]]] = [
        *((gateway.namespace, gateway.name, gateway.selector) for gateway in GATEWAYS),
        (RATE_LIMIT_NAMESPACE, RATE_LIMIT_SERVICE, {SERVICE_LABEL: RATE_LIMIT_SERVICE}),
        *((OBSERVABILITY_NAMESPACE, name, {SERVICE_LABEL: name}) for name in (*MONITORING, trace_store(graph), *PIPELINE)),
        (SECURITY_NAMESPACE, SIDEKICK, {SERVICE_LABEL: SIDEKICK}),
    ]
    if graph.settings.runtime.responder is not None:
        parts.append((SECURITY_NAMESPACE, RESPONDER, {SERVICE_LABEL: RESPONDER}))
    if graph.settings.chaos.enabled:
        parts.append((CHAOS_NAMESPACE, FAULT_CONTROLLER, FAULT_CONTROLLER_LABELS))
    if graph.settings.delivery.runners is not None:
        parts.append((RUNNER_NAMESPACE, RUNNER, {SERVICE_LABEL: RUNNER}))
    if graph.runs_issuer(region):
        parts.append((ISSUER_NAMESPACE, SERVICE_ACCOUNT, POD_LABELS))
    return tuple(_registration(graph, namespace, account, pods=pods) for namespace, account, pods in parts)


def _registration(
    graph: Graph,
    namespace: str,
    account: str,
    *,
    pods: Mapping[str, str],
    federates: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    identity = graph.settings.identity
    spec: dict[str, Any] = {
        "className": SPIRE_CLASS,
        "spiffeIDTemplate": ID_TEMPLATE,
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}},
        "podSelector": {"matchLabels": dict(pods)},
        "workloadSelectorTemplates": [f"k8s:ns:{namespace}", f"k8s:sa:{account}"],
        "ttl": f"{identity.x509_svid_ttl_minutes}m",
        "jwtTtl": f"{identity.jwt_svid_ttl_minutes}m",
        "admin": False,
        "downstream": False,
        "fallback": False,
        "autoPopulateDNSNames": False,
    }
    if federates:
        spec["federatesWith"] = sorted(federates)
    return manifest(API, "ClusterSPIFFEID", registration_name(namespace, account), labels=labels, spec=spec)
