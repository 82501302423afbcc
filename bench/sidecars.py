"""What a running sidecar costs: memory of its control group, and the size of its configuration by its own administration port.

A dump in JSON is larger than what is kept in memory or sent; it grows with it.
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.control_groups import group_mib
from sandbox.proof.world import SIDECAR, Pod, ProofError, World

DUMP: Final = "config_dump?include_eds"
_AGENT: Final = "/usr/local/bin/pilot-agent"
_TYPES: Final = "type.googleapis.com/envoy.admin.v3."


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of one proxy's configuration. `mib` is what Envoy and pilot-agent hold of their own, without files that are mapped."""

    mib: float
    dump_bytes: int
    """Without the bootstrap, which is the same for all."""
    listeners: int
    clusters: int
    endpoints: int
    routes: int
    """Entries of all route tables."""


def size(dump: str, mib: float) -> Size:
    """From a proxy's whole dump."""
    parts = {part["@type"].removeprefix(_TYPES): part for part in json.loads(dump)["configs"]}
    clusters, listeners = parts.get("ClustersConfigDump", {}), parts.get("ListenersConfigDump", {})
    endpoints, routes = parts.get("EndpointsConfigDump", {}), parts.get("RoutesConfigDump", {})
    sent = [part for name, part in parts.items() if name != "BootstrapConfigDump"]
    return Size(
        mib=round(mib, 1),
        dump_bytes=len(json.dumps(sent, separators=(",", ":"))),
        listeners=_length(listeners, "static_listeners", "dynamic_listeners"),
        clusters=_length(clusters, "static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters"),
        endpoints=sum(
            len(place.get("lb_endpoints", ()))
            for key in ("static_endpoint_configs", "dynamic_endpoint_configs")
            for one in endpoints.get(key, ())
            for place in one["endpoint_config"].get("endpoints", ())
        ),
        routes=sum(
            len(host.get("routes", ()))
            for key in ("static_route_configs", "dynamic_route_configs")
            for one in routes.get(key, ())
            for host in one["route_config"].get("virtual_hosts", ())
        ),
    )


def _length(part: Mapping[str, Any], *keys: str) -> int:
    return sum(len(part.get(key, ())) for key in keys)


def summary(sizes: Iterable[Size]) -> dict[str, Any]:
    """Least, median and greatest of every figure."""
    rows = [asdict(one) for one in sizes]
    figures = {}
    for key in rows[0]:
        values = sorted(row[key] for row in rows)
        figures[key] = {"min": values[0], "median": statistics.median(values), "max": values[-1]}
    return {"sidecars": len(rows), **figures}


def admin(world: World, pod: Pod, path: str) -> str:
    """What a pod's proxy says at its administration port.

    Raises:
        ProofError: pilot-agent's words.
    """
    done = world.run(pod, [_AGENT, "request", "GET", path], container=SIDECAR)
    if done.returncode != 0:
        msg = f"the proxy of {pod} does not say {path}: {done.stderr.strip()}"
        raise ProofError(msg)
    return done.stdout


def running(world: World, tenants: Sequence[str]) -> list[Size]:
    """Every sidecar of the tenants' pods, in every region."""
    pods = [pod for region in sorted(world.clusters) for tenant in tenants for pod in world.pods(region, tenant)]
    return [size(admin(world, pod, DUMP), group_mib(pod.processes[SIDECAR])) for pod in pods if SIDECAR in pod.processes]
