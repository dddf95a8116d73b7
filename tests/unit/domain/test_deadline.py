from __future__ import annotations

import asyncio

import pytest

from domain.deadline import deadline
from domain.errors import DeadlineExceeded


async def test_work_within_the_deadline_passes() -> None:
    async with deadline(30.0):
        await asyncio.sleep(0)
        done = True
    assert done


async def test_work_past_the_deadline_is_cancelled_and_said_to_be_too_long() -> None:
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(DeadlineExceeded, match=r"longer than 0\.01 s") as late:
        async with deadline(0.01):
            await work()
    assert cancelled
    assert late.value.retryable


async def test_a_timeout_of_the_work_itself_passes_unchanged() -> None:
    with pytest.raises(TimeoutError, match="the engine's own") as err:
        async with deadline(30.0):
            raise TimeoutError("the engine's own")
    assert not isinstance(err.value, DeadlineExceeded)


async def test_an_error_of_the_work_passes_unchanged() -> None:
    with pytest.raises(ZeroDivisionError):
        async with deadline(30.0):
            raise ZeroDivisionError


async def test_cancellation_from_outside_stays_cancellation() -> None:
    async def work() -> None:
        async with deadline(30.0):
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
