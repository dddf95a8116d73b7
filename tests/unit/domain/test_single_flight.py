from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from domain.single_flight import SingleFlight
from tests.unit.domain.waiting import let_others_run


class Work:
    """Work that waits to be let go, and remembers how often it was begun and how it ended."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.ended = 0
        self.go = asyncio.Event()
        self.farewell = asyncio.Event()
        self.farewell.set()

    async def __call__(self) -> str:
        self.begun += 1
        number = self.begun
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await self.farewell.wait()
            raise
        finally:
            self.ended += 1
        return f"result {number}"


@pytest.fixture
def flights() -> SingleFlight[str]:
    return SingleFlight()


@pytest.fixture
def work() -> Work:
    return Work()


async def start(flights: SingleFlight[str], work: Callable[[], Any], name: str = "x") -> asyncio.Task[tuple[str, bool]]:
    task = asyncio.create_task(flights.run(name, work))
    await let_others_run()
    return task


async def test_a_single_caller_gets_the_result_and_did_not_join(flights: SingleFlight[str], work: Work) -> None:
    work.go.set()
    assert await flights.run("x", work) == ("result 1", False)


async def test_many_callers_of_one_name_share_one_piece_of_work(flights: SingleFlight[str], work: Work) -> None:
    callers = [await start(flights, work) for _ in range(5)]
    work.go.set()
    assert await asyncio.gather(*callers) == [("result 1", False)] + [("result 1", True)] * 4
    assert work.begun == 1


async def test_different_names_are_different_work(flights: SingleFlight[str], work: Work) -> None:
    callers = [await start(flights, work, name) for name in "xy"]
    work.go.set()
    assert await asyncio.gather(*callers) == [("result 1", False), ("result 2", False)]


async def test_a_caller_after_the_end_starts_afresh(flights: SingleFlight[str], work: Work) -> None:
    work.go.set()
    await flights.run("x", work)
    assert await flights.run("x", work) == ("result 2", False)


async def test_an_error_goes_to_every_caller(flights: SingleFlight[str]) -> None:
    go = asyncio.Event()

    async def fail() -> str:
        await go.wait()
        raise LookupError("broken")

    callers = [await start(flights, fail) for _ in range(3)]
    go.set()
    ends = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(end) for end in ends] == [LookupError] * 3


async def test_an_error_is_not_kept_for_the_next_caller(flights: SingleFlight[str], work: Work) -> None:
    async def fail() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await flights.run("x", fail)
    work.go.set()
    assert await flights.run("x", work) == ("result 1", False)


@pytest.mark.parametrize("leaving", [0, 1, 2], ids=["the first", "a later one", "the last to come"])
async def test_a_cancelled_caller_leaves_the_others_in_peace(
    flights: SingleFlight[str], work: Work, leaving: int
) -> None:
    callers = [await start(flights, work) for _ in range(3)]
    callers[leaving].cancel()
    await let_others_run()
    assert callers[leaving].cancelled()
    work.go.set()
    others = [caller for i, caller in enumerate(callers) if i != leaving]
    assert [result for result, _ in await asyncio.gather(*others)] == ["result 1", "result 1"]
    assert work.cancelled == 0


async def test_when_the_last_caller_leaves_the_work_is_cancelled(flights: SingleFlight[str], work: Work) -> None:
    callers = [await start(flights, work) for _ in range(2)]
    callers[0].cancel()
    await let_others_run()
    assert work.cancelled == 0
    callers[1].cancel()
    await let_others_run()
    assert work.cancelled == 1
    assert all(caller.cancelled() for caller in callers)


async def test_the_last_caller_leaves_only_when_the_work_has_ended(flights: SingleFlight[str], work: Work) -> None:
    caller = await start(flights, work)
    work.farewell.clear()
    caller.cancel()
    await let_others_run()
    assert work.cancelled == 1
    assert not caller.done()
    work.farewell.set()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert work.ended == 1


async def test_a_caller_who_comes_while_the_work_is_being_cancelled_starts_afresh(
    flights: SingleFlight[str], work: Work
) -> None:
    gone = await start(flights, work)
    work.farewell.clear()
    gone.cancel()
    await let_others_run()
    fresh = await start(flights, work)
    work.farewell.set()
    work.go.set()
    assert await fresh == ("result 2", False)
    await asyncio.wait({gone})
    assert gone.cancelled()


async def test_work_that_fails_while_it_is_being_cancelled_troubles_nobody(flights: SingleFlight[str]) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fail_on_the_way_out() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise LookupError from None
        return "never"

    caller = await start(flights, fail_on_the_way_out)
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    del caller
    await let_others_run()
    assert complaints == []
