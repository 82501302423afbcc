"""A stack is brought up once for all who ask: nobody's copy is another's, and no state outlives the tree it is of."""

from pathlib import Path

import pulumi
import pulumi_random as random
import pytest

from sandbox.lifecycle import Lifecycle, Record
from tests.support import rehearsal
from tests.support.rehearsal import rehearsed

pytestmark = pytest.mark.engine


def small() -> None:
    """A name, and a secret made of it: the state is sealed."""
    provider = random.Provider("own")
    pet = random.RandomPet("pet", opts=pulumi.ResourceOptions(provider=provider))
    random.RandomPassword("password", length=20, keepers={"pet": pet.id}, opts=pulumi.ResourceOptions(provider=provider))


@pytest.fixture
def brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small program in the real one's place; a line for each time that it is brought up."""
    seen: list[str] = []
    up = Lifecycle.up

    def counted(life: Lifecycle) -> Record:
        seen.append(rehearsal.BEGUN_WITH)
        return up(life)

    for name, value in {"BEGUN_WITH": "1", "state_of": lambda *_: "1", "FOLDER": tmp_path / "kept"}.items():
        monkeypatch.setattr(rehearsal, name, value)
    monkeypatch.setattr(rehearsal, "program_of", lambda _: small)
    monkeypatch.setattr(Lifecycle, "up", counted)
    return seen


def test_who_asks_second_gets_the_same_stack_and_what_happens_to_a_copy_stays_there(tmp_path: Path, brought_up: list[str]):
    with rehearsed("dev", tmp_path / "first") as first:
        assert len(first.resources) > 2
        first.life.destroy()
        assert first.life.state() == []
    with rehearsed("dev", tmp_path / "second") as second:
        assert second.resources == first.resources
        assert second.life.preview().changed == []
    assert brought_up == ["1"]


def test_another_state_of_the_tree_is_brought_up_anew(tmp_path: Path, brought_up: list[str], monkeypatch: pytest.MonkeyPatch):
    with rehearsed("dev", tmp_path / "first"):
        pass
    monkeypatch.setattr(rehearsal, "BEGUN_WITH", "2")
    with rehearsed("dev", tmp_path / "second"):
        pass
    assert brought_up == ["1", "2"]


def test_what_was_brought_up_while_the_tree_changed_is_not_kept(
    tmp_path: Path, brought_up: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rehearsal, "state_of", lambda *_: "2")
    for name in ("first", "second"):
        with rehearsed("dev", tmp_path / name):
            pass
    assert brought_up == ["1", "1"]
