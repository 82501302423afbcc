"""Recordings of the whole program, kept below build/recordings, so that what is asked twice is recorded once.

Several workers, and the next run of an unchanged tree, ask for the same. A recording is known by everything that goes into
it: the program's and the recorder's files, the pinned packages, the interpreter, the settings in their order, the stack.
While one is made, every file that is opened in the tree has to be among those; another one is an error here and not a stale
answer later.
"""

import fcntl
import gc
import hashlib
import json
import os
import pickle
import platform
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tests.support.monitor import Recording

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "recordings"
READ = (
    "__main__.py",
    "components",
    "sandbox/session.py",
    "tests/support/monitor.py",
    "tests/support/program.py",
    "tests/support/recordings.py",
)
"""Files and folders of what a recording is made of and with."""
OWN = (".venv", ".git", "build", "tests", "docs/generate.py", "docs/reference_pages.py")
"""Packages are known by their versions, what is written here is this module's, and who asks is read for a traceback's lines."""
KEPT = 2
"""States of the tree whose recordings stay."""


class UnknownSourceError(AssertionError):
    """The program read a file by which its recordings are not known."""


def _files(root: Path, read: Iterable[str]) -> Iterator[Path]:
    for name in read:
        for path in sorted((root / name).rglob("*")) if (root / name).is_dir() else [root / name]:
            if path.is_file() and path.suffix != ".pyc":
                yield path


def state_of(root: Path, read: Iterable[str] = READ) -> str:
    """A digest of the files, of the packages with their versions and of the interpreter."""
    digest = hashlib.sha256(f"{platform.python_version()} {sys.flags.optimize}".encode())
    for path in _files(root, read):
        digest.update(f"\0{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for package in sorted(f"{one.metadata['Name']} {one.version}" for one in distributions()):
        digest.update(f"\0{package}".encode())
    return digest.hexdigest()[:24]


BEGUN_WITH = state_of(ROOT)
"""The state of the tree when this process began: what it imports is of no earlier one."""

_opened: set[str] | None = None


def _source(path: Path) -> Path:
    """The module that compiled code was made of; any other file itself."""
    return path.parents[1] / f"{path.name.split('.')[0]}.py" if path.parent.name == "__pycache__" else path


def _see(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(f"{ROOT}{os.sep}"):
        _opened.add(arguments[0])


sys.addaudithook(_see)


@contextmanager
def nothing_unknown_is_read(read: Iterable[str] = READ) -> Iterator[None]:
    """Refuses to end well when a file of the tree was opened that is not below one of `read`.

    Raises:
        UnknownSourceError: with the files.
    """
    global _opened  # noqa: PLW0603 - an audit hook stays for the life of the process
    _opened = set()
    try:
        yield
        known = tuple(ROOT / name for name in (*read, *OWN))
        opened = {_source(Path(one)) for one in _opened}
        strange = sorted(str(one) for one in opened if not any(one.is_relative_to(each) for each in known))
        if strange:
            msg = f"teach READ of tests/support/recordings.py that the program reads {', '.join(strange)}"
            raise UnknownSourceError(msg)
    finally:
        _opened = None


@contextmanager
def no_collections() -> Iterator[None]:
    """For what makes some hundred thousand objects and no cycle: to look for garbage among them costs more than to make them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Waits until no other process makes the same."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _written(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(zlib.compress(data, 1))
    Path(file.name).replace(path)


def without_older(folder: Path) -> None:
    """Removes what other states of the tree left beside this one's folder, but for the newest."""
    states = [one for one in folder.parent.iterdir() if one.is_dir() and one != folder]
    for state in sorted(states, key=lambda one: one.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(state, ignore_errors=True)


def kept(make: Callable[[], Recording], settings: Mapping[str, Any], stack: str) -> Recording:
    """The recording for these settings: read where it was made before, else made and written. Yours to change.

    Args:
        make: records; only what `READ` names, the settings and the stack may go into it.
        settings: plain data; the order of its keys is part of the question.
        stack: the stack's name.

    Raises:
        UnknownSourceError: making it read a file by which it is not known.
        Exception: whatever the program raised; that is not kept.
    """
    folder = FOLDER / BEGUN_WITH
    path = folder / hashlib.sha256(json.dumps([stack, settings]).encode()).hexdigest()[:24]
    with alone(path.with_suffix(".lock")), no_collections():
        if path.exists():
            data = zlib.decompress(path.read_bytes())
        else:
            with nothing_unknown_is_read():
                data = pickle.dumps(make(), protocol=5)
            if state_of(ROOT) == BEGUN_WITH:  # of a tree that changed in between nobody knows whose recording it is
                _written(path, data)
                without_older(folder)
        recording: Recording = pickle.loads(data)  # noqa: S301 - written above
        return recording
