"""The platform's alerts and recording rules: a plain Prometheus rules file for each system, compiled into PrometheusRules.

`alerts/<system>.yaml` is what `promtool` checks and tests as it stands; what the cluster is given differs in one annotation, the
runbook's address, and in the limits that depend on the settings: recording rules that an alert compares with. An alert is a page
(somebody is woken) or a ticket (somebody reads it in the morning); nothing in between. Raises ValueError for a file that breaks a
rule of the house, naming the file and the alert.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from components.graph.model import Graph
from components.graph.names import OBSERVABILITY_NAMESPACE
from components.manifests import Manifest, manifest
from components.settings import Settings

FOLDER: Final = Path(__file__).with_name("alerts")
SEVERITIES: Final = ("page", "ticket")
ANNOTATIONS: Final = ("description", "runbook", "summary")
LATE_HOURS: Final = 2
"""How much longer than its schedule's wait a backup may take."""
LIMIT: Final = ":limit"
"""How the name of a recording rule ends whose value is the settings'."""
LIMITS: Final[Mapping[str, Callable[[Settings], int]]] = {
    "backup:objects_age_seconds:limit": lambda settings: (settings.backup.namespaces.longest_wait_hours + LATE_HOURS) * 3600,
}
"""Values of those, by name."""


def _alert_problems(rule: Mapping[str, Any]) -> Iterator[str]:
    severity = rule.get("labels", {}).get("severity")
    if severity not in SEVERITIES:
        yield f"severity is {severity!r}; say one of {', '.join(SEVERITIES)}"
    annotations = rule.get("annotations", {})
    if missing := [key for key in ANNOTATIONS if not annotations.get(key)]:
        yield f"annotations lack {', '.join(missing)}"
    elif annotations["runbook"] != rule["alert"]:
        yield f"runbook is {annotations['runbook']!r}; it is named like the alert"


def problems(system: str, document: Mapping[str, Any]) -> tuple[str, ...]:
    """What a rules file breaks, one sentence each."""
    found: list[str] = []
    if set(document) != {"groups"} or not document["groups"]:
        return (f"{system}: a rules file has `groups`, and at least one",)
    for group in document["groups"]:
        if not str(group.get("name", "")).startswith(system):
            found.append(f"{system}: group {group.get('name')!r}: its name starts with the system's")
        for rule in group.get("rules", ()):
            if "alert" in rule:
                found += [f"{system}: {rule['alert']}: {problem}" for problem in _alert_problems(rule)]
            elif "record" not in rule:
                found.append(f"{system}: group {group['name']}: a rule is an alert or a recording rule")
            elif rule["record"].endswith(LIMIT) and rule["record"] not in LIMITS:
                found.append(f"{system}: {rule['record']}: no setting gives this limit")
    return tuple(found)


@cache
def rule_files() -> Mapping[str, Mapping[str, Any]]:
    """Every rules file by its system, the file's name without its ending.

    Raises:
        ValueError: for a file that breaks a rule of the house, or an alert that two files have.
    """
    files = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
    found = [problem for system, document in files.items() for problem in problems(system, document)]
    homes: dict[str, str] = {}
    for system, rule in _alerts(files):
        if rule["alert"] in homes:
            found.append(f"{system}: {rule['alert']}: {homes[rule['alert']]} has an alert of this name")
        homes.setdefault(rule["alert"], system)
    if found:
        raise ValueError("; ".join(found))
    return MappingProxyType(files)


def _alerts(files: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for system, document in files.items():
        for group in document.get("groups") or ():
            yield from ((system, rule) for rule in group.get("rules", ()) if "alert" in rule)


def alerts() -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Every alert with its system."""
    return tuple(_alerts(rule_files()))


def compiled(groups: list[dict[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """A file's groups with the settings' limits, and each alert with its runbook's address where the settings publish them."""
    wanted, url = copy.deepcopy(groups), settings.observability.runbooks_url
    for rule in (rule for group in wanted for rule in group["rules"]):
        if "alert" in rule and url:
            rule["annotations"]["runbook_url"] = f"{url}/{rule['alert']}.md"
        elif rule.get("record") in LIMITS:
            rule["expr"] = f"vector({LIMITS[rule['record']](settings)})"
    return wanted


def rule_objects(graph: Graph) -> tuple[Manifest, ...]:
    """A PrometheusRule for each system; every Prometheus of the cluster loads all of them."""
    return tuple(
        manifest(
            "monitoring.coreos.com/v1",
            "PrometheusRule",
            system,
            namespace=OBSERVABILITY_NAMESPACE,
            spec={"groups": compiled(document["groups"], graph.settings)},
        )
        for system, document in rule_files().items()
    )
