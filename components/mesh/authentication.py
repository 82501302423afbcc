"""Who a caller is: mutual TLS and nothing else between workloads, and the environment's tokens for users and clients.

STRICT stands mesh-wide and again in every namespace, so that deleting one object opens nothing. A token that is presented
must be valid; that one is presented at all is asked for by the authorization policies of routes.
"""

from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import GATEWAYS, INGRESS, MESH_NAMESPACE, RATE_LIMIT_NAMESPACE
from components.manifests import Manifest
from components.mesh.kinds import gateway_pods, istio

KEYCLOAK_CERTS: Final = "/protocol/openid-connect/certs"
JWKS_TIMEOUT: Final = "5s"


def strict(namespace: str, *, tenant: str | None = None) -> Manifest:
    """Mutual TLS for every port of a namespace; in istio-system, of the mesh."""
    return istio("PeerAuthentication", "default", namespace, {"mtls": {"mode": "STRICT"}}, tenant=tenant)


def jwks_url(graph: Graph) -> str:
    """Where the issuer's keys are; istiod reads them, not the proxies."""
    identity = graph.settings.identity
    return identity.jwks_url or identity.issuer + KEYCLOAK_CERTS


def audience(graph: Graph) -> str:
    """What every access token must be meant for."""
    return f"https://{graph.settings.edge.domain}"


def token_rules(graph: Graph) -> dict[str, Any]:
    """The one issuer and audience.

    Only the Authorization header counts: by default Istio would also take a query parameter, and a token in a URL ends in logs.
    """
    return {
        "jwtRules": [
            {
                "issuer": graph.settings.identity.issuer,
                "audiences": [audience(graph)],
                "jwksUri": jwks_url(graph),
                "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
                "forwardOriginalToken": True,
                "timeout": JWKS_TIMEOUT,
            }
        ]
    }


def tenant_authentication(graph: Graph, tenant: str) -> tuple[Manifest, ...]:
    """STRICT and the token rules of a tenant's namespace."""
    return strict(tenant, tenant=tenant), istio("RequestAuthentication", "tokens", tenant, token_rules(graph), tenant=tenant)


def region_authentication(graph: Graph) -> tuple[Manifest, ...]:
    """STRICT of the mesh and of each meshed namespace of the platform, and the token rules of the ingress gateway."""
    spec = {"selector": gateway_pods(INGRESS), **token_rules(graph)}
    return (
        *(strict(namespace) for namespace in (MESH_NAMESPACE, *(g.namespace for g in GATEWAYS), RATE_LIMIT_NAMESPACE)),
        istio("RequestAuthentication", "tokens", INGRESS.namespace, spec),
    )
