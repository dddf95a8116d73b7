"""The bytes of a client on their way to the decoder."""

from __future__ import annotations

import asyncio

from domain.live.arrivals import Arrivals, Mark
from tests.unit.domain.waiting import let_others_run


async def taken(arrivals: Arrivals) -> list[bytes | Mark]:
    return [item async for item in arrivals.take()]


async def test_all_that_was_put_in_comes_out_in_its_order() -> None:
    arrivals = Arrivals()
    await arrivals.put(b"one")
    arrivals.mark(Mark.FLUSH)
    await arrivals.put(b"two")
    arrivals.end()
    assert await taken(arrivals) == [b"one", Mark.FLUSH, b"two"]


async def test_small_pieces_that_wait_are_put_together() -> None:
    arrivals = Arrivals()
    for _ in range(1000):
        await arrivals.put(b"x" * 100)
    arrivals.end()
    items = await taken(arrivals)
    assert len(items) <= 3
    assert b"".join(item for item in items if isinstance(item, bytes)) == b"x" * 100_000


async def test_whoever_takes_waits_for_what_comes() -> None:
    arrivals = Arrivals()
    taking = asyncio.create_task(taken(arrivals))
    for data in (b"one", b"two"):
        await let_others_run()
        await arrivals.put(data)
    await let_others_run()
    assert not taking.done()
    arrivals.end()
    assert await taking == [b"one", b"two"]


async def test_whoever_puts_in_waits_while_too_much_waits() -> None:
    arrivals = Arrivals()
    for _ in range(4):
        await arrivals.put(bytes(2**20))
    putting = asyncio.create_task(arrivals.put(b"more"))
    await let_others_run()
    assert not putting.done()
    taking = asyncio.create_task(taken(arrivals))
    await putting
    arrivals.end()
    assert b"".join(item for item in await taking if isinstance(item, bytes))[-4:] == b"more"


async def test_the_end_frees_whoever_waits_to_put_in() -> None:
    arrivals = Arrivals()
    await arrivals.put(bytes(5 * 2**20))
    putting = asyncio.create_task(arrivals.put(b"more"))
    await let_others_run()
    arrivals.end()
    await asyncio.wait_for(putting, 1)
    arrivals.mark(Mark.FLUSH)
    assert await taken(arrivals) == [bytes(5 * 2**20)]


async def test_the_same_mark_twice_is_one() -> None:
    arrivals = Arrivals()
    for _ in range(1000):
        arrivals.mark(Mark.FLUSH)
    arrivals.end()
    assert await taken(arrivals) == [Mark.FLUSH]
