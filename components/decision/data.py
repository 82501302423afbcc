"""What the OPA of one workload knows: the edges that end at it, and nothing about anybody else's.

The document becomes `data.workload`; `files/authz.rego` reads it. Kept as the settings have it, so that an auditor can
read it: paths stay patterns, only clock times become minutes of the day.
"""

from collections.abc import Iterable
from typing import Any, Final

from components.graph.identity import spiffe_id
from components.graph.model import Call, Graph, Route, Workload
from components.graph.names import INGRESS
from components.settings.access import HoursSettings, OperationSettings

ROUTE_RISK_CEILING: Final = "medium"
"""A route asks of the ingress gateway what a call without conditions asks of its caller: not to be at high risk."""


def workload_data(graph: Graph, region: str, workload: Workload) -> dict[str, Any]:
    """The edges that the workload of a region admits, JSON values only.

    Shape: `{workload, region, issuer, calls: {<key>: edge}, routes: {<key>: edge}}`; an edge is `{principals: [<SPIFFE id>],
    operations: [{methods, paths}], conditions: {scopes?, clients?, hours?: {start_minute, end_minute},
    amount_limit_minor_units?, risk_ceiling}}`. A condition that is not asked for is absent. Nothing depends on an order: adding
    an edge adds one key.

    Raises:
        ValueError: for a region that the workload does not run in.
    """
    if region not in workload.regions:
        msg = f"{workload.ref} does not run in {region}"
        raise ValueError(msg)
    return {
        "workload": workload.ref,
        "region": region,
        "issuer": graph.settings.identity.issuer,
        "calls": {call.key: _call(graph, region, call) for call in graph.calls_to(workload, region)},
        "routes": {route.key: _route(graph, region, route) for route in graph.routes_to(workload)},
    }


def _call(graph: Graph, region: str, call: Call) -> dict[str, Any]:
    wanted = call.conditions
    conditions: dict[str, Any] = {"risk_ceiling": wanted.risk_ceiling}
    if wanted.scopes:
        conditions["scopes"] = sorted(wanted.scopes)
    if wanted.hours is not None:
        conditions["hours"] = _window(wanted.hours)
    if wanted.amount_limit_minor_units is not None:
        conditions["amount_limit_minor_units"] = wanted.amount_limit_minor_units
    return {
        "principals": [
            spiffe_id(graph.trust_domain(origin), call.caller.tenant, call.caller.name) for origin in call.origins(region)
        ],
        "operations": _operations(call.operations),
        "conditions": conditions,
    }


def _route(graph: Graph, region: str, route: Route) -> dict[str, Any]:
    return {
        "principals": [spiffe_id(graph.trust_domain(region), INGRESS.namespace, INGRESS.name)],
        "operations": _operations(route.operations),
        "conditions": {
            "clients": sorted(client.client_id for client in route.clients),
            "risk_ceiling": ROUTE_RISK_CEILING,
            "scopes": sorted(route.settings.scopes),
        },
    }


def _operations(operations: Iterable[OperationSettings]) -> list[dict[str, list[str]]]:
    return [{"methods": sorted(operation.methods), "paths": sorted(operation.paths)} for operation in operations]


def _window(hours: HoursSettings) -> dict[str, int]:
    return {"start_minute": _minute(hours.start), "end_minute": _minute(hours.end)}


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)
