"""From outside: the load balancer's HTTPS to the ingress gateway, and from its public paths to the tenants' services.

`/<tenant><path>` at the environment's domain becomes `<path>` at the service. Only operations of routes are routed; any other
path is 404, any other method or caller 403 (`authorization.py`). The health path is answered by the gateway itself.
"""

from typing import Any, Final

from components.graph.model import Graph, Route
from components.graph.names import INGRESS, INGRESS_PORT, service_host
from components.manifests import Manifest
from components.mesh.kinds import istio, unique
from components.settings.access import OperationSettings

CERTIFICATE_SECRET: Final = "ingress-tls"  # noqa: S105 - the name of a Secret, which cert-manager fills
SEGMENT: Final = "[^/]+"


def uri_match(path: str, prefix: str) -> dict[str, str]:
    """A public path as a route's match: exact, prefix, or a full-match regular expression with one segment per variable."""
    if path == "/":
        return {"regex": f"{prefix}/?"}
    if "{" not in path:
        return {"prefix": f"{prefix}{path[:-1]}"} if path.endswith("/*") else {"exact": f"{prefix}{path}"}
    parts = [SEGMENT if part.startswith("{") else part.replace(".", "[.]") for part in path.split("/")]
    if parts[-1] == "*":
        parts[-1] = ".*"
    return {"regex": f"{prefix}{'/'.join(parts)}"}


def http_route(route: Route, operation: OperationSettings) -> dict[str, Any]:
    """One operation: its methods on its public paths, rewritten to the service's own."""
    methods = {"regex": "|".join(unique(operation.methods))}
    found = sorted((uri_match(path, route.prefix) for path in set(operation.paths)), key=lambda uri: sorted(uri.items()))
    host = service_host(route.service.tenant, route.service.name)
    return {
        "match": [{"method": methods, "uri": uri} for uri in found],
        "rewrite": {"uriRegexRewrite": {"match": f"^{route.prefix}/?(.*)$", "rewrite": "/\\1"}},
        "route": [{"destination": {"host": host, "port": {"number": route.service.port}}}],
    }


def _bound(graph: Graph, name: str, http: list[dict[str, Any]], tenant: str | None = None) -> Manifest:
    spec = {
        "hosts": [graph.settings.edge.domain],
        "gateways": [f"{INGRESS.namespace}/{INGRESS.name}"],
        "exportTo": ["."],
        "http": http,
    }
    return istio("VirtualService", name, INGRESS.namespace, spec, tenant=tenant)


def route_object(graph: Graph, route: Route) -> Manifest:
    """A route at the gateway. Istio merges the routes of a host in no order that counts: routes never overlap."""
    http = sorted((http_route(route, operation) for operation in route.operations), key=lambda one: str(one["match"]))
    return _bound(graph, f"route-{route.key}", http, route.service.tenant)


def tenant_ingress(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The routes that lead to the tenant's services of a region."""
    return tuple(
        route_object(graph, route) for route in graph.index.routes_into.get(tenant, ()) if region in route.service.regions
    )


def region_ingress(graph: Graph) -> tuple[Manifest, ...]:
    """The gateway's listener and its own health answer.

    The listener takes every server name: a load balancer sends none to its targets, and a name in `hosts` would become an SNI
    condition that no connection meets. Requests are told apart by their Host: only the environment's domain has routes.
    """
    server = {
        "port": {"number": INGRESS_PORT, "name": "https", "protocol": "HTTPS"},
        "hosts": ["./*"],
        "tls": {"mode": "SIMPLE", "credentialName": CERTIFICATE_SECRET, "minProtocolVersion": "TLSV1_3"},
    }
    health = {
        "match": [{"method": {"exact": "GET"}, "uri": {"exact": graph.settings.edge.failover.health_path}}],
        "directResponse": {"status": 200},
    }
    return (
        istio("Gateway", INGRESS.name, INGRESS.namespace, {"selector": INGRESS.selector, "servers": [server]}),
        _bound(graph, "health", [health]),
    )
