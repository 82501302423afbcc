from collections.abc import Iterator

import pytest

from policy import catalogue, config
from policy.client import Pack, Recorded
from tests.policy import corpus


@pytest.fixture(scope="session")
def running() -> Iterator[Pack]:
    with Pack() as pack:
        yield pack


@pytest.fixture
def pack(running: Pack) -> Pack:
    """The running pack, configured as for production."""
    running.configure(config.load(config.file_for("prod"), catalogue.load()))
    return running


@pytest.fixture
def resources() -> list[Recorded]:
    return corpus.build()
