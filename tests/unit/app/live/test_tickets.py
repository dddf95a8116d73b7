"""Tickets: what they open, and what opens nothing."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from litestar.stores.memory import MemoryStore

from app.live.tickets import Tickets
from domain.errors import Unauthorized

SECRET = bytes(range(32))


def tickets(secret: bytes = SECRET, lifetime: float = 30) -> Tickets:
    return Tickets(secret, MemoryStore(), lifetime)


async def refused(taking: Tickets, ticket: str) -> bool:
    try:
        await taking.redeem(ticket)
    except Unauthorized:
        return True
    return False


async def test_a_ticket_is_its_holders_and_works_once() -> None:
    of_one = tickets()
    ticket, _ = await of_one.issue("alice")
    assert await of_one.redeem(ticket) == "alice"
    assert await refused(of_one, ticket)


async def test_of_many_that_come_at_once_one_is_taken() -> None:
    of_one = tickets()
    ticket, _ = await of_one.issue("alice")
    assert sum(await asyncio.gather(*(refused(of_one, ticket) for _ in range(10)))) == 9


async def test_another_worker_with_the_same_secret_takes_it() -> None:
    ticket, _ = await tickets().issue("alice")
    assert await tickets().redeem(ticket) == "alice"
    assert await refused(tickets(bytes(32)), ticket)


async def test_an_expired_one_is_refused() -> None:
    short = tickets(lifetime=0.05)
    ticket, _ = await short.issue("alice")
    await asyncio.sleep(0.1)
    assert await refused(short, ticket)


async def test_every_byte_of_it_counts() -> None:
    of_one = tickets()
    ticket, _ = await of_one.issue("alice")
    whole = urlsafe_b64decode(ticket)
    for place in range(len(whole)):
        altered = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        assert await refused(of_one, urlsafe_b64encode(altered).decode())
    assert await of_one.redeem(ticket) == "alice"


@pytest.mark.parametrize("ticket", ["", "x", "é", "%%%", "A" * 22, "A" * 100_000, "\0"])
async def test_what_is_none_is_refused(ticket: str) -> None:
    assert await refused(tickets(), ticket)
