"""A valid object of every custom kind the program creates, and one key of it that the planted mistake misspells.

The objects are the smallest that use the fields that carry a decision; they prove nothing about what the program sends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAMESPACE = "bank-a"
_CALLER = "spiffe://eu-west-1.bank.internal/ns/bank-a/sa/api"
_POSTGRES = {"matchLabels": {"app": "ledger"}}


@dataclass(frozen=True)
class Custom:
    """`misspelt` is the path of an existing key below the object; the last part gets a letter too many."""

    api_version: str
    kind: str
    spec: Mapping[str, Any]
    misspelt: tuple[str | int, ...]
    namespaced: bool = True

    def manifest(self, name: str) -> dict[str, Any]:
        metadata = {"name": name} | ({"namespace": NAMESPACE} if self.namespaced else {})
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata, "spec": dict(self.spec)}


_ISTIO = (
    Custom(
        "security.istio.io/v1",
        "AuthorizationPolicy",
        {
            "selector": {"matchLabels": {"app": "ledger"}},
            "action": "ALLOW",
            "rules": [
                {
                    "from": [{"source": {"principals": [_CALLER.removeprefix("spiffe://")]}}],
                    "to": [{"operation": {"methods": ["POST"], "paths": ["/transfer"]}}],
                }
            ],
        },
        ("spec", "rules", 0, "from", 0, "source", "principals"),
    ),
    Custom("security.istio.io/v1", "PeerAuthentication", {"mtls": {"mode": "STRICT"}}, ("spec", "mtls", "mode")),
    Custom(
        "security.istio.io/v1",
        "RequestAuthentication",
        {"jwtRules": [{"issuer": "https://id.bank.internal", "jwksUri": "https://id.bank.internal/jwks", "audiences": ["api"]}]},
        ("spec", "jwtRules", 0, "audiences"),
    ),
    Custom(
        "networking.istio.io/v1",
        "Sidecar",
        {"egress": [{"hosts": ["./*"]}], "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
        ("spec", "outboundTrafficPolicy"),
    ),
    Custom(
        "networking.istio.io/v1",
        "ServiceEntry",
        {
            "hosts": ["ledger.bank.internal"],
            "ports": [{"number": 5432, "name": "tcp", "protocol": "TCP"}],
            "location": "MESH_EXTERNAL",
            "resolution": "DNS",
            "exportTo": ["."],
        },
        ("spec", "exportTo"),
    ),
    Custom(
        "networking.istio.io/v1",
        "DestinationRule",
        {
            "host": "ledger.bank-a.svc.cluster.local",
            "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": [_CALLER]}},
        },
        ("spec", "trafficPolicy", "tls", "subjectAltNames"),
    ),
    Custom(
        "networking.istio.io/v1",
        "Gateway",
        {
            "selector": {"istio": "ingress"},
            "servers": [
                {
                    "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                    "hosts": ["bank-a/api.bank.example"],
                    "tls": {"mode": "SIMPLE", "credentialName": "api-tls", "minProtocolVersion": "TLSV1_3"},
                }
            ],
        },
        ("spec", "servers", 0, "tls", "minProtocolVersion"),
    ),
    Custom(
        "networking.istio.io/v1",
        "VirtualService",
        {
            "hosts": ["api.bank.example"],
            "http": [{"match": [{"uri": {"prefix": "/v1"}}], "route": [{"destination": {"host": "api"}}], "timeout": "5s"}],
        },
        ("spec", "http", 0, "timeout"),
    ),
    Custom(
        "networking.istio.io/v1",
        "WorkloadEntry",
        {"address": "10.1.2.3", "serviceAccount": "ledger", "labels": {"app": "ledger"}},
        ("spec", "serviceAccount"),
    ),
    Custom(
        "telemetry.istio.io/v1",
        "Telemetry",
        {"accessLogging": [{"providers": [{"name": "envoy"}]}]},
        ("spec", "accessLogging", 0, "providers"),
    ),
    Custom(
        "networking.istio.io/v1alpha3",
        "EnvoyFilter",
        {
            "workloadSelector": {"labels": {"istio": "ingress"}},
            "configPatches": [
                {
                    "applyTo": "HTTP_FILTER",
                    "match": {"context": "GATEWAY"},
                    "patch": {"operation": "INSERT_BEFORE", "value": {"name": "envoy.filters.http.ratelimit"}},
                }
            ],
        },
        # the patch's value has no schema: a mistake in there is Envoy's to refuse
        ("spec", "configPatches", 0, "patch", "operation"),
    ),
)

_CILIUM = (
    Custom(
        "cilium.io/v2",
        "CiliumNetworkPolicy",
        {
            "endpointSelector": {"matchLabels": {"app": "ledger"}},
            "ingress": [
                {
                    "fromEndpoints": [{"matchLabels": {"app": "api"}}],
                    "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}]}],
                }
            ],
        },
        ("spec", "ingress", 0, "fromEndpoints"),
    ),
    Custom(
        "cilium.io/v2",
        "CiliumClusterwideNetworkPolicy",
        {"endpointSelector": {}, "egressDeny": [{"toCIDR": ["169.254.169.254/32"]}]},
        ("spec", "egressDeny"),
        namespaced=False,
    ),
)

_SPIRE = (
    Custom(
        "spire.spiffe.io/v1alpha1",
        "ClusterSPIFFEID",
        {
            "className": "spire-system-spire",
            "spiffeIDTemplate": "spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}",
            "namespaceSelector": {"matchLabels": {"tenant": "bank-a"}},
            "ttl": "1h",
            "federatesWith": ["eu-central-1.bank.internal"],
        },
        ("spec", "federatesWith"),
        namespaced=False,
    ),
    Custom(
        "spire.spiffe.io/v1alpha1",
        "ClusterFederatedTrustDomain",
        {
            "className": "spire-system-spire",
            "trustDomain": "eu-central-1.bank.internal",
            "bundleEndpointURL": "https://spire.eu-central-1.bank.internal",
            "bundleEndpointProfile": {
                "type": "https_spiffe",
                "endpointSPIFFEID": "spiffe://eu-central-1.bank.internal/spire/server",
            },
        },
        ("spec", "bundleEndpointProfile", "endpointSPIFFEID"),
        namespaced=False,
    ),
    Custom(
        "spire.spiffe.io/v1alpha1",
        "ClusterStaticEntry",
        {"className": "spire-system-spire", "spiffeID": _CALLER, "parentID": _CALLER, "selectors": ["unix:uid:1000"]},
        ("spec", "className"),
        namespaced=False,
    ),
)

_CERTIFICATES = (
    Custom(
        "cert-manager.io/v1",
        "Certificate",
        {
            "secretName": "api-tls",
            "dnsNames": ["api.bank.example"],
            "issuerRef": {"name": "bank", "kind": "ClusterIssuer", "group": "cert-manager.io"},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        },
        ("spec", "privateKey", "rotationPolicy"),
    ),
    Custom("cert-manager.io/v1", "Issuer", {"ca": {"secretName": "bank-a-ca"}}, ("spec", "ca", "secretName")),
    Custom(
        "cert-manager.io/v1", "ClusterIssuer", {"ca": {"secretName": "bank-ca"}}, ("spec", "ca", "secretName"), namespaced=False
    ),
)

_DATA = (
    Custom(
        "postgresql.cnpg.io/v1",
        "Cluster",
        {
            "instances": 3,
            "storage": {"size": "20Gi"},
            "enableSuperuserAccess": False,
            "postgresql": {"parameters": {"ssl": "on"}},
        },
        ("spec", "enableSuperuserAccess"),
    ),
)

_AWS = (
    Custom(
        "elbv2.k8s.aws/v1beta1",
        "TargetGroupBinding",
        {
            "serviceRef": {"name": "ingress", "port": 443},
            "targetGroupARN": "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/ingress/0123456789abcdef",
            "targetType": "ip",
        },
        ("spec", "targetType"),
    ),
    Custom(
        "elbv2.k8s.aws/v1beta1",
        "IngressClassParams",
        {"scheme": "internal", "sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06"},
        ("spec", "sslPolicy"),
        namespaced=False,
    ),
)

_MONITORS = (
    Custom(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        {"selector": _POSTGRES, "endpoints": [{"port": "metrics", "scheme": "https", "interval": "30s"}]},
        ("spec", "endpoints", 0, "interval"),
    ),
    Custom(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        {"selector": _POSTGRES, "podMetricsEndpoints": [{"port": "metrics", "interval": "30s"}]},
        ("spec", "podMetricsEndpoints", 0, "interval"),
    ),
)

CUSTOM = {entry.kind: entry for entry in (*_ISTIO, *_CILIUM, *_SPIRE, *_CERTIFICATES, *_DATA, *_AWS, *_MONITORS)}
