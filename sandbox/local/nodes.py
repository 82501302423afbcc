"""Both regions' clusters without anything on them: networks, control planes, nodes. And how they end, whatever ran."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from sandbox.local import control_plane, network, node
from sandbox.local.control_plane import ControlPlane
from sandbox.local.plan import Plan
from sandbox.local.processes import Processes

PROGRAMS: Final = (*control_plane.PROGRAMS, *node.PROGRAMS)
_EMPTY_SECONDS: Final = 20.0
_TICK: Final = 0.1


def start(plan: Plan, programs: Mapping[str, Path], images: Path, progress: Callable[[str], None]) -> dict[str, ControlPlane]:
    """Starts every region's control plane and nodes; the caller has checked the machine and ended what was there.

    Args:
        plan: where everything goes.
        programs: PROGRAMS → the binaries.
        images: what every node's containerd begins with (`sandbox.local.images.store`).
        progress: gets a line for each thing that stands.

    Raises:
        NetworkError, ProcessError, CertificateError: with the reason; what was started is recorded and `end` finds it.
    """
    plan.home.mkdir(parents=True, exist_ok=True)
    plan.home.chmod(0o700)
    processes = Processes(plan.home)
    network.build(plan)
    progress("networks of " + ", ".join(region.code for region in plan.regions))
    with ThreadPoolExecutor(len(plan.regions)) as pool:
        clusters = list(pool.map(lambda region: control_plane.start(region, programs, processes), plan.regions))
    for cluster in clusters:
        progress(f"{cluster.region.code} has its control plane at {cluster.region.api}")
    for cluster in clusters:
        begun = {
            one.name: node.begin(plan, cluster, one, programs=programs, images=images, processes=processes)
            for one in cluster.region.nodes
        }
        node.await_ready(cluster, begun, processes, progress)
    return {cluster.region.code: cluster for cluster in clusters}


def end(plan: Plan) -> int:
    """Ends and removes everything of a sandbox, also of one whose start or owner was killed; returns how many processes ran."""
    ended = Processes(plan.home).stop()
    _empty(plan)
    network.destroy(plan)
    for mounted in sorted(_mounts(plan.home), reverse=True):
        subprocess.run(["umount", "--lazy", mounted], check=True)
    if plan.home.exists():
        shutil.rmtree(plan.home)
    return ended


def _empty(plan: Plan) -> None:
    """Ends what is left in the nodes' control groups, which nothing else may be in, and removes them."""
    nodes = [one for region in plan.regions for one in region.nodes]
    deadline = time.monotonic() + _EMPTY_SECONDS
    while groups := [group for one in nodes for group in node.control_groups(one)]:
        for group in groups:
            for pid in (group / "cgroup.procs").read_text(encoding="utf-8").split():
                _kill(int(pid))
        for group in groups:
            _remove(group)
        if time.monotonic() > deadline:
            return
        time.sleep(_TICK)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return


def _remove(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        return  # a process in it is still ending


def _mounts(home: Path) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        path = line.split()[1].replace("\\040", " ")
        if Path(path).is_relative_to(home):
            yield path
