"""Dashboards as code: a page is titles and queries, and everything about how Grafana wants it is said here once.

A query is PromQL or LogQL as its engine reads it, without variables of Grafana: what the tests hand to the real parsers is what
is asked.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from components.graph.names import OBSERVABILITY_NAMESPACE
from components.manifests import Manifest, manifest

Language = Literal["promql", "logql"]
Form = Literal["timeseries", "stat", "table", "logs"]
COLUMNS, HEIGHT = 24, 8
SCHEMA: Final = 41
"""Grafana's schema of a dashboard; it raises older ones by itself when it reads them."""
LABEL, FOLDER = "grafana_dashboard", "grafana_folder"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture and its queries."""

    title: str
    queries: Sequence[str]
    legend: str = ""
    unit: str = "short"
    form: Form = "timeseries"
    width: int = 12
    language: Language = "promql"
    source: str = "prometheus"
    """The data source's uid; logs and traces have one for each tenant."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One dashboard."""

    name: str
    """Of its object and in its address."""
    title: str
    folder: str
    panels: Sequence[Panel]


def rate(metric: str, by: str, match: str = "") -> str:
    """How fast a counter grows, a second, by these labels."""
    return f"sum by ({by}) (rate({metric}{{{match}}}[5m]))"


def _target(panel: Panel, number: int, query: str) -> dict[str, Any]:
    kind = "prometheus" if panel.language == "promql" else "loki"
    return {
        "refId": chr(ord("A") + number),
        "expr": query,
        "legendFormat": panel.legend,
        "datasource": {"type": kind, "uid": panel.source},
        **({"format": "table", "instant": True} if panel.form == "table" else {}),
    }


def _panels(page: Page) -> list[dict[str, Any]]:
    made, left, top = [], 0, 0
    for number, panel in enumerate(page.panels, start=1):
        if left + panel.width > COLUMNS:
            left, top = 0, top + HEIGHT
        made.append(
            {
                "id": number,
                "type": panel.form,
                "title": panel.title,
                "gridPos": {"x": left, "y": top, "w": panel.width, "h": HEIGHT},
                "datasource": {"type": "prometheus" if panel.language == "promql" else "loki", "uid": panel.source},
                "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
                "targets": [_target(panel, place, query) for place, query in enumerate(panel.queries)],
            }
        )
        left += panel.width
    return made


def dashboard(page: Page) -> dict[str, Any]:
    """The page as Grafana's dashboard."""
    return {
        "uid": page.name,
        "title": page.title,
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "tags": [page.folder.lower()],
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [],
        "panels": _panels(page),
    }


def queries(page: Page, language: Language) -> list[str]:
    """Every query of a page in one language."""
    return [query for panel in page.panels if panel.language == language for query in panel.queries]


def dashboard_objects(pages: Sequence[Page]) -> tuple[Manifest, ...]:
    """A ConfigMap for each page, as Grafana's own reader finds it."""
    return tuple(
        manifest(
            "v1",
            "ConfigMap",
            f"dashboard-{page.name}",
            namespace=OBSERVABILITY_NAMESPACE,
            labels={LABEL: "1"},
            annotations={FOLDER: page.folder},
            data={f"{page.name}.json": json.dumps(dashboard(page), indent=1, sort_keys=True)},
        )
        for page in pages
    )
