"""What an inline program leaves under way is waited for once, and its failures are left for the SDK to report."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.runtime.settings import SETTINGS

from sandbox import session
from sandbox.session import settled, settling


@pytest.fixture(autouse=True)
def nothing_under_way() -> Iterator[None]:
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()
    yield
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()


def kept(work: Any) -> "asyncio.Future[Any]":
    """A task as the SDK keeps an output's: in its list until it ended well."""
    task = asyncio.ensure_future(work)
    SETTINGS.outputs.add(task)
    task.add_done_callback(lambda done: done.exception() or SETTINGS.outputs.discard(done))
    return task


async def steps(count: int) -> None:
    """Ends at the `count`th wake-up of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def waits(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many futures are watched in all until `count` outputs, each known one wake-up after the other, are known."""
    watched = 0
    wait = asyncio.wait

    async def counted(futures: Any, **options: Any) -> Any:
        nonlocal watched
        watched += len(futures)
        return await wait(futures, **options)

    async def program() -> None:
        for place in range(count):
            kept(steps(place + 1))
        await settled()
        assert not SETTINGS.outputs

    with monkeypatch.context() as patched:
        patched.setattr(session.asyncio, "wait", counted)
        asyncio.run(program())
    return watched


def test_each_output_is_watched_once_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(10, monkeypatch) == 10
    assert waits(200, monkeypatch) == 200


def test_what_an_output_begins_is_waited_for_as_well() -> None:
    ended: list[str] = []

    async def last() -> None:
        await steps(3)
        ended.append("last")

    async def first() -> None:
        await steps(3)
        SETTINGS.rpc_manager.rpcs.append(asyncio.ensure_future(last()))
        ended.append("first")

    async def program() -> None:
        kept(first())
        await settled()
        assert ended == ["first", "last"]
        assert len(SETTINGS.rpc_manager.rpcs) == 1, "the SDK still finds what it would await itself"

    asyncio.run(program())


def test_a_failure_ends_the_waiting_and_stays_where_the_sdk_finds_it() -> None:
    async def fails() -> None:
        await steps(2)
        msg = "refused"
        raise ValueError(msg)

    async def program() -> None:
        never = asyncio.get_running_loop().create_future()
        SETTINGS.outputs.add(never)  # type: ignore[arg-type]
        failing = asyncio.ensure_future(fails())
        SETTINGS.rpc_manager.rpcs.append(failing)
        await settled()
        assert not never.done()
        assert failing in SETTINGS.rpc_manager.rpcs
        assert str(failing.exception()) == "refused"

    asyncio.run(program())


def test_a_failure_that_the_sdk_noted_before_is_not_waited_behind() -> None:
    async def program() -> None:
        SETTINGS.outputs.add(asyncio.get_running_loop().create_future())  # type: ignore[arg-type]
        SETTINGS.rpc_manager.unhandled_exception = ValueError("refused")
        await settled()

    asyncio.run(program())


def test_a_program_begins_when_it_is_called_and_ends_when_it_is_awaited() -> None:
    order: list[str] = []

    async def work() -> None:
        await steps(2)
        order.append("known")

    def program() -> None:
        order.append("registered")
        kept(work())

    async def run() -> None:
        rest = settling(program)()
        assert order == ["registered"]
        await rest
        assert order == ["registered", "known"]

    asyncio.run(run())
