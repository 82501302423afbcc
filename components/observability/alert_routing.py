"""Who is told of an alert: Alertmanager's configuration and its instances.

Guarantees: a page wakes somebody, a ticket is read in the morning, and the alert that always fires goes to a host outside the
platform, which raises one itself when it hears nothing. No key stands in the configuration: each is a file that the secrets
agent beside Alertmanager writes from Vault. Three instances in three zones tell each other what was sent.

Alertmanager stands outside the mesh: its instances find each other by pod address, and Prometheus must reach every one of them,
not one of them. The network's rules let in Prometheus and Loki by namespace, label and account, and nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from components.graph.names import ALERTMANAGER
from components.pods import pod_resources, system_placement
from components.settings.observability import AlertSettings

INSTANCES: Final = 3
SECRETS_DIRECTORY: Final = "/vault/secrets"
"""Files `pagerduty`, `slack` and `deadman`, one secret each: a routing key and two addresses."""
ALWAYS: Final = "Watchdog"
"""The alert that always fires."""
NOBODY: Final = "nobody"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What brings the secrets into Alertmanager's pods, in the shape of the operator's Alertmanager."""

    containers: Sequence[Mapping[str, Any]] = ()
    init_containers: Sequence[Mapping[str, Any]] = ()
    volumes: Sequence[Mapping[str, Any]] = ()
    volume_mounts: Sequence[Mapping[str, Any]] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def alertmanager_config(settings: AlertSettings, *, environment: str, region: str) -> dict[str, Any]:
    """Alertmanager's configuration.

    Args:
        settings: Who is told.
        environment: Named in what people read.
        region: Likewise.
    """
    receivers: list[dict[str, Any]] = [{"name": NOBODY}]
    routes: list[dict[str, Any]] = [_watchdog(settings)]
    title = f"[{environment} {region}] {{{{ .CommonLabels.alertname }}}}"
    if settings.deadman_host:
        receivers.append({"name": "deadman", "webhook_configs": [{"url_file": f"{SECRETS_DIRECTORY}/deadman"}]})
    if settings.pagerduty:
        receivers.append({"name": "pager", "pagerduty_configs": [_pager(title)]})
        # A page is shown in the channel as well, so it does not end here.
        routes.append({"receiver": "pager", "matchers": ['severity = "page"'], "continue": bool(settings.slack_channel)})
    if settings.slack_channel:
        receivers.append({"name": "channel", "slack_configs": [_channel(settings.slack_channel, title)]})
        routes.append({"receiver": "channel", "matchers": ['severity =~ "page|ticket"'], "repeat_interval": "1d"})
    return {
        "global": {"resolve_timeout": "5m"},
        "route": {
            "receiver": NOBODY,
            "group_by": ["alertname", "namespace"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": routes,
        },
        # A node that is gone takes its pods with it: whoever is woken reads of the node.
        "inhibit_rules": [
            {"source_matchers": ['alertname = "NodeNotReady"'], "target_matchers": ['severity = "ticket"'], "equal": ["node"]},
            {"source_matchers": ['severity = "page"'], "target_matchers": ['severity = "ticket"'], "equal": ["alertname"]},
        ],
        "receivers": receivers,
    }


def _watchdog(settings: AlertSettings) -> dict[str, Any]:
    heard = {"group_wait": "0s", "group_interval": "1m", "repeat_interval": "1m"} if settings.deadman_host else {}
    return {"receiver": "deadman" if heard else NOBODY, "matchers": [f'alertname = "{ALWAYS}"'], **heard}


def _pager(title: str) -> dict[str, Any]:
    return {
        "routing_key_file": f"{SECRETS_DIRECTORY}/pagerduty",
        "send_resolved": True,
        "severity": "critical",
        "description": f"{title}: {{{{ .CommonAnnotations.summary }}}}",
        "details": {"runbook": "{{ .CommonAnnotations.runbook }}", "description": "{{ .CommonAnnotations.description }}"},
    }


def _channel(channel: str, title: str) -> dict[str, Any]:
    lines = ("summary", "description", "runbook")
    text = "{{ range .Alerts }}" + "\n".join(f"{{{{ .Annotations.{line} }}}}" for line in lines) + "\n{{ end }}"
    return {
        "api_url_file": f"{SECRETS_DIRECTORY}/slack",
        "channel": channel,
        "send_resolved": True,
        "title": title,
        "text": text,
    }


def needs_secrets(settings: AlertSettings) -> bool:
    """Whether any receiver has a key."""
    return bool(settings.secrets)


def alertmanager_values(
    settings: AlertSettings, delivery: Delivery | None, *, environment: str, region: str, storage_class: str
) -> dict[str, Any]:
    """The chart's values under `alertmanager`.

    Raises:
        ValueError: for receivers whose keys nobody delivers.
    """
    if needs_secrets(settings) and delivery is None:
        msg = "observability.alerts: a receiver needs a secret, and nothing delivers it to Alertmanager"
        raise ValueError(msg)
    brought = delivery or Delivery()
    return {
        "enabled": True,
        "serviceAccount": {"create": True, "name": ALERTMANAGER, "automountServiceAccountToken": False},
        "podDisruptionBudget": {"enabled": True, "minAvailable": INSTANCES - 1},
        "config": {**alertmanager_config(settings, environment=environment, region=region), "templates": []},
        "serviceMonitor": {"selfMonitor": True},
        "alertmanagerSpec": {
            "replicas": INSTANCES,
            "retention": "120h",
            "podMetadata": {"labels": {"sidecar.istio.io/inject": "false"}, "annotations": dict(brought.annotations)},
            "podAntiAffinity": "hard",
            "podAntiAffinityTopologyKey": "topology.kubernetes.io/zone",
            "automountServiceAccountToken": False,
            "alertmanagerConfigSelector": {},
            "resources": pod_resources("20m", "128Mi"),
            "storage": {
                "volumeClaimTemplate": {
                    "spec": {
                        "storageClassName": storage_class,
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "2Gi"}},
                    }
                }
            },
            "containers": list(brought.containers),
            "initContainers": list(brought.init_containers),
            "volumes": list(brought.volumes),
            "volumeMounts": list(brought.volume_mounts),
            "enableServiceLinks": False,
            **system_placement(),
        },
    }
