"""A process and everything it started, watched from outside: CPU seconds, memory together, and an end where it takes too much.

Read from `/proc`, so on Linux only.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sandbox.toolchain import ROOT

PAUSE: Final = 0.2
"""Seconds between two looks; a process that lives shorter is not counted."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_MIB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20
# Fields of /proc/<pid>/stat, counted from the one after the name in brackets.
_STATE, _PARENT, _USER, _SYSTEM, _STARTED, _RESIDENT = 0, 1, 11, 12, 19, 21
_ENDED: Final = frozenset({"Z", "X"})
"""Ended, and at most not yet collected by its parent."""


class LimitError(Exception):
    """What was watched took more time or memory than it was given, and was ended."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run may take."""

    seconds: float
    mib: float
    """Of all processes together; pages that several map are counted for each."""

    def as_json(self) -> dict[str, float]:
        """As the result names them."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Used:
    """What a run took: wall seconds, CPU seconds of all its processes, the most memory they held together."""

    seconds: float
    cpu_seconds: float
    peak_mib: float

    def as_json(self) -> dict[str, float]:
        """Rounded, as the result holds it."""
        return {key: round(value, 2) for key, value in asdict(self).items()}


def _processes() -> dict[tuple[int, int], tuple[int, float, float]]:
    """Parent, CPU seconds and resident MiB of every living process, by its id and when it started: ids are used again."""
    found: dict[tuple[int, int], tuple[int, float, float]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue  # it ended meanwhile
        if fields[_STATE] in _ENDED:
            continue
        cpu = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS
        key = (int(entry.name), int(fields[_STARTED]))
        found[key] = (int(fields[_PARENT]), cpu, int(fields[_RESIDENT]) * _PAGE_MIB)
    return found


class _Family:
    """A process and its descendants, also those whose parent ended before them."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._members: set[tuple[int, int]] = set()
        self._cpu: dict[tuple[int, int], float] = {}

    def look(self) -> float:
        """Takes note of everybody; resident MiB of all together."""
        now = _processes()
        self._members |= {key for key in now if key[0] == self._root}
        grown = True
        while grown:
            ids = {key[0] for key in self._members if key in now}
            more = {key for key, (parent, _, _) in now.items() if parent in ids} - self._members
            self._members |= more
            grown = bool(more)
        living = [key for key in self._members if key in now]
        self._cpu.update({key: now[key][1] for key in living})
        return sum(now[key][2] for key in living)

    def end(self) -> None:
        """Ends everybody who still lives: a plugin of the engine has a process group of its own."""
        self.look()
        while living := self._members & set(_processes()):
            for pid, _ in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(PAUSE)

    @property
    def cpu_seconds(self) -> float:
        """Of everybody ever seen."""
        return sum(self._cpu.values())


def watched(arguments: tuple[str, ...], limits: Limits) -> Used:
    """Runs this Python with arguments.

    Raises:
        LimitError: it took more than it was given; it was ended, and everything it had started.
        RuntimeError: it failed.
    """
    started, peak = time.monotonic(), 0.0
    command = [sys.executable, *arguments]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    family = _Family(child.pid)
    try:
        while child.poll() is None:
            peak = max(peak, family.look())
            seconds = time.monotonic() - started
            if seconds > limits.seconds:
                msg = f"not finished after {limits.seconds:.0f} s; it held {peak:.0f} MiB"
                raise LimitError(msg)
            if peak > limits.mib:
                msg = f"held {peak:.0f} MiB after {seconds:.0f} s, and {limits.mib:.0f} were given"
                raise LimitError(msg)
            time.sleep(PAUSE)
    finally:
        if child.poll() is None:
            family.end()
            child.wait()
    if child.returncode != 0:
        msg = f"{' '.join(arguments)} failed; run it by hand"
        raise RuntimeError(msg)
    return Used(seconds=time.monotonic() - started, cpu_seconds=family.cpu_seconds, peak_mib=peak)
