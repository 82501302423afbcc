"""Who may call what, as the callee's sidecar and the gateways decide it: nothing, then one ALLOW policy per edge.

Every namespace of the mesh begins with a policy that allows nothing. A rule names its callers by principal in full, because
every shorter form (namespaces, service accounts, wildcards) also admits a federated caller of another trust domain; it names
methods and paths, because a rule without them means all. Path rules are ALLOW only: what DENY misses by a spelling, it admits.
Relies on STRICT mutual TLS (`authentication.py`) and on the mesh's path normalisation (`mesh_config.py`).
"""

from typing import Any, Final

from components.graph.model import Call, Egress, Graph, Route
from components.graph.names import (
    EGRESS,
    GATEWAYS,
    INGRESS,
    OPA_PROVIDER,
    QUARANTINE_LABEL,
    RATE_LIMIT_NAMESPACE,
    RATE_LIMIT_SERVICE,
)
from components.manifests import Manifest
from components.mesh.kinds import gateway_pods, istio, pods, unique
from components.mesh.operations import rule_operations

OTHER_TOKEN_KINDS: Final = ("ID", "Logout", "Offline", "Refresh")
"""`typ` of Keycloak's other tokens; an access token has `Bearer` or, from another issuer, none."""
RATE_LIMIT_CALL: Final = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"


def default_deny(namespace: str, *, tenant: str | None = None) -> Manifest:
    """Allows nothing to every workload of a namespace: a policy that selects all and has no rule."""
    return istio("AuthorizationPolicy", "default-deny", namespace, {}, tenant=tenant)


def external_authorizer(tenant: str) -> Manifest:
    """Every request to every workload of a tenant is also put to the pod's own OPA."""
    spec = {"action": "CUSTOM", "provider": {"name": OPA_PROVIDER}, "rules": [{}]}
    return istio("AuthorizationPolicy", "opa", tenant, spec, tenant=tenant)


def quarantine(tenant: str) -> Manifest:
    """No call reaches a pod in quarantine. What it sends is the network's to stop, and by its risk OPA's beside the callees."""
    spec = {"action": "DENY", "selector": {"matchLabels": {QUARANTINE_LABEL: "true"}}, "rules": [{}]}
    return istio("AuthorizationPolicy", "quarantine", tenant, spec, tenant=tenant)


def _allow(selector: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    return {"selector": selector, "action": "ALLOW", "rules": [rule]}


def call_policy(graph: Graph, region: str, call: Call) -> Manifest | None:
    """The callee's side of a call in a region; None where the callee admits nobody for it."""
    principals = unique(graph.principal(call.caller, origin) for origin in call.origins(region))
    if not principals:
        return None
    rule = {"from": [{"source": {"principals": principals}}], "to": rule_operations(call.operations, port=call.callee.port)}
    tenant = call.callee.tenant
    return istio("AuthorizationPolicy", f"call-{call.key}", tenant, _allow(pods(call.callee.name), rule), tenant=tenant)


def token_source(graph: Graph) -> dict[str, Any]:
    """The part of a source that asks for a token of the environment's issuer."""
    return {"requestPrincipals": [f"{graph.settings.identity.issuer}/*"]}


def token_conditions(route: Route) -> list[dict[str, Any]]:
    """What the token must say besides issuer and audience: a client of the route, and every scope.

    Values of one entry are alternatives, entries are not: hence an entry per scope.

    Raises:
        ValueError: a route without clients or scopes would ask for less than a token says.
    """
    clients, scopes = unique(client.client_id for client in route.clients), unique(route.settings.scopes)
    if not clients or not scopes:
        msg = f"access.routes.{route.key}: name at least one client and one scope"
        raise ValueError(msg)
    return [
        {"key": "request.auth.claims[azp]", "values": clients},
        *({"key": "request.auth.claims[scope]", "values": [scope]} for scope in scopes),
        {"key": "request.auth.claims[typ]", "notValues": list(OTHER_TOKEN_KINDS)},
    ]


def route_policies(graph: Graph, region: str, route: Route) -> tuple[Manifest, ...]:
    """A route at the gateway (public paths) and again at the service (its own paths, from the gateway and with the token)."""
    if region not in route.service.regions:
        return ()
    tenant, name, when = route.service.tenant, f"route-{route.key}", token_conditions(route)
    token = token_source(graph)
    outside = {"from": [{"source": token}], "to": rule_operations(route.operations, route.prefix), "when": when}
    gateway = {"principals": [graph.gateway_principal(INGRESS, region)], **token}
    inside = {"from": [{"source": gateway}], "to": rule_operations(route.operations, port=route.service.port), "when": when}
    return (
        istio("AuthorizationPolicy", name, INGRESS.namespace, _allow(gateway_pods(INGRESS), outside), tenant=tenant),
        istio("AuthorizationPolicy", name, tenant, _allow(pods(route.service.name), inside), tenant=tenant),
    )


def egress_policy(graph: Graph, region: str, edge: Egress) -> Manifest | None:
    """The egress gateway's side of an external host: this caller, this host; the stream inside is the caller's own TLS."""
    if region not in edge.service.regions:
        return None
    rule = {
        "from": [{"source": {"principals": [graph.principal(edge.service, region)]}}],
        "when": [{"key": "connection.sni", "values": [edge.host]}],
    }
    name, tenant = f"egress-{edge.key}", edge.service.tenant
    return istio("AuthorizationPolicy", name, EGRESS.namespace, _allow(gateway_pods(EGRESS), rule), tenant=tenant)


def tenant_authorization(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """Everything that decides about the tenant's workloads, and about its edges at the gateways."""
    edges = graph.index
    calls = (call_policy(graph, region, call) for call in edges.calls_into.get(tenant, ()))
    egress = (egress_policy(graph, region, edge) for edge in edges.egress_out_of.get(tenant, ()))
    return (
        default_deny(tenant, tenant=tenant),
        external_authorizer(tenant),
        quarantine(tenant),
        *(policy for policy in calls if policy is not None),
        *(policy for route in edges.routes_into.get(tenant, ()) for policy in route_policies(graph, region, route)),
        *(policy for policy in egress if policy is not None),
    )


def region_authorization(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """Default deny of the platform's meshed namespaces, the health path, and the ingress gateway at the rate limiter.

    The east-west gateway passes TLS through and sees no principal, so no policy can admit anything there; what it passes is
    decided at the callee, and its `Gateway` lists the hosts.
    """
    health = {"to": [{"operation": {"methods": ["GET"], "paths": [graph.settings.edge.failover.health_path]}}]}
    limiter = {
        "from": [{"source": {"principals": [graph.gateway_principal(INGRESS, region)]}}],
        "to": [{"operation": {"methods": ["POST"], "paths": [RATE_LIMIT_CALL]}}],
    }
    return (
        *(default_deny(gateway.namespace) for gateway in GATEWAYS),
        default_deny(RATE_LIMIT_NAMESPACE),
        istio("AuthorizationPolicy", "health", INGRESS.namespace, _allow(gateway_pods(INGRESS), health)),
        istio("AuthorizationPolicy", RATE_LIMIT_SERVICE, RATE_LIMIT_NAMESPACE, _allow(pods(RATE_LIMIT_SERVICE), limiter)),
    )
