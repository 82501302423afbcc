"""The first process of a node: makes the node's own root, then runs containerd, the image service, kubelet and kube-proxy.

`python -m sandbox.local.machine <file>`, started in fresh mount, process, host-name and IPC namespaces inside the node's
network namespace. What it sees of this machine is an overlay that nobody else sees the changes of, with folders of its own
where a node has state; so a pod's host path is the node's. When it ends, the kernel ends everything on the node.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OWN: Final = ("etc/cni", "opt/cni", "var/lib/containerd", "var/lib/kubelet", "var/log", "var/lib/node")
"""Folders on the disk, one each per node, kept while the node is; the run folder and /tmp are memory."""
_MEMORY: Final = ("run", "tmp")
_AGAIN_SECONDS: Final = 1.0
_SOCKET_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """One program of a node, started again when it ends."""

    name: str
    command: Sequence[str]
    socket: str | None = None
    """A file that must be there before the next one starts."""


def main() -> None:
    """Command line entry: the file is JSON with name, home, seen (paths that stay this machine's) and services."""
    wanted: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    home = Path(wanted["home"])
    root = home / "root"
    _make_root(root, home / "disk", wanted["seen"], wanted["files"])
    _enter(root)
    subprocess.run(["hostname", wanted["name"]], check=True)
    _watch([Service(**service) for service in wanted["services"]], Path("/var/log/node"))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _make_root(root: Path, disk: Path, seen: Sequence[str], files: Mapping[str, str]) -> None:
    _mount("--make-rprivate", "/")
    root.mkdir(parents=True, exist_ok=True)
    # what is written beside the node's own folders is little and may be forgotten
    layers = root.parent / "layers"
    layers.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "tmpfs", str(layers))
    upper, work = layers / "upper", layers / "work"
    upper.mkdir()
    work.mkdir()
    _mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", str(root))
    for kept in ("dev", "sys"):
        _mount("--rbind", f"/{kept}", str(root / kept))
    for folder in _MEMORY:
        _mount("-t", "tmpfs", "tmpfs", str(root / folder))
    for folder in OWN:
        own = disk / folder
        own.mkdir(parents=True, exist_ok=True)
        (root / folder).mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(own), str(root / folder))
    for path in seen:
        inside = root / path.lstrip("/")
        inside.mkdir(parents=True, exist_ok=True)
        _mount("--bind", path, str(inside))
    for path, text in files.items():
        inside = root / path.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.unlink(missing_ok=True)
        inside.write_text(text, encoding="utf-8")
    _mount("-t", "proc", "proc", str(root / "proc"))


def _enter(root: Path) -> None:
    old = root / "var/lib/node/old"
    old.mkdir(exist_ok=True)
    library = ctypes.CDLL(None, use_errno=True)
    pivot_root_number = {"x86_64": 155, "aarch64": 41}[os.uname().machine]  # unistd.h; the C library has no function for it
    if library.syscall(pivot_root_number, str(root).encode(), str(old).encode()) != 0:
        raise OSError(ctypes.get_errno(), f"pivot_root to {root}")
    os.chdir("/")
    _umount("/var/lib/node/old")
    # a driver mounts volumes into the kubelet's folder, and what it mounts has to appear in the pods
    _mount("--make-rshared", "/")


def _umount(path: str) -> None:
    subprocess.run(["umount", "--lazy", path], check=True)


def _watch(services: Sequence[Service], logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    running: dict[int, Service] = {}
    for service in services:
        running[_begin(service, logs)] = service
        deadline = time.monotonic() + _SOCKET_SECONDS
        while service.socket and not Path(service.socket).exists():
            if time.monotonic() > deadline:
                sys.exit(f"{service.name} has no {service.socket} after {_SOCKET_SECONDS:.0f} s")
            time.sleep(0.05)
    while True:
        # also what pods leave behind: a process without a parent becomes this one's child
        pid, _ = os.wait()
        ended = running.pop(pid, None)
        if ended:
            time.sleep(_AGAIN_SECONDS)
            running[_begin(ended, logs)] = ended


def _begin(service: Service, logs: Path) -> int:
    with (logs / f"{service.name}.log").open("ab") as log:
        child = subprocess.Popen(service.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    return child.pid


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
