"""The way to the token issuer, where the platform runs it: its host at the ingress gateway, and its own side of the mesh.

Login pages and tokens need no token; of the issuer's paths only its realm and the pages' files pass, at the gateway and again
at the issuer, and no spelling of them that Keycloak reads as another path. Its administration has no way in from outside at all.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from components.graph.model import Graph
from components.graph.names import INGRESS, ISSUER_NAMESPACE, ISSUER_SERVICE, ISSUER_SERVICE_PORT, MESH_NAMESPACE, service_host
from components.manifests import Manifest
from components.mesh.authentication import strict
from components.mesh.authorization import default_deny
from components.mesh.kinds import gateway_pods, istio
from components.mesh.scope import REGISTRY_ONLY

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST")
PLAIN: Final = r"[^;%\\]*"
"""The rest of a public path: `;` starts what Java cuts off a segment (`..;` becomes `..`), `%` what it would decode once more."""


def public_prefixes(graph: Graph) -> tuple[str, ...]:
    """The trees of the issuer that the public may reach, each with its closing slash."""
    return (f"{urlsplit(graph.settings.identity.issuer).path}/", "/resources/")


def _allow(selector: dict[str, Any] | None, rule: dict[str, Any]) -> dict[str, Any]:
    return {**({"selector": selector} if selector else {}), "action": "ALLOW", "rules": [rule]}


def issuer_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """Everything of the mesh that the issuer needs in a region; nothing where it does not run."""
    if not graph.runs_issuer(region):
        return ()
    host, prefixes = graph.settings.identity.issuer_host, public_prefixes(graph)
    operation = {"methods": list(METHODS), "paths": [f"{prefix}*" for prefix in prefixes]}
    at_gateway = {"to": [{"operation": {**operation, "hosts": [host, f"{host}:*"]}}]}
    gateway = graph.gateway_principal(INGRESS, region)
    at_issuer = {"from": [{"source": {"principals": [gateway]}}], "to": [{"operation": operation}]}
    route = {
        "match": [{"uri": {"regex": f"{prefix}{PLAIN}"}} for prefix in prefixes],
        "route": [
            {
                "destination": {
                    "host": service_host(ISSUER_NAMESPACE, ISSUER_SERVICE),
                    "port": {"number": ISSUER_SERVICE_PORT},
                }
            }
        ],
    }
    # Its proxy opens no connection of its own but to its database, which stands beside it.
    scope = {"egress": [{"hosts": ["./*", f"{MESH_NAMESPACE}/*"]}], "outboundTrafficPolicy": REGISTRY_ONLY}
    virtual = {"hosts": [host], "gateways": [f"{INGRESS.namespace}/{INGRESS.name}"], "exportTo": ["."], "http": [route]}
    return (
        istio("VirtualService", "issuer", INGRESS.namespace, virtual),
        istio("AuthorizationPolicy", "issuer", INGRESS.namespace, _allow(gateway_pods(INGRESS), at_gateway)),
        strict(ISSUER_NAMESPACE),
        default_deny(ISSUER_NAMESPACE),
        istio("AuthorizationPolicy", "issuer", ISSUER_NAMESPACE, _allow(None, at_issuer)),
        istio("Sidecar", "default", ISSUER_NAMESPACE, scope),
    )
