"""What istiod tells every proxy of a region: the trust domain, mutual TLS 1.3, one spelling of a path, no unknown host.

A plain dict in the shape of Istio's MeshConfig; the chart's release takes it as `meshConfig`. Istio drops unknown fields
without a word, so a test holds every key to the published definition.
"""

from typing import Any

from components.graph.model import Graph
from components.graph.names import (
    MESH_NAMESPACE,
    OPA_BODY_BYTES,
    OPA_HOST,
    OPA_PORT,
    OPA_PROVIDER,
    OPA_TIMEOUT,
    SPIRE_SOCKET_FILE,
)
from components.mesh.scope import REGISTRY_ONLY
from components.mesh.telemetry import access_log_provider, trace_provider


def federated_domains(graph: Graph, region: str) -> tuple[str, ...]:
    """The other regions' trust domains that some workload of the region needs, as caller or as callee."""
    here = (workload for workload in graph.workloads.values() if region in workload.regions)
    others = {code for workload in here for code in graph.federates_with(workload, region)}
    return tuple(graph.trust_domain(code) for code in sorted(others))


def authorizer_provider() -> dict[str, Any]:
    """The pod's own OPA; no answer is a refusal."""
    return {
        "name": OPA_PROVIDER,
        "envoyExtAuthzGrpc": {
            "service": OPA_HOST,
            "port": OPA_PORT,
            "timeout": OPA_TIMEOUT,
            "failOpen": False,
            "statusOnError": "403",
            "includeRequestBodyInCheck": {
                "maxRequestBytes": OPA_BODY_BYTES,
                "allowPartialMessage": True,
                "packAsBytes": False,
            },
        },
    }


def mesh_config(graph: Graph, region: str) -> dict[str, Any]:
    """The region's MeshConfig.

    `caCertificates` lets proxies complete a handshake with federated trust domains and no more. `trustDomainAliases` is never
    set: it would make one identity of a workload's name in every domain.
    """
    federated = federated_domains(graph, region)
    return {
        "rootNamespace": MESH_NAMESPACE,
        "trustDomain": graph.trust_domain(region),
        **({"caCertificates": [{"trustDomains": list(federated)}]} if federated else {}),
        "enableAutoMtls": True,
        "meshMTLS": {"minProtocolVersion": "TLSV1_3"},
        "tlsDefaults": {"minProtocolVersion": "TLSV1_3"},
        # The one mode in which encoded slashes cannot carry a caller out of a prefix that it may use.
        "pathNormalization": {"normalization": "DECODE_AND_MERGE_SLASHES"},
        "outboundTrafficPolicy": REGISTRY_ONLY,
        # A request is sent again only if no byte of it reached a service: a transfer is never made twice.
        "defaultHttpRetryPolicy": {"attempts": 2, "retryOn": "connect-failure,refused-stream"},
        "localityLbSetting": {"enabled": True},
        "extensionProviders": [authorizer_provider(), access_log_provider(), trace_provider()],
        "defaultConfig": {
            "holdApplicationUntilProxyStarts": True,
            "proxyMetadata": {
                "ISTIO_META_DNS_CAPTURE": "true",
                "WORKLOAD_IDENTITY_SOCKET_FILE": SPIRE_SOCKET_FILE,
            },
            "proxyHeaders": {
                "server": {"disabled": True},
                "envoyDebugHeaders": {"disabled": True},
                # What a service reads of its caller its own proxy saw; the default keeps what the caller wrote before it.
                "forwardedClientCert": "SANITIZE_SET",
            },
        },
    }
