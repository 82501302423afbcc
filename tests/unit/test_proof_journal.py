"""What a proof changes is noted until it is put back, and no proof begins on what another one left. No sandbox."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.local.plan import Plan
from sandbox.proof.journal import NOTES, alone, noted, putting_back
from sandbox.proof.world import ProofError, World


class Local(World):
    """A home, and nothing that runs."""

    def __init__(self, home: Path) -> None:
        self.plan = Plan(home=home, regions=())


@pytest.fixture
def world(tmp_path: Path) -> Local:
    return Local(tmp_path)


def notes(world: World) -> list[str]:
    return [one.read_text() for one in (world.plan.home / NOTES).glob("*")]


def fail() -> None:
    msg = "the server is gone"
    raise ProofError(msg)


def test_what_is_put_back_is_noted_until_then(world: Local) -> None:
    def undo() -> None:
        assert notes(world) == ["a change"]

    with putting_back(world, "a change", undo):
        assert notes(world) == ["a change"]
    assert notes(world) == []
    with pytest.raises(ProofError), putting_back(world, "a change", undo):
        fail()
    assert notes(world) == []
    with alone(world):
        pass


def test_what_could_not_be_put_back_keeps_the_next_proof_from_beginning(world: Local) -> None:
    with pytest.raises(ProofError, match="the server is gone"), putting_back(world, "a role of Vault", fail):
        pass
    with pytest.raises(ProofError, match=r"had put back: a role of Vault\. Start the sandbox anew: `make sandbox`"), alone(world):
        pass


def test_what_a_killed_proof_changed_keeps_the_next_from_beginning(world: Local) -> None:
    home = world.plan.home
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom tests.unit.test_proof_journal import Local\n"
        "from sandbox.proof.journal import alone, putting_back\nworld = Local(Path(sys.argv[1]))\n"
        "with alone(world), putting_back(world, 'scaled to none', lambda: None):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, home], cwd=Path(__file__).parents[2], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(ProofError, match="scaled to none"), alone(world):
        pass


def test_what_puts_itself_back_is_struck_out_unless_that_fails(world: Local) -> None:
    with noted(world, "an attack"):
        assert notes(world) == ["an attack"]
    with pytest.raises(SystemExit), noted(world, "an attack"):
        raise SystemExit(1)
    assert notes(world) == []
    with pytest.raises(ProofError), noted(world, "an attack"):
        fail()
    assert notes(world) == ["an attack"]


def test_two_proofs_do_not_run_at_once(world: Local) -> None:
    with alone(world), pytest.raises(ProofError, match="another proof runs"), alone(world):
        pass
    with (world.plan.home / "proof.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ProofError, match="another proof runs"), alone(world):
            pass
    with alone(world):
        pass
