"""Network rules of Falco and its side-kick: events and where they go.

Falco reaches the side-kick and nothing else; its metrics and its health are all that anybody asks it for. The side-kick reaches
what keeps and what raises events, the responder where there is one, and of the internet only the hosts of the outputs that the
settings turn on. The responder hears the side-kick alone and reaches the API server.
"""

from collections.abc import Iterator
from typing import Final

from components.cni.policies import Flow, Hosts, Lookups, Pods, Policy
from components.cni.policies_observability import ALERTMANAGER, ALERTMANAGER_PORT, COLLECTORS, LOKI, SIDE_KICK, meshed, scraped
from components.cni.policies_tenant import API_PORT, control_plane
from components.graph.model import Graph
from components.graph.names import (
    COLLECTOR,
    LOKI_PORT,
    LOKI_SERVICE,
    OBSERVABILITY_NAMESPACE,
    OTLP_HTTP_PORT,
    PROXY_METRICS_PORT,
    RESPONDER,
    RESPONDER_PORT,
    RUNTIME_NAMESPACE,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    service_host,
)
from components.settings.runtime import RuntimeSettings

EVENTS_PORT: Final = 2802
"""Of the side-kick's own TLS."""
FALCO: Final = Pods(namespace=RUNTIME_NAMESPACE, labels={SERVICE_LABEL: "falco"}, service_account="falco")
RESPONDING: Final = Pods(namespace=SECURITY_NAMESPACE, labels={SERVICE_LABEL: RESPONDER}, service_account=RESPONDER)
ALERTMANAGERS: Final = tuple(
    f"alertmanager-monitoring-alertmanager-{number}.{service_host(OBSERVABILITY_NAMESPACE, 'alertmanager-operated')}"
    for number in range(3)
)
"""The instances by name: whoever raises an alert tells each of them."""


def runtime_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """Falco to the side-kick, the side-kick to its outputs and the responder, both sides of each."""
    settings = graph.settings.runtime
    return (
        Policy(
            name="events",
            subject=FALCO,
            egress=(
                Flow(peer=SIDE_KICK, ports=(EVENTS_PORT,)),
                Flow(peer=Lookups(names=(service_host(SECURITY_NAMESPACE, "falcosidekick"),))),
            ),
        ),
        Policy(name="events", subject=SIDE_KICK, ingress=(Flow(peer=FALCO, ports=(EVENTS_PORT,)),)),
        *meshed("side-kick", SIDE_KICK),
        *_told(),
        *_people(settings),
        *(_responder(graph, region) if settings.responder else ()),
    )


def _told() -> Iterator[Policy]:
    names = tuple(service_host(OBSERVABILITY_NAMESPACE, name) for name in (COLLECTOR, LOKI_SERVICE))
    yield Policy(
        name="outputs",
        subject=SIDE_KICK,
        egress=(
            Flow(peer=COLLECTORS, ports=(OTLP_HTTP_PORT,)),
            Flow(peer=LOKI, ports=(LOKI_PORT,)),
            Flow(peer=ALERTMANAGER, ports=(ALERTMANAGER_PORT,)),
            Flow(peer=Lookups(names=(*names, *ALERTMANAGERS))),
        ),
    )
    for pods, port in ((COLLECTORS, OTLP_HTTP_PORT), (ALERTMANAGER, ALERTMANAGER_PORT)):
        yield Policy(name=f"events-{pods.labels[SERVICE_LABEL]}", subject=pods, ingress=(Flow(peer=SIDE_KICK, ports=(port,)),))


def _people(settings: RuntimeSettings) -> Iterator[Policy]:
    """The outputs that leave the platform; where their secrets are fetched stands with Vault's rules."""
    hosts = settings.output_hosts
    if not hosts:
        return
    yield Policy(
        name="people",
        subject=SIDE_KICK,
        egress=(Flow(peer=Hosts(names=hosts), ports=(API_PORT,)), Flow(peer=Lookups(names=hosts))),
    )


def _responder(graph: Graph, region: str) -> Iterator[Policy]:
    yield Policy(
        name="responder",
        subject=SIDE_KICK,
        egress=(
            Flow(peer=RESPONDING, ports=(RESPONDER_PORT,)),
            Flow(peer=Lookups(names=(service_host(SECURITY_NAMESPACE, RESPONDER),))),
        ),
    )
    yield Policy(name="responder-events", subject=RESPONDING, ingress=(Flow(peer=SIDE_KICK, ports=(RESPONDER_PORT,)),))
    yield Policy(name="responder-api", subject=RESPONDING, egress=(Flow(peer=control_plane(graph, region), ports=(API_PORT,)),))
    yield from meshed("responder", RESPONDING)
    yield from scraped("responder", RESPONDING, (PROXY_METRICS_PORT,))
