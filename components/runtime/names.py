"""What the runtime layer's parts call each other: releases, ports, files. Facts only."""

from typing import Final

from components.graph.names import SECURITY_NAMESPACE, SIDEKICK, service_host
from components.graph.readers import EVENT_SECRETS

FALCO: Final = "falco"
"""Release, DaemonSet, account and value of SERVICE_LABEL, in the namespace of the same name."""
FALCO_METRICS_PORT: Final = 8765
EVENTS_PORT: Final = 2802
"""Events come in here over the side-kick's own TLS, which asks for Falco's certificate."""
STATUS_PORT: Final = 2810
"""Health and metrics without TLS: the kubelet's probes and the agent beside the proxy ask here, inside the pod."""
ALERTMANAGER_SERVICE, ALERTMANAGER_PORT = "alertmanager-operated", 9093
"""The Service that Prometheus' operator makes for the instances, in the observability namespace."""
ALERTMANAGERS: Final = tuple(f"alertmanager-monitoring-alertmanager-{number}" for number in range(3))
"""The instances by name: whoever raises an alert tells each of them, they share only what was sent."""
LOG_TENANT: Final = "security"
"""Loki's tenant of runtime events."""
SECRETS_PATH: Final = EVENT_SECRETS
"""Below the engine of the platform's own secrets in Vault."""
SECRETS_DIRECTORY: Final = "/var/run/secrets/vault"
"""Where an agent beside the application writes what it fetched, in every pod that has one."""
FETCHED: Final = (f"{SECRETS_DIRECTORY}/", "/run/secrets/vault/", "/run/vault/login/")
"""The same by both its names, and where the agent finds what it logs in with."""


def events_host() -> str:
    """The name Falco sends to; the server's certificate carries it."""
    return service_host(SECURITY_NAMESPACE, SIDEKICK)
