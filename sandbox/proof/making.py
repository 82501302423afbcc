"""Makes a proof from its parts: one that fails is noted, and the others are made all the same."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from sandbox.live.releases import NOT_INSTALLED
from sandbox.local.__main__ import STARTED
from sandbox.memory import Peak
from sandbox.progress import Steps
from sandbox.proof.report.figures import TITLES
from sandbox.proof.results import Proof
from sandbox.proof.world import RUNNING
from sandbox.toolchain import ROOT

Part = Callable[[Callable[[str], None]], Sequence[Any]]
"""Makes a part's results; it is told where to say what is under way."""


@dataclass(kw_only=True)
class Made:
    """What came of the parts."""

    results: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def holds(self, part: str) -> bool:
        """Whether a part that was made found something, and all of it holds."""
        return bool(self.results[part]) and all(one.holds for one in self.results[part])


def prove(home: Path, opened: Callable[[ExitStack], Mapping[str, Part]], asked: Sequence[str], progress: Steps) -> Proof:
    """A proof of the parts that are asked for.

    Args:
        home: of the running sandbox.
        opened: makes the parts ready; what they need until the end is closed by the stack.
        asked: names of Proof's fields, in order.
        progress: told what is under way.
    """
    began, clock, found = datetime.now(UTC), time.monotonic(), Made()
    with Peak() as memory, ExitStack() as stack:
        try:
            with progress.step("what all parts need"):
                parts = opened(stack)
        except Exception as error:  # noqa: BLE001 - as for a part: the report says why there is nothing
            _fail(found, asked, error, progress)
        else:
            for name in asked:
                _make(found, name, parts[name], progress)
    figures = {"memory_gib": memory.gib, **_started(home), **{f"{name}_seconds": took for name, took in found.seconds.items()}}
    return Proof(
        began=began.isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=round(time.monotonic() - clock, 1),
        revision=revision(),
        asked=tuple(asked),
        failed=found.failed,
        not_running=_not_running(home),
        figures={name: round(value, 2) for name, value in figures.items()},
        **found.results,
    )


@contextmanager
def orderly() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP end the program as Ctrl-C does, so that what a proof changed is put back.

    A second one does not disturb that. SIGHUP stays ignored where it is, as by nohup.
    """
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    ending = [one for one, handler in before.items() if one == signal.SIGTERM or handler is not signal.SIG_IGN]

    def end(number: int, _frame: FrameType | None) -> None:
        for one in ending:
            signal.signal(one, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for one in ending:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one in ending:
            signal.signal(one, before[one])


def revision(tree: Path = ROOT) -> str:
    """The commit that a tree is of, `+` behind it when the tree differs; `unknown` where there is no repository."""
    commit = _git(tree, "rev-parse", "--short=12", "HEAD")
    return f"{commit}{'+' if _git(tree, 'status', '--porcelain') else ''}" if commit else "unknown"


def _make(found: Made, name: str, part: Part, progress: Steps) -> None:
    began = time.monotonic()
    try:
        with progress.step(TITLES[name], holds=partial(found.holds, name)) as said:
            found.results[name] = tuple(part(said))
    except Exception as error:  # noqa: BLE001 - what one part does not foresee must not take the others' results with it
        _fail(found, [name], error, progress)
    found.seconds[name] = time.monotonic() - began


def _fail(found: Made, names: Sequence[str], error: Exception, progress: Steps) -> None:
    foreseen = getattr(error, "user_facing", False)
    if not foreseen:
        progress.console.print_exception()
    why = str(error) if foreseen else f"{type(error).__name__}: {error}"
    for name in names:
        found.failed[name] = why
        progress.console.print(f"✗ {TITLES[name]}: {why}", style="red", markup=False)


def _started(home: Path) -> dict[str, float]:
    found = _read(home / STARTED)
    return {f"sandbox_{name}": float(found[name]) for name in ("seconds", "memory_gib") if name in found}


def _not_running(home: Path) -> dict[str, dict[str, str]]:
    """Releases that the providers noted, and the single objects that are never sent (their names have a kind before them)."""
    noted, running = _read(home / NOT_INSTALLED), _read(home / RUNNING)
    objects = {name: why for name, why in running.get("left_out", {}).items() if " " in name}
    found = {code: {**noted.get(code, {}), **objects} for code in {**noted, **running.get("regions", {})}}
    return {code: dict(sorted(missing.items())) for code, missing in sorted(found.items()) if missing}


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
