"""Game days as data: what is taken away, what is promised then, and by which figures it is known. Pure.

A promise is one of two: the platform *survives* (nobody notices) or *fails closed* (somebody is refused who should have been let
in; never the other way round). `steady` must have a value before and after; while `abort` has one, the fault ends at once.
Not proven by a green game day: anything beyond the fault that was injected.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from components.graph.model import Graph
from components.graph.names import (
    INGRESS,
    MESH_NAMESPACE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
    VAULT_NAMESPACE,
)

Template = dict[str, Any]
_SERVED: Final = f'istio_requests_total{{reporter="source",source_workload="{INGRESS.name}"'
STEADY: Final = f'(sum(rate({_SERVED},response_code!~"5.."}}[2m])) / sum(rate({_SERVED}}}[2m]))) > 0.99'
"""More than 99 of 100 requests through the gateway are answered; no value without traffic, so a silent platform is not steady."""
BURNING: Final = f'(sum(rate({_SERVED},response_code=~"5.."}}[2m])) / sum(rate({_SERVED}}}[2m]))) > 0.05'
"""More than 5 of 100 requests fail: whoever promised to survive has not."""


@dataclass(frozen=True, kw_only=True)
class GameDay:
    """One experiment."""

    name: str
    """Of the Workflow, and of its entry in the table."""
    hypothesis: str
    """What is believed to happen."""
    promise: Literal["survives", "fails closed"]
    outcome: str
    """What must be seen."""
    steady: str
    """PromQL with a value exactly while all is well."""
    abort: str
    """PromQL with a value exactly when the fault must end at once."""
    minutes: int
    """How long the fault lasts."""
    rollback: str
    """What brings everything back when the experiment does not do it by itself."""
    namespaces: tuple[str, ...]
    """Where the fault is injected: each must be opted in, or the game day is not compiled."""
    fault: Template
    """The Workflow's template of the fault, without name and deadline."""


def _pods(namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"namespaces": [namespace], "labelSelectors": labels}


def _kill(namespace: str, labels: dict[str, str]) -> Template:
    chaos = {"action": "pod-failure", "mode": "all", "selector": _pods(namespace, labels)}
    return {"templateType": "PodChaos", "podChaos": chaos}


def _network(selector: dict[str, Any], **fields: Any) -> Template:
    return {"templateType": "NetworkChaos", "networkChaos": {"mode": "all", "selector": selector, **fields}}


def _control_plane(_graph: Graph, _region: str) -> tuple[GameDay, ...]:
    """What stands in the platform's own namespaces."""
    common: dict[str, Any] = {"steady": STEADY, "minutes": 10}
    return (
        GameDay(
            name="spire-server-loss",
            hypothesis="Certificates that are out stay good; none is issued or renewed while the servers are away.",
            promise="survives",
            outcome="Requests go on; a pod that starts meanwhile stays unready and is called by nobody.",
            abort=BURNING,
            rollback="kubectl -n spire-server rollout restart statefulset",
            namespaces=(SPIRE_SERVER_NAMESPACE,),
            fault=_kill(SPIRE_SERVER_NAMESPACE, {SERVICE_LABEL: "server"}),
            **common,
        ),
        GameDay(
            name="spire-agent-loss",
            hypothesis="Proxies keep the certificate they hold until it ends; none falls back to another issuer.",
            promise="survives",
            outcome="Requests go on; no certificate of another issuer appears.",
            abort=BURNING,
            rollback="kubectl -n spire-system rollout restart daemonset",
            namespaces=(SPIRE_SYSTEM_NAMESPACE,),
            fault=_kill(SPIRE_SYSTEM_NAMESPACE, {SERVICE_LABEL: "agent"}),
            **common,
        ),
        GameDay(
            name="istiod-loss",
            hypothesis="Proxies keep the rules they have; no pod is made without its proxy, since the injector fails closed.",
            promise="survives",
            outcome="Requests go on under the last rules; new pods are refused until istiod is back.",
            abort=BURNING,
            rollback="kubectl -n istio-system rollout restart deployment/istiod",
            namespaces=(MESH_NAMESPACE,),
            fault=_kill(MESH_NAMESPACE, {"app": "istiod"}),
            **common,
        ),
        GameDay(
            name="vault-loss",
            hypothesis="Credentials that are out last for their time; none is issued, and nobody is let in without one.",
            promise="survives",
            outcome="Requests go on for as long as the shortest credential lives; a login to Vault fails.",
            abort=BURNING,
            rollback="kubectl -n vault rollout restart statefulset/vault, then check that each server is unsealed",
            namespaces=(VAULT_NAMESPACE,),
            fault=_kill(VAULT_NAMESPACE, {SERVICE_LABEL: "vault"}),
            **common,
        ),
    )


def _zones(graph: Graph, region: str) -> tuple[GameDay, ...]:
    """The first zone of the region, in all opted-in namespaces of tenants."""
    spaces = tuple(sorted(set(graph.settings.chaos.namespaces) & set(graph.settings.tenants)))
    zone = f"{region}{min(graph.settings.regions[region].zones)}"
    selector = {"namespaces": list(spaces), "nodeSelectors": {"topology.kubernetes.io/zone": zone}}
    return (
        GameDay(
            name="zone-loss",
            hypothesis=f"Every service has pods in other zones than {zone}, and they carry its load.",
            promise="survives",
            outcome="Requests go on; at most the requests in flight are lost.",
            steady=STEADY,
            abort=BURNING,
            minutes=10,
            rollback="kubectl delete the Workflow; pods of the zone come back when the fault ends",
            namespaces=spaces,
            fault={"templateType": "PodChaos", "podChaos": {"action": "pod-failure", "mode": "all", "selector": selector}},
        ),
    )


def _calls(graph: Graph, region: str) -> tuple[GameDay, ...]:
    """Per call of the access graph whose two ends stand in this region: the way between them becomes slow."""
    found = []
    for tenant in sorted(graph.settings.tenants):
        for workload in graph.workloads_of(tenant, region):
            for call in graph.calls_from(workload, region):
                if region not in call.destinations(region):
                    continue
                target = {"mode": "all", "selector": _pods(call.callee.tenant, {SERVICE_LABEL: call.callee.name})}
                where = _pods(tenant, {SERVICE_LABEL: workload.name})
                delay = {"latency": "2s", "jitter": "500ms", "correlation": "50"}
                found.append(
                    GameDay(
                        name=f"latency-{call.key}",
                        hypothesis=f"{call.caller.ref} gives up on a slow {call.callee.ref} before its own callers do.",
                        promise="fails closed",
                        outcome="Slow calls end as 504 at the caller's proxy; no call is retried into a second payment.",
                        steady=STEADY,
                        abort=BURNING,
                        minutes=5,
                        rollback="kubectl delete the Workflow",
                        namespaces=tuple(sorted({tenant, call.callee.tenant})),
                        fault=_network(where, action="delay", delay=delay, direction="to", target=target),
                    )
                )
    return tuple(found)


def _tenants(graph: Graph, region: str) -> tuple[GameDay, ...]:
    """In each tenant: its authorizers, its lookups, its databases' primaries."""
    resolver = str(ipaddress.IPv4Network(graph.settings.regions[region].service_cidr)[10])
    found = []
    for tenant in sorted(graph.settings.tenants):
        others = f'{_SERVED},destination_workload_namespace!="{tenant}"'
        hurt = f'(sum(rate({others},response_code=~"5.."}}[2m])) / sum(rate({others}}}[2m]))) > 0.05'
        common: dict[str, Any] = {"steady": STEADY, "minutes": 5, "namespaces": (tenant,)}
        if graph.workloads_of(tenant, region):
            found += [
                GameDay(
                    name=f"opa-loss-{tenant}",
                    hypothesis="A proxy whose OPA does not answer refuses, it does not let through.",
                    promise="fails closed",
                    outcome="A pod without OPA answers 403 to every request; nobody but the tenant's callers notices.",
                    abort=hurt,
                    rollback="kubectl delete the Workflow",
                    fault={
                        "templateType": "PodChaos",
                        "podChaos": {
                            "action": "container-kill",
                            "mode": "all",
                            "containerNames": ["opa"],
                            "selector": {"namespaces": [tenant]},
                        },
                    },
                    **common,
                ),
                GameDay(
                    name=f"dns-loss-{tenant}",
                    hypothesis="Proxies know their peers from istiod; a lost resolver stops external hosts alone.",
                    promise="survives",
                    outcome="Calls inside go on; calls to external hosts fail and reach no other host.",
                    abort=BURNING,
                    rollback="kubectl delete the Workflow",
                    fault=_network({"namespaces": [tenant]}, action="partition", direction="to", externalTargets=[resolver]),
                    **common,
                ),
            ]
        found += [
            GameDay(
                name=f"postgres-primary-loss-{tenant}-{store.name}",
                hypothesis="A standby that has every confirmed write becomes the primary within a minute.",
                promise="survives",
                outcome="Writes fail for less than a minute; no confirmed write is missing.",
                abort=BURNING,
                rollback=f"kubectl cnpg promote -n {tenant} {store.name} <instance>",
                fault={
                    "templateType": "PodChaos",
                    "podChaos": {
                        "action": "pod-kill",
                        "mode": "all",
                        "selector": _pods(tenant, {"cnpg.io/cluster": store.name, "cnpg.io/instanceRole": "primary"}),
                    },
                },
                **common,
            )
            for store in graph.stores_of(tenant)
            if store.kind == "database"
        ]
    return tuple(found)


_PARTS: Final[tuple[Callable[[Graph, str], tuple[GameDay, ...]], ...]] = (_control_plane, _zones, _calls, _tenants)


def every_game_day(graph: Graph, region: str) -> tuple[GameDay, ...]:
    """Everything that could be tried in a region, by name, whoever has opted in."""
    return tuple(sorted((day for part in _PARTS for day in part(graph, region)), key=lambda day: day.name))


def game_days(graph: Graph, region: str) -> tuple[GameDay, ...]:
    """What may be tried: every namespace that is touched has opted in."""
    allowed = set(graph.settings.chaos.namespaces) if graph.settings.chaos.enabled else set()
    return tuple(day for day in every_game_day(graph, region) if day.namespaces and set(day.namespaces) <= allowed)
