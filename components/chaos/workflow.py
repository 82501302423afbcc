"""A game day as Chaos Mesh's own Workflow, and the ConfigMap that holds them all until somebody starts one. Pure.

A Workflow runs as soon as it exists. So the program registers none: it registers their text, and who holds a game day creates the
one it is about (docs/runbooks/game-day.md). Chaos Mesh can look at a page's status alone, not at a figure. Prometheus answers a
query that cannot be evaluated with 422 and every other with 200; `gate` makes of a condition a query that cannot be evaluated
exactly while the condition holds. Whoever does not get an answer gets no 200 either: without Prometheus no fault begins, and one
that runs is ended.
"""

import json
from typing import Any, Final
from urllib.parse import quote

from components.chaos.game_days import GameDay, game_days
from components.graph.model import Graph
from components.graph.names import (
    CHAOS_NAMESPACE,
    FAULT_CONTROLLER_LABELS,
    OBSERVABILITY_NAMESPACE,
    PROMETHEUS_PORT,
    PROMETHEUS_SERVICE,
    service_host,
)
from components.manifests import Manifest, manifest

API: Final = "chaos-mesh.org/v1alpha1"
PROMETHEUS_HOST: Final = service_host(OBSERVABILITY_NAMESPACE, PROMETHEUS_SERVICE)
PROMETHEUS_URL: Final = f"http://{PROMETHEUS_HOST}:{PROMETHEUS_PORT}/api/v1/query?query="
BOOK: Final = "game-days"
"""The ConfigMap; a key for each game day."""
CHECK_SECONDS, FAILURES_TO_ABORT = 5, 2
SETTLE: Final = "5m"
"""How long the platform may take to be steady again."""


def gate(condition: str) -> str:
    """A query that Prometheus cannot evaluate (422) while `condition` has a value, and answers with nothing (200) while not.

    Two series on the side of `on()` that may have one only are what it refuses.
    """
    twice = " or ".join(f'label_replace(({condition}), "gate", "{side}", "", "")' for side in ("a", "b"))
    return f"vector(1) * on() ({twice})"


def violated(steady: str) -> str:
    """A condition that holds while `steady` has no value."""
    return f"absent({steady})"


def _check(name: str, query: str, *, deadline: str, mode: str, failures: int) -> dict[str, Any]:
    return {
        "name": name,
        "templateType": "StatusCheck",
        "deadline": deadline,
        # A continuous check that fails ends the whole Workflow, and with it the fault; so does the first that is not steady.
        "abortWithStatusCheck": True,
        "statusCheck": {
            "mode": mode,
            "type": "HTTP",
            "intervalSeconds": CHECK_SECONDS,
            "timeoutSeconds": CHECK_SECONDS,
            "failureThreshold": failures,
            "successThreshold": 1,
            "http": {"url": PROMETHEUS_URL + quote(query, safe=""), "method": "GET", "criteria": {"statusCode": "200"}},
        },
    }


def workflow(day: GameDay) -> Manifest:
    """Steady, then the fault under watch, then steady again."""
    lasts = f"{day.minutes}m"
    steady = gate(violated(day.steady))
    templates = [
        {
            "name": "day",
            "templateType": "Serial",
            "deadline": f"{day.minutes + 15}m",
            "children": ["steady-before", "under-watch", "steady-after"],
        },
        _check("steady-before", steady, deadline="1m", mode="Synchronous", failures=1),
        {"name": "under-watch", "templateType": "Parallel", "deadline": lasts, "children": ["watch", "fault"]},
        _check("watch", gate(day.abort), deadline=lasts, mode="Continuous", failures=FAILURES_TO_ABORT),
        {"name": "fault", "deadline": lasts, **day.fault},
        # As many failures as fit: it may take this long to be steady again.
        _check("steady-after", steady, deadline=SETTLE, mode="Synchronous", failures=60),
    ]
    return manifest(
        API,
        "Workflow",
        day.name,
        namespace=CHAOS_NAMESPACE,
        annotations={"zerotrust.dev/promise": day.promise, "zerotrust.dev/outcome": day.outcome},
        spec={"entry": "day", "templates": templates},
    )


def region_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """The book of game days, and who watches the controller; nothing where Chaos Mesh is not installed."""
    if not graph.settings.chaos.enabled:
        return ()
    pages = {f"{day.name}.json": json.dumps(workflow(day), indent=2, sort_keys=True) for day in game_days(graph, region)}
    # The chart has no monitor of its own.
    watched = {"podMetricsEndpoints": [{"port": "http"}], "selector": {"matchLabels": dict(FAULT_CONTROLLER_LABELS)}}
    return (
        manifest("v1", "ConfigMap", BOOK, namespace=CHAOS_NAMESPACE, data=pages),
        manifest("monitoring.coreos.com/v1", "PodMonitor", "faults", namespace=CHAOS_NAMESPACE, spec=watched),
    )
