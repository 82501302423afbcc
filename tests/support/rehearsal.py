"""The real program brought up on the stand-ins: its state, and the resources the policies judge.

A stack is brought up once for all who ask, and its state kept below build/rehearsals, known by all that goes into it as
recordings are. Who asks gets a copy of its own, to be taken on from there.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policy import state
from policy.client import Recorded
from sandbox.engine import resolve
from sandbox.lifecycle import Lifecycle, lifecycle
from sandbox.session import BUILD, ROOT, Place, passphrase, program_of
from tests.support.recordings import READ as RECORDED
from tests.support.recordings import alone, nothing_unknown_is_read, state_of, without_older

FOLDER = BUILD / "rehearsals"
READ = (
    *RECORDED,
    *(f"Pulumi{which}.yaml" for which in ("", ".dev", ".prod")),
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "sandbox").glob("*.py"))),
    "sandbox/standin",
    "sandbox/live",
    "tools/pulumi",
    "tests/support/rehearsal.py",
)
"""Files and folders of what a stack is brought up with."""
BEGUN_WITH = state_of(ROOT, READ)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A stack that is up."""

    life: Lifecycle
    resources: list[dict[str, Any]]

    def recorded(self) -> list[Recorded]:
        """What the pack is given, every value known."""
        return state.parse({"deployment": {"resources": self.resources}})


def _known() -> str:
    """The tree, the engine's file and the passphrase that the state is sealed with."""
    engine = resolve(lambda _: None).path.resolve()
    stat = engine.stat()
    more = f"{engine} {stat.st_size} {stat.st_mtime_ns} {passphrase()}"
    return f"{BEGUN_WITH}-{hashlib.sha256(more.encode()).hexdigest()[:12]}"


@contextmanager
def _opened(stack: str, place: Place) -> Iterator[Lifecycle]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_SKIP_CHECKPOINTS", "true")  # the state is written once at the end: four times faster here
        with lifecycle(stack, program_of(ROOT / "__main__.py"), place, lambda _: None) as life:
            yield life


def _copied(stack: str, source: Path, target: Path) -> None:
    """Copies what a stack is taken on with: its state, and its file with the salt that the state is sealed with."""
    before, after = (Place.of(stack, ROOT, build) for build in (source, target))
    shutil.copytree(before.state, after.state, dirs_exist_ok=True)
    after.work.mkdir(parents=True, exist_ok=True)
    shutil.copy(before.work / f"Pulumi.{stack}.yaml", after.work)


def _brought_up(stack: str, build: Path) -> None:
    """Brings the stack up below ``build``, unless somebody did and it is the same: then that is copied."""
    kept = FOLDER / _known() / stack
    with alone(kept.with_suffix(".lock")):
        if kept.is_dir():
            _copied(stack, kept, build)
            return
        with nothing_unknown_is_read(READ), _opened(stack, Place.of(stack, ROOT, build)) as life:
            life.up()
        if state_of(ROOT, READ) == BEGUN_WITH:
            with tempfile.TemporaryDirectory(dir=kept.parent) as made:
                _copied(stack, build, Path(made) / stack)
                (Path(made) / stack).rename(kept)
            without_older(kept.parent)


@contextmanager
def rehearsed(stack: str, build: Path) -> Iterator[Rehearsal]:
    """A shipped stack that is up, below ``build``."""
    _brought_up(stack, build)
    with _opened(stack, Place.of(stack, ROOT, build)) as life:
        yield Rehearsal(life=life, resources=life.state())
