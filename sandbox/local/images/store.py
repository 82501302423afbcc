"""A containerd's folder with every image in it and unpacked, made once: a node begins with a copy that shares its files.

What an image brings is never written to again: containerd replaces or removes files, and a container writes above them. So the
copies of a node are links to the same files, and only containerd's own databases are copied.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sandbox.local.images.parts import Progress
from sandbox.toolchain import ToolError, cache_root

LOCAL: Final = "sandbox.local/{name}:1"
"""The reference of an image by its local name."""
_DATABASE: Final = ".db"
_NAMESPACE: Final = "k8s.io"
"""Where a kubelet's containerd keeps everything."""
_CONFIGURATION: Final = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{folder}/socket"
"""
_SECONDS: Final = 30.0
_TICK: Final = 0.1
_KEPT: Final = 3
"""How many that were used before stay: suites need few images, a whole sandbox all of them (4 GB)."""


def store(archives: Mapping[str, Path], progress: Progress) -> Path:
    """The folder with these images, by local name; made unless the cache has it.

    Raises:
        ToolError: in containerd's words.
    """
    key = hashlib.sha256("\n".join(f"{name} {path}" for name, path in sorted(archives.items())).encode()).hexdigest()[:16]
    made = cache_root() / "images" / ".store" / key
    if not made.is_dir():
        made.parent.mkdir(parents=True, exist_ok=True)
        for old in unused(made.parent.iterdir()):
            shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
            _fill(Path(scratch), archives, progress)
            (Path(scratch) / "root").replace(made)
    os.utime(made)
    return made


def unused(paths: Iterable[Path]) -> list[Path]:
    """All of the cache's entries but those that were used last; who uses one touches it."""
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]


def copy(made: Path, target: Path) -> None:
    """Gives a node its copy; on another file system than the cache's the files are copied too."""

    def link(source: str, to: str) -> None:
        if not source.endswith(_DATABASE):
            try:
                os.link(source, to, follow_symlinks=False)
            except OSError:
                pass
            else:
                return
        shutil.copy2(source, to, follow_symlinks=False)

    shutil.copytree(made, target, symlinks=True, copy_function=link, dirs_exist_ok=True)
    _owned_alike(made, target)


def _owned_alike(made: Path, target: Path) -> None:
    """Folders are made anew, by root: who owns them is copied."""
    for folder, _, _ in os.walk(made):
        about = Path(folder).stat()
        os.chown(target / Path(folder).relative_to(made), about.st_uid, about.st_gid)


def _fill(folder: Path, archives: Mapping[str, Path], progress: Progress) -> None:
    configuration = folder / "containerd.toml"
    configuration.write_text(_CONFIGURATION.format(folder=folder), encoding="utf-8")
    # what it mounts while it unpacks is nobody else's to see, or to clean up
    apart = ["unshare", "--mount", "--propagation", "private"]
    with (folder / "log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen([*apart, "containerd", "--config", str(configuration)], stdout=log, stderr=log)
    try:
        _await(folder, server)
        for name, path in sorted(archives.items()):
            progress(f"unpacking {name}")
            asked = ["images", "import", "--index-name", LOCAL.format(name=name), str(path)]
            _ask(folder, asked)
    finally:
        server.terminate()
        server.wait(timeout=_SECONDS)


def _await(folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not (folder / "socket").exists():
        if server.poll() is not None or time.monotonic() > deadline:
            words = (folder / "log").read_text(encoding="utf-8").splitlines()[-3:]
            msg = f"containerd does not start: {' '.join(words)}"
            raise ToolError(msg)
        time.sleep(_TICK)


def _ask(folder: Path, words: list[str]) -> None:
    command = ["ctr", "--address", str(folder / "socket"), "--namespace", _NAMESPACE, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"containerd takes no image by `{' '.join(words)}`: {done.stderr.strip()}"
        raise ToolError(msg)
