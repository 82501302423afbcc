"""The mesh's rules of the faults' namespace: nobody calls it, and it asks Prometheus and nothing else. Pure.

The API server calls the controller's webhooks and Prometheus its metrics past the proxy; the network's rules hold both. What the
controller says to the API server and to its daemons goes past the proxy too and has a TLS of its own.
"""

from typing import Any

from components.graph.model import Graph
from components.graph.names import (
    CHAOS_NAMESPACE,
    CLUSTER_DOMAIN,
    MESH_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    PROMETHEUS_SERVICE,
    service_host,
)
from components.manifests import Manifest, manifest


def mesh_objects(graph: Graph) -> tuple[Manifest, ...]:
    """Mutual TLS alone, no caller, one host to reach; nothing where Chaos Mesh is not installed."""
    if not graph.settings.chaos.enabled:
        return ()
    reached = (
        f"{MESH_NAMESPACE}/istiod.{MESH_NAMESPACE}.svc.{CLUSTER_DOMAIN}",
        f"{OBSERVABILITY_NAMESPACE}/{service_host(OBSERVABILITY_NAMESPACE, PROMETHEUS_SERVICE)}",
    )
    return (
        _istio("security", "PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        _istio("security", "AuthorizationPolicy", "default-deny", {}),
        _istio(
            "networking",
            "Sidecar",
            "default",
            {"egress": [{"hosts": list(reached)}], "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
        ),
    )


def _istio(group: str, kind: str, name: str, spec: dict[str, Any]) -> Manifest:
    return manifest(f"{group}.istio.io/v1", kind, name, namespace=CHAOS_NAMESPACE, spec=spec)
