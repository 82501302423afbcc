"""What a container's control groups say and limit, of either version; and processes beside them, by `/proc`."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sandbox.local.host import CGROUPS, unified
from sandbox.proof.world import ProofError

_MIB: Final = 2**20
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_FLOOR: Final = "bench-floor"


def control_group(process: int, controller: str) -> Path:
    """Where a controller's figures of a process are.

    Raises:
        ProofError: it is in no group of that controller.
    """
    for line in Path(f"/proc/{process}/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if unified():
            return CGROUPS / path.lstrip("/")
        if controller in controllers.split(","):
            return CGROUPS / controller / path.lstrip("/")
    msg = f"process {process} is in no control group of {controller}"
    raise ProofError(msg)


def group_mib(process: int) -> float:
    """Memory of their own, without files that are mapped, that all processes of a process's container hold."""
    text = (control_group(process, "memory") / "memory.stat").read_text(encoding="utf-8")
    figures = dict(line.split() for line in text.splitlines())
    return int(figures["anon" if unified() else "rss"]) / _MIB


def group_cpu_seconds(process: int) -> float:
    """Used so far by everything in a process's control group."""
    if not unified():
        return int((control_group(process, "cpuacct") / "cpuacct.usage").read_text(encoding="utf-8")) / 1e9
    lines = (control_group(process, "cpu") / "cpu.stat").read_text(encoding="utf-8").splitlines()
    return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6


@contextlib.contextmanager
def unlimited(group: Path) -> Iterator[None]:
    """A control group without a CPU limit for this time."""
    file, free = (group / "cpu.max", "max") if unified() else (group / "cpu.cfs_quota_us", "-1")
    before = file.read_text(encoding="utf-8").strip()
    file.write_text(free, encoding="utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):  # the container ended meanwhile
            file.write_text(before, encoding="utf-8")


@contextlib.contextmanager
def beside(container: int) -> Iterator[Path]:
    """A group beside a container's, in its pod and with its weight, for this time; whoever is put there has to end before.

    In this machine's own group a process would have its turn before the pods, where others want the processors as well.
    """
    own = control_group(container, "cpu")
    made, weight = own.parent / _FLOOR, "cpu.weight" if unified() else "cpu.shares"
    made.mkdir(exist_ok=True)
    try:
        (made / weight).write_text((own / weight).read_text(encoding="utf-8"), encoding="utf-8")
        yield made
    finally:
        made.rmdir()


def own_mib(process: int) -> float:
    """Memory of its own, without files that are mapped, that a process holds."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def own_cpu_seconds(process: int) -> float:
    """Used so far by a process."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children(process: int) -> list[int]:
    """Processes that a process started, by whichever of its threads."""
    found = Path(f"/proc/{process}/task").glob("*/children")
    return sorted(int(number) for file in found for number in file.read_text(encoding="utf-8").split())
