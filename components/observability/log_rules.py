"""Alerts over logs: files of LogQL that Loki's ruler evaluates over the audit stream, joined by SPIFFE id.

`alerts-logs/<name>.yaml` is read by the real Loki in the tests as it stands; what the cluster is given has each alert's runbook
by its address where the settings publish them. The ruler reads a folder for each tenant; there is one, of the audit stream.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from components.graph.model import Graph
from components.graph.names import LOKI_SERVICE, OBSERVABILITY_NAMESPACE
from components.manifests import Manifest, manifest
from components.observability.alert_rules import compiled
from components.observability.telemetry.names import AUDIT_LOGS

FOLDER: Final = Path(__file__).with_name("alerts-logs")
NAME: Final = f"{LOKI_SERVICE}-rules"
"""ConfigMap."""


def documents(graph: Graph) -> dict[str, dict[str, Any]]:
    """Rules files by their name, as the ruler reads them."""
    files = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
    return {name: {"groups": compiled(held["groups"], graph.settings)} for name, held in files.items()}


def rules_object(graph: Graph) -> Manifest:
    """The ConfigMap of the files."""
    data = {name: yaml.safe_dump(held, sort_keys=True) for name, held in documents(graph).items()}
    return manifest("v1", "ConfigMap", NAME, namespace=OBSERVABILITY_NAMESPACE, data=data)


def volume(folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Volume and mount of the files below the ruler's folder."""
    mount = {"name": "rules", "mountPath": f"{folder}/{AUDIT_LOGS}", "readOnly": True}
    return {"name": "rules", "configMap": {"name": NAME}}, mount
