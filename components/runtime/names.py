"""What the runtime layer's parts call each other: releases, ports, files. Facts only."""

from typing import Final

from components.graph.names import SECURITY_NAMESPACE, service_host

FALCO: Final = "falco"
"""Release, DaemonSet, account and value of SERVICE_LABEL, in the namespace of the same name."""
SIDEKICK: Final = "falcosidekick"
"""Deployment, Service, account and value of SERVICE_LABEL, in the namespace of what answers events."""
FALCO_METRICS_PORT: Final = 8765
EVENTS_PORT: Final = 2802
"""Events come in here over the side-kick's own TLS, which asks for Falco's certificate."""
STATUS_PORT: Final = 2810
"""Health and metrics without TLS: the kubelet's probes and the agent beside the proxy ask here, inside the pod."""
ALERTMANAGER_SERVICE, ALERTMANAGER_PORT = "alertmanager-operated", 9093
"""The Service that Prometheus' operator makes for every Alertmanager, in the observability namespace."""
LOG_TENANT: Final = "security"
"""Loki's tenant of runtime events."""
SLACK_HOST: Final = "hooks.slack.com"
PAGERDUTY_HOSTS: Final = {"us": "events.pagerduty.com", "eu": "events.eu.pagerduty.com"}
SECRETS_PATH: Final = "platform/falcosidekick"
"""Where Vault's KV keeps the two secrets."""
SLACK_KEY, PAGERDUTY_KEY = "slack_webhook_url", "pagerduty_routing_key"
SECRETS_DIRECTORY: Final = "/vault/secrets"
"""Where an agent beside the application writes what it fetched, in every pod that has one."""


def events_host() -> str:
    """The name Falco sends to; the server's certificate carries it."""
    return service_host(SECURITY_NAMESPACE, SIDEKICK)
