"""Processes that outlive the command that starts them, and how the next command finds exactly those again.

A process is known by its number and the moment it began: a number alone may belong to somebody else by now.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

RECORD: Final = "processes.jsonl"
_STARTED_FIELD: Final = 19
"""Of /proc/<pid>/stat, counted behind the command's closing bracket: clock ticks since the machine started (proc(5))."""
_TICK: Final = 0.05
_HIDDEN: Final = ("AWS_", "VAULT_", "KUBE", "PULUMI_")


class ProcessError(Exception):
    """A process does not start or ended too early; the message has its last lines."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Process:
    """One started process."""

    name: str
    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it still runs; one that ended and is not yet collected does not."""
        found = _stat(self.pid)
        return found is not None and found[0] != "Z" and int(found[_STARTED_FIELD]) == self.started


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


class Processes:
    """What runs of one sandbox, recorded in its home before anything else happens with it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._record = home / RECORD

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Process:
        """Starts a process in a session of its own; its output goes to `<home>/logs/<name>.log`.

        Credentials and proxies of this shell do not reach it.
        """
        logs = self._home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_HIDDEN) and not k.upper().endswith("_PROXY")}
        with (logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**kept, **(environment or {})},
                cwd=self._home,
                start_new_session=True,
            )
        found = _stat(child.pid)
        made = Process(name=name, pid=child.pid, started=int(found[_STARTED_FIELD]) if found else 0)
        with self._record.open("a", encoding="utf-8") as record:
            record.write(json.dumps(asdict(made)) + "\n")
        return made

    def recorded(self) -> list[Process]:
        """Everything ever started, the last one first."""
        if not self._record.is_file():
            return []
        lines = self._record.read_text(encoding="utf-8").splitlines()
        return [Process(**json.loads(line)) for line in reversed(lines)]

    def last_words(self, name: str, count: int = 6) -> str:
        """The last lines of a process's log, in one."""
        log = self._home / "logs" / f"{name}.log"
        return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]) if log.is_file() else ""

    def check(self, process: Process) -> None:
        """Raises a ProcessError when the process ended."""
        if not process.alive():
            msg = f"{process.name} ended: {self.last_words(process.name)}"
            raise ProcessError(msg)

    def stop(self, seconds: float = 3.0) -> int:
        """Ends everything recorded, politely first; returns how many were running."""
        running = [process for process in self.recorded() if process.alive()]
        for ending in (signal.SIGTERM, signal.SIGKILL):
            for process in running:
                if process.alive():
                    os.kill(process.pid, ending)
            deadline = time.monotonic() + seconds
            while any(process.alive() for process in running) and time.monotonic() < deadline:
                _collect()
                time.sleep(_TICK)
        self._record.unlink(missing_ok=True)
        return len(running)


def _collect() -> None:
    """Takes the exit codes of ended children, if this command is the one that started them."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
