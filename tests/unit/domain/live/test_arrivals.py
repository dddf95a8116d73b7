"""The bytes of a client on their way to the decoder."""

from __future__ import annotations

import asyncio

import pytest

from domain.live.arrivals import Arrivals, Mark


async def taken(arrivals: Arrivals) -> list[bytes | Mark]:
    return [item async for item in arrivals.take()]


async def test_bytes_come_out_in_order_and_small_ones_together() -> None:
    arrivals = Arrivals()
    for number in range(256):
        await arrivals.put(bytes([number]))
    arrivals.end()
    assert await taken(arrivals) == [bytes(range(256))]


async def test_a_mark_stands_where_it_was_put_and_twice_is_once() -> None:
    arrivals = Arrivals()
    await arrivals.put(b"before")
    arrivals.mark(Mark.FLUSH)
    arrivals.mark(Mark.FLUSH)
    await arrivals.put(b"after")
    arrivals.end()
    assert await taken(arrivals) == [b"before", Mark.FLUSH, b"after"]


async def test_what_comes_after_the_end_is_dropped() -> None:
    arrivals = Arrivals()
    await arrivals.put(b"before")
    arrivals.end()
    await arrivals.put(b"after")
    arrivals.mark(Mark.FLUSH)
    assert await taken(arrivals) == [b"before"]


async def test_a_client_far_ahead_is_made_to_wait_until_bytes_are_taken() -> None:
    arrivals = Arrivals()
    await arrivals.put(bytes(4 * 2**20))
    waiting = asyncio.create_task(arrivals.put(b"more"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    items = arrivals.take()
    await anext(items)
    await asyncio.wait_for(waiting, 1)
    assert await anext(items) == b"more"


async def test_a_client_that_sends_single_bytes_between_marks_is_made_to_wait_too() -> None:
    arrivals = Arrivals()

    async def send() -> None:
        for _ in range(100_000):
            await arrivals.put(b"x")
            arrivals.mark(Mark.FLUSH)

    sending = asyncio.create_task(send())
    await asyncio.sleep(0.5)
    assert not sending.done()
    arrivals.end()
    assert len(await taken(arrivals)) < 50_000
    await sending


async def test_the_end_lets_a_waiting_client_go() -> None:
    arrivals = Arrivals()
    await arrivals.put(bytes(4 * 2**20))
    waiting = asyncio.create_task(arrivals.put(b"more"))
    await asyncio.sleep(0.01)
    arrivals.end()
    await asyncio.wait_for(waiting, 1)
    assert len(await taken(arrivals)) == 1


async def test_taking_waits_for_what_comes() -> None:
    arrivals = Arrivals()
    items = arrivals.take()
    first = asyncio.ensure_future(anext(items))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(first), 0.01)
    await arrivals.put(b"late")
    assert await first == b"late"
