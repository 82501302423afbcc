"""What is broken on purpose, and put back: a container's processes stopped or killed, a workload taken out of a region.

A container is known by its control group: a process belongs to it exactly when the kernel lists the two in the same groups.
"""

import contextlib
import datetime as dt
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from components.graph.model import Workload
from components.graph.names import SERVICE_LABEL
from sandbox.proof.journal import putting_back
from sandbox.proof.world import Pod, ProofError, World

_READY_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 2.0
_STANDING: Final = frozenset("TtZX")
"""States of a process (proc(5)): stopped, traced, a zombie, dead."""
_DEPLOYMENT: Final = ("apps/v1", "Deployment")
_RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
_MANAGER: Final = "zerotrust-proof"


def processes(container: int, table: Path = Path("/proc")) -> list[int]:
    """Every process in the control groups of this one, as this machine numbers them.

    Raises:
        ProofError: it is there no more.
    """
    groups = _groups(table / str(container))
    if not groups:
        msg = f"process {container} is there no more"
        raise ProofError(msg)
    return sorted(int(each.name) for each in table.iterdir() if each.name.isdigit() and _groups(each) == groups)


def _groups(process: Path) -> str:
    try:
        return (process / "cgroup").read_text(encoding="utf-8")
    except OSError:
        return ""  # it ended meanwhile


@contextmanager
def frozen(world: World, pod: Pod, container: str) -> Iterator[None]:
    """A container none of whose processes runs, and all of them go on when the context ends.

    Raises:
        ProofError: one of them does not stop.
    """
    stopped = processes(pod.processes[container])
    with putting_back(world, f"{container} of {pod} frozen", partial(_signal, stopped, signal.SIGCONT)):
        _signal(stopped, signal.SIGSTOP)
        world.wait(f"{container} of {pod} stands still", lambda: all(map(_stands, stopped)), _STOP_SECONDS)
        yield


def _stands(process: int) -> bool:
    """Whether a process is stopped, or ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in _STANDING
    except OSError:
        return True


def kill(pod: Pod, container: str) -> None:
    """Ends a container's processes without asking them; the kubelet starts it anew."""
    _signal(processes(pod.processes[container]), signal.SIGKILL)


def _signal(numbers: list[int], which: signal.Signals) -> None:
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, which)


def await_again(world: World, pod: Pod, container: str, killed: float) -> float:
    """Returns when a container that was killed at this moment runs again, with the moment since which it does.

    Raises:
        ProofError: not within two minutes.
    """
    found: list[float] = []

    def runs() -> bool:
        for one in world.pods(pod.region, pod.namespace):
            if one.name == pod.name and container in one.processes:
                # one that is about to end may still be listed
                with contextlib.suppress(ProofError):
                    found.extend(moment for moment in (begun(one.processes[container]),) if moment > killed)
        return bool(found)

    world.wait(f"{pod}: {container} runs again", runs, _READY_SECONDS)
    return found[0]


def begun(process: int, table: Path = Path("/proc")) -> float:
    """When a process was begun, in seconds since 1970, to a hundredth.

    Raises:
        ProofError: it is there no more.
    """
    try:
        # the name, in brackets, may hold anything; the 22nd field is the 20th behind it
        ticks = int((table / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        uptime = float((table / "uptime").read_text(encoding="utf-8").split()[0])
    except OSError as error:
        msg = f"process {process} is there no more"
        raise ProofError(msg) from error
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def await_ready(world: World, pod: Pod) -> None:
    """Returns when the pod is ready.

    Raises:
        ProofError: not within two minutes.
    """

    def is_ready() -> bool:
        return any(one.name == pod.name and one.ready for one in world.pods(pod.region, pod.namespace))

    world.wait(f"{pod} is ready", is_ready, _READY_SECONDS)


@contextmanager
def taken_out(world: World, region: str, workload: Workload) -> Iterator[None]:
    """A region without any pod of a workload: what ran is killed, nothing is started before the context ends.

    Raises:
        ProofError: at the end, when it does not come back.
    """
    running = pods(world, region, workload)
    before = replicas(world, region, workload)

    def put_back() -> None:
        scale(world, region, workload, before)
        world.wait(f"{workload.ref} is back in {region}", lambda: _is_back(world, region, workload, before), _READY_SECONDS)

    with putting_back(world, f"{workload.ref} in {region} scaled to none, from {before}", put_back):
        scale(world, region, workload, 0)
        for pod in running:
            for container in pod.processes:
                with contextlib.suppress(ProofError):
                    kill(pod, container)  # one that has ended with another is what was wanted
        yield


def _is_back(world: World, region: str, workload: Workload, wanted: int) -> bool:
    return sum(one.ready for one in pods(world, region, workload)) >= wanted


def pods(world: World, region: str, workload: Workload) -> list[Pod]:
    """The running pods of a workload that are not about to end."""
    return world.pods(region, workload.tenant, **{SERVICE_LABEL: workload.name})


def restart(world: World, region: str, workload: Workload) -> float:
    """Has every pod of a workload replaced, as `kubectl rollout restart` does; seconds until the last old one is gone.

    Raises:
        ProofError: not within two minutes.
    """
    cluster, tenant = world.clusters[region], workload.tenant
    wanted, old = replicas(world, region, workload), {one.name for one in pods(world, region, workload)}
    api, kind = _DEPLOYMENT
    about = {"annotations": {_RESTARTED: dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}}
    metadata = {"name": workload.name, "namespace": tenant}
    cluster.apply({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": {"template": {"metadata": about}}}, _MANAGER)

    def is_replaced() -> bool:
        now = pods(world, region, workload)
        is_new = len(now) == wanted and all(one.ready and one.name not in old for one in now)
        return is_new and not any(cluster.get("v1", "Pod", tenant, name) for name in old)

    return world.wait(f"{workload.ref} in {region} has new pods alone", is_replaced, _READY_SECONDS)


def _path(world: World, region: str, workload: Workload) -> str:
    return world.clusters[region].path(*_DEPLOYMENT, workload.tenant, workload.name) + "/scale"


def replicas(world: World, region: str, workload: Workload) -> int:
    """How many pods of a workload are wanted."""
    found: Mapping[str, Any] = world.clusters[region].request("GET", _path(world, region, workload))
    return int(found["spec"].get("replicas", 0))


def scale(world: World, region: str, workload: Workload, wanted: int) -> None:
    """Has so many pods of a workload run; the server sees to it in its own time."""
    world.clusters[region].merge(_path(world, region, workload), {"spec": {"replicas": wanted}})
