"""A project folder, a place to run it in and the lifecycle of its stack, all below pytest's temporary folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.lifecycle import Lifecycle, lifecycle
from sandbox.session import Place, Program

Open = Callable[..., Lifecycle]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: fixture\nruntime: python\n", encoding="utf-8")
    (folder / "Pulumi.dev.yaml").write_text('config:\n  aws:region: eu-west-1\n  fixture:tier: "gold"\n', encoding="utf-8")
    return folder


@pytest.fixture
def place(tmp_path: Path, project: Path) -> Place:
    return Place.of("dev", project, tmp_path / "build")


@pytest.fixture
def rehearse(place: Place) -> Iterator[Open]:
    """Opens a program's stack; the same place keeps its state when it is opened again."""
    with ExitStack() as stack:
        yield lambda program: stack.enter_context(lifecycle("dev", program, place, lambda _: None))


__all__ = ["Open", "Program"]
