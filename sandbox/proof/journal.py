"""What a proof has changed in the sandbox and not put back yet, noted in the sandbox's home; one proof runs there at a time.

A change is noted before it is made and struck out after it is put back. A proof that was killed, or could not put something back,
leaves its notes: the next one would take the weakened state for the one to go back to, and pass. It refuses to begin instead.
"""

import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.proof.world import ProofError, World

NOTES: Final = "changed"
"""In the sandbox's home: a file for each change, with what it is."""
_LOCK: Final = "proof.lock"


@contextmanager
def alone(world: World) -> Iterator[None]:
    """The only proof of this sandbox, and nothing is left of an earlier one.

    Raises:
        ProofError: another one runs, or an earlier one has not put back what it changed.
    """
    with (world.plan.home / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"another proof runs in {world.plan.home}: two would put back each other's changes"
            raise ProofError(msg) from None
        left = sorted(one.read_text(encoding="utf-8") for one in (world.plan.home / NOTES).glob("*"))
        if left:
            msg = f"an earlier proof ended before it had put back: {'; '.join(left)}. Start the sandbox anew: `make sandbox`"
            raise ProofError(msg)
        yield


@contextmanager
def putting_back(world: World, what: str, undo: Callable[[], None]) -> Iterator[None]:
    """A change that is undone when the context ends, however it ends, and noted until that has succeeded."""
    note = _noted(world, what)
    try:
        yield
    finally:
        undo()
        note.unlink()


@contextmanager
def noted(world: World, what: str) -> Iterator[None]:
    """Changes that the context itself puts back: noted until it ends, and for good when it ends by an error of theirs."""
    note = _noted(world, what)
    try:
        yield
    except Exception:
        raise  # perhaps of the putting back
    except BaseException:
        note.unlink()  # told to end, and everything was put back on the way here
        raise
    note.unlink()


def _noted(world: World, what: str) -> Path:
    places = world.plan.home / NOTES
    places.mkdir(exist_ok=True)
    note = places / secrets.token_hex(8)
    note.write_text(what, encoding="utf-8")
    return note
