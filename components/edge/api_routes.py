"""The routes of one tenant as the API gateway serves them, compiled from the access graph.

Guarantees: an operation appears only because a route of the settings leads to the tenant; every operation names its clients
and scopes; path templates that API Gateway would refuse or confuse are refused here. Pure: no resource, no Pulumi value.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.settings.access import RouteSettings
from components.settings.tenants import UsageSettings

HEALTH_REASON = (
    "Route 53 and the load balancer ask whether the mesh answers before any user has a token; the route reaches one fixed "
    "path, returns no data and is throttled apart from every tenant."
)
"""Why the health route alone has no authorizer (control API-01)."""

COLD_START_SECONDS = 0.25
"""How long one decision may hold an execution environment: a cold start of the authorizer; a warm decision takes under 10 ms."""
LEAST_CONCURRENCY, MOST_CONCURRENCY = 5, 500


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one resource of a tenant's API."""

    method: str
    template: str
    """API Gateway's resource path below the tenant: `/accounts/{id}`, `/settlements/{proxy+}`."""
    route: str
    """Key of the route in the settings."""
    service: str
    """The service it leads to, `<tenant>/<service>`."""
    clients: tuple[str, ...]
    """OAuth client identifiers, sorted."""
    scopes: tuple[str, ...]
    """Scopes the token must all hold, sorted."""


def client_id(ref: str) -> str:
    """The OAuth client identifier of a `<tenant>/<client>` reference, as it stands in the token's `azp`.

    A dot joins the halves: names have none, so two references never share an identifier (`a-b/c` and `a/b-c`).
    """
    return ref.replace("/", ".")


def template(path: str) -> str:
    """API Gateway's spelling of a settings path: a closing `/*` becomes the greedy `{proxy+}`."""
    return f"{path[:-2]}/{{proxy+}}" if path.endswith("/*") else path


def parameters(resource: str) -> tuple[str, ...]:
    """Names of the path parameters of a template, in order, without the greedy sign."""
    return tuple(part[1:-1].rstrip("+") for part in resource.split("/") if part.startswith("{"))


def _refuse_siblings(operations: Iterable[Operation]) -> None:
    """API Gateway takes one variable part per place; two spellings there would fail the import half-way."""
    variables: dict[str, str] = {}
    for operation in operations:
        parts = operation.template.strip("/").split("/")
        names = parameters(operation.template)
        if len(set(names)) != len(names):
            msg = f"access.routes.{operation.route}: {operation.template} names a path parameter twice; give each its own name"
            raise ValueError(msg)
        for place, part in enumerate(parts):
            if not part.startswith("{"):
                continue
            prefix = "/".join(parts[:place])
            if variables.setdefault(prefix, part) != part:
                msg = (
                    f"access.routes.{operation.route}: {operation.template} puts {part} where another path of the tenant has "
                    f"{variables[prefix]}; API Gateway takes one variable part below /{prefix}, so use one spelling"
                )
                raise ValueError(msg)


def operations(tenant: str, routes: Mapping[str, RouteSettings]) -> tuple[Operation, ...]:
    """Every operation of the routes that lead to a tenant, sorted by template and method.

    Raises:
        ValueError: two paths of the tenant put different variables in one place, or one names a variable twice.
    """
    found = sorted(
        (
            Operation(
                method=method,
                template=template(path),
                route=key,
                service=route.service,
                clients=tuple(sorted(client_id(ref) for ref in route.clients)),
                scopes=tuple(sorted(route.scopes)),
            )
            for key, route in routes.items()
            if route.service.split("/")[0] == tenant
            for operation in route.operations
            for method in operation.methods
            for path in operation.paths
        ),
        key=lambda one: (one.template, one.method),
    )
    _refuse_siblings(found)
    return tuple(found)


def routes_by_tenant(routes: Mapping[str, RouteSettings]) -> dict[str, dict[str, RouteSettings]]:
    """The routes by the tenant they lead to, sorted by tenant; a tenant that none leads to is absent: it gets no API."""
    found: dict[str, dict[str, RouteSettings]] = {}
    for key, route in routes.items():
        found.setdefault(route.service.split("/")[0], {})[key] = route
    return dict(sorted(found.items()))


def split_health_path(health_path: str, tenants: Iterable[str]) -> tuple[str, str]:
    """The base path and the resource of the health route: `/healthz/mesh` gives `healthz` and `/mesh`.

    Raises:
        ValueError: the path is the root, has variables, or begins with a tenant's name and would shadow its API.
    """
    first, _, rest = health_path.strip("/").partition("/")
    if not first or "{" in health_path or "*" in health_path:
        msg = f"edge.failover.health_path: {health_path} must be a fixed path of at least one segment"
        raise ValueError(msg)
    if first in set(tenants):
        msg = f"edge.failover.health_path: {health_path} begins with the tenant {first}; choose another first segment"
        raise ValueError(msg)
    return first, f"/{rest}"


def usage_identifier(organization: str, environment: str, region: str, tenant: str) -> str:
    """The value of a tenant's API key: 64 hex digits, the same on every run.

    It is an identifier and no credential: with `apiKeySource: AUTHORIZER` API Gateway takes it from the authorizer's answer
    and ignores what a client sends, so knowing it gives nothing. API Gateway wants 20 to 128 characters, unique in a region.
    """
    return hashlib.sha256(f"usage-plan:{organization}/{environment}/{region}/{tenant}".encode()).hexdigest()


def concurrency(usage: UsageSettings) -> int:
    """Reserved executions of a tenant's authorizer: a second of rate plus burst while every environment is still cold.

    Reserved, so that one tenant's load can neither starve another's authorizer nor the account (control SC-5).
    """
    wanted = math.ceil((usage.requests_per_second + usage.burst) * COLD_START_SECONDS)
    return max(LEAST_CONCURRENCY, min(MOST_CONCURRENCY, wanted))


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """What every access token must say, whatever the route."""

    issuer: str
    """Exactly the `iss` claim."""
    audience: str
    """Must be (among) the `aud` claim."""
    lifetime_seconds: int
    """Longest time a token may still have to live; a longer one was not issued under the environment's rules."""


def route_table(tenant: str, usage_key: str, rules: TokenRules, found: Iterable[Operation]) -> dict[str, Any]:
    """The authorizer's table: what it admits; everything else is denied. Shape is `files/authorizer/handler.py`'s `Table`."""
    return {
        "tenant": tenant,
        "usage_key": usage_key,
        "issuer": rules.issuer,
        "audience": rules.audience,
        "lifetime_seconds": rules.lifetime_seconds,
        "operations": [
            {"method": one.method, "resource": one.template, "clients": list(one.clients), "scopes": list(one.scopes)}
            for one in found
        ],
    }


def canonical(document: Mapping[str, Any]) -> str:
    """JSON text of a document, the same for equal documents."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
