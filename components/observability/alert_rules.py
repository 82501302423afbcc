"""The platform's alerts and recording rules: a plain Prometheus rules file for each system, compiled into PrometheusRules.

`alerts/<system>.yaml` is what `promtool` checks and tests as it stands; what the cluster is given differs in one annotation, the
runbook's address. An alert is a page (somebody is woken) or a ticket (somebody reads it in the morning); nothing in between.
Raises ValueError for a file that breaks a rule of the house, naming the file and the alert.
"""

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from components.graph.model import Graph
from components.graph.names import OBSERVABILITY_NAMESPACE
from components.manifests import Manifest, manifest

FOLDER: Final = Path(__file__).with_name("alerts")
SEVERITIES: Final = ("page", "ticket")
ANNOTATIONS: Final = ("description", "runbook", "summary")


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


def _addressed(groups: list[dict[str, Any]], runbooks_url: str | None) -> list[dict[str, Any]]:
    wanted = copy.deepcopy(groups)
    for group in wanted if runbooks_url else ():
        for rule in group["rules"]:
            if "alert" in rule:
                rule["annotations"]["runbook_url"] = f"{runbooks_url}/{rule['alert']}.md"
    return wanted


def rule_objects(graph: Graph) -> tuple[Manifest, ...]:
    """A PrometheusRule for each system; every Prometheus of the cluster loads all of them."""
    url = graph.settings.observability.runbooks_url
    return tuple(
        manifest(
            "monitoring.coreos.com/v1",
            "PrometheusRule",
            system,
            namespace=OBSERVABILITY_NAMESPACE,
            spec={"groups": _addressed(document["groups"], url)},
        )
        for system, document in rule_files().items()
    )
