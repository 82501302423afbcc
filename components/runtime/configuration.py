"""The side-kick's configuration: which output hears what, from the settings alone.

The side-kick itself neither groups nor drops repeated events. So people are told by Alertmanager, which does: events of one rule
are one notification, repeated by its own intervals. Slack and PagerDuty are told directly only from critical on, where an event
too many is better than one that waits for Prometheus' parts to be well; what PagerDuty hears directly reaches Alertmanager as a
ticket. Keys as in config_example.yaml of falcosidekick 2.34.
"""

from typing import Any, Final

import yaml

from components.graph.names import (
    COLLECTOR,
    LOKI_PORT,
    LOKI_SERVICE,
    OBSERVABILITY_NAMESPACE,
    OTLP_HTTP_PORT,
    RESPONDER,
    RESPONDER_PATH,
    RESPONDER_PORT,
    SECURITY_NAMESPACE,
    service_host,
)
from components.runtime.names import (
    ALERTMANAGER_PORT,
    ALERTMANAGER_SERVICE,
    ALERTMANAGERS,
    EVENTS_PORT,
    LOG_TENANT,
    SECRETS_PATH,
    STATUS_PORT,
)
from components.settings.runtime import PAGERDUTY_KEY, PRIORITIES, SLACK_KEY, RuntimeSettings

TLS_FOLDER: Final = "/etc/falcosidekick/tls"
RUNBOOK: Final = "CriticalEvent"


def at_least(priority: str) -> tuple[str, ...]:
    """The priorities from one on."""
    return PRIORITIES[PRIORITIES.index(priority) :]


def needs_secrets(settings: RuntimeSettings) -> bool:
    """Whether an output is on whose address or key is a secret."""
    return bool(settings.secrets)


def severities(settings: RuntimeSettings) -> dict[str, str]:
    """Priority → severity of the alert: a page from critical on, unless PagerDuty hears of it directly."""
    direct = at_least(settings.pagerduty.minimum_priority) if settings.pagerduty else ()
    pages = set(at_least("critical")) - set(direct)
    return {priority: "page" if priority in pages else "ticket" for priority in PRIORITIES}


def alertmanagers() -> tuple[str, ...]:
    """Address of every instance."""
    domain = service_host(OBSERVABILITY_NAMESPACE, ALERTMANAGER_SERVICE)
    return tuple(f"http://{instance}.{domain}:{ALERTMANAGER_PORT}" for instance in ALERTMANAGERS)


def _fetched(mount: str, key: str) -> str:
    """What the agent from Vault puts in the place, in its templates' language."""
    return f'{{{{ with secret "{mount}/data/{SECRETS_PATH}" }}}}{{{{ .Data.data.{key} }}}}{{{{ end }}}}'


def configuration(settings: RuntimeSettings, *, secrets_mount: str | None = None) -> dict[str, Any]:
    """The configuration file's content.

    Args:
        settings: Who hears what.
        secrets_mount: Vault's engine of the platform's own secrets (KV, version 2); their places are an agent's templates.

    Raises:
        ValueError: for an output with a secret and no engine to fetch it from.
    """
    if needs_secrets(settings) and secrets_mount is None:
        msg = "runtime: slack and pagerduty need a secret from Vault, and no engine is given"
        raise ValueError(msg)
    mount = secrets_mount or ""
    found: dict[str, Any] = {
        "listenport": EVENTS_PORT,
        "debug": False,  # would write every payload it sends, the secret addresses with it
        "tlsserver": {
            "deploy": True,
            "mutualtls": True,
            "certfile": f"{TLS_FOLDER}/tls.crt",
            "keyfile": f"{TLS_FOLDER}/tls.key",
            "cacertfile": f"{TLS_FOLDER}/ca.crt",
            "notlsport": STATUS_PORT,
            "notlspaths": ["/ping", "/healthz", "/metrics"],
        },
        "otlp": {
            "logs": {
                "endpoint": f"http://{service_host(OBSERVABILITY_NAMESPACE, COLLECTOR)}:{OTLP_HTTP_PORT}/v1/logs",
                "protocol": "http/protobuf",
                "minimumpriority": settings.minimum_priority,
            }
        },
        "loki": {
            "hostport": f"http://{service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE)}:{LOKI_PORT}",
            "tenant": LOG_TENANT,
            "format": "json",
            "minimumpriority": settings.loki_minimum_priority,
        },
        "alertmanager": {
            "hostport": ",".join(alertmanagers()),
            "endpoint": "/api/v2/alerts",  # the default's version is gone
            "minimumpriority": settings.alert_minimum_priority,
            "expiresafter": 60 * settings.alert_expiry_minutes,
            "customseveritymap": ",".join(f"{priority}:{severity}" for priority, severity in severities(settings).items()),
            "extraannotations": f"runbook:{RUNBOOK}",
        },
    }
    if settings.slack:
        slack = {
            "webhookurl": _fetched(mount, SLACK_KEY),
            "outputformat": "all",
            "minimumpriority": settings.slack.minimum_priority,
        }
        found["slack"] = slack
    if settings.pagerduty:
        found["pagerduty"] = {
            "routingkey": _fetched(mount, PAGERDUTY_KEY),
            "region": settings.pagerduty.region,
            "minimumpriority": settings.pagerduty.minimum_priority,
        }
    if settings.responder:
        found["webhook"] = {
            "address": f"http://{service_host(SECURITY_NAMESPACE, RESPONDER)}:{RESPONDER_PORT}{RESPONDER_PATH}",
            "minimumpriority": settings.responder.minimum_priority,
        }
    return found


def configuration_file(settings: RuntimeSettings, *, secrets_mount: str | None = None) -> str:
    """The same as YAML; with secrets it is the template of the agent that fetches them."""
    return yaml.safe_dump(configuration(settings, secrets_mount=secrets_mount), sort_keys=False, width=1000)
