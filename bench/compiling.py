"""What compiling the access graph costs: the graph and every layer's objects, in every region, as pure functions.

CPU seconds of this process, least of a few rounds: what else the machine does only ever adds to them.
"""

import statistics
import time
from typing import Any

from bench.synthetic import tree
from components.cni.objects import region_objects as network_objects
from components.decision.objects import region_objects as decision_objects
from components.edge.api_routes import operations, routes_by_tenant
from components.graph.model import Graph
from components.identity.registration import region_objects as identity_objects
from components.mesh.issuer import issuer_objects
from components.mesh.limits import rate_limit_config
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects as mesh_objects
from components.settings import Settings, load
from components.tenancy.namespace import platform_namespaces
from components.tenant import tenant_layers
from sandbox.session import rare_collections


def compiled(settings: Settings) -> int:
    """Compiles everything that the graph decides, for every region and tenant; the number of objects."""
    graph = Graph.of(settings)
    count = 0
    for region in graph.regions:
        once = (network_objects, mesh_objects, identity_objects, decision_objects, issuer_objects)
        count += sum(len(compiler(graph, region)) for compiler in once) + len(platform_namespaces(settings))
        mesh_config(graph, region)
        rate_limit_config(graph)
        for tenant, routes in routes_by_tenant(settings.access.routes).items():
            count += len(operations(tenant, routes))
        for tenant in graph.tenants:
            count += sum(len(objects) for objects in tenant_layers(graph, region, tenant).values())
    return count


def least_seconds(settings: Settings, rounds: int) -> tuple[float, int]:
    """CPU seconds of the cheapest of `rounds` runs, and the number of objects."""
    seconds, count = [], 0
    for _ in range(rounds):
        started = time.process_time()
        count = compiled(settings)
        seconds.append(time.process_time() - started)
    return min(seconds), count


def growth(seconds: dict[int, float], small: int, middle: int, large: int) -> dict[str, float]:
    """What the next tenant costs in a large environment against a small one.

    `per_tenant`: all seconds divided by tenants, large ÷ middle. `marginal`: the same of the seconds that the step up cost, so
    that what a region costs once hides nothing.
    """
    step_up = (seconds[large] - seconds[middle]) / (large - middle)
    step_down = (seconds[middle] - seconds[small]) / (middle - small)
    return {
        "per_tenant": round((seconds[large] / large) / (seconds[middle] / middle), 3),
        "marginal": round(step_up / step_down, 3) if step_down > 0 else float("nan"),
    }


def measure(counts: tuple[int, int, int], rounds: int) -> dict[str, Any]:
    """Seconds and objects for each number of tenants, and how the cost of one grows. Sizes take turns, round by round."""
    loaded = {count: load(tree(count), f"{count} tenants") for count in counts}
    runs: dict[int, list[float]] = {count: [] for count in counts}
    objects: dict[int, int] = {}
    with rare_collections():
        compiled(loaded[counts[0]])
        for _ in range(rounds):
            for count, settings in loaded.items():
                # The small ones end before the clock has ticked often: they are run again until they weigh as much.
                seconds, objects[count] = least_seconds(settings, max(1, counts[1] // count))
                runs[count].append(seconds)
    least = {count: min(seconds) for count, seconds in runs.items()}
    spread = [(max(seconds) - min(seconds)) / statistics.median(seconds) for seconds in runs.values()]
    return {
        "tenants": {
            str(count): {
                "objects": objects[count],
                "cpu_seconds": round(seconds, 4),
                "cpu_milliseconds_per_tenant": round(1000 * seconds / count, 3),
            }
            for count, seconds in least.items()
        },
        "growth": growth(least, *counts),
        "rounds": rounds,
        "spread": round(max(spread), 3),
    }
