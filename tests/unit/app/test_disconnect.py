from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from litestar import Request

from app.disconnect import ClientGone, while_connected


class Client:
    """A client that goes away when it is told."""

    def __init__(self, *before: str) -> None:
        self.leaves = asyncio.Event()
        self.listening = 0
        self._before = list(before)

    @property
    def request(self) -> Request[Any, Any, Any]:
        return cast("Request[Any, Any, Any]", self)

    async def receive(self) -> dict[str, str]:
        if self._before:
            return {"type": self._before.pop(0)}
        self.listening += 1
        try:
            await self.leaves.wait()
        finally:
            self.listening -= 1
        return {"type": "http.disconnect"}


class Work:
    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.farewell = asyncio.Event()
        self.farewell.set()
        self.events: list[str] = []

    async def __call__(self) -> str:
        self.events.append("begun")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            await self.farewell.wait()
            self.events.append("ended")
            raise
        return "result"


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def work() -> Work:
    return Work()


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_work_that_ends_gives_its_result_and_nobody_listens_any_more(client: Client, work: Work) -> None:
    work.go.set()
    assert await while_connected(client.request, work()) == "result"
    await turns()
    assert client.listening == 0


async def test_an_error_of_the_work_comes_out(client: Client) -> None:
    async def fail() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        await while_connected(client.request, fail())


async def test_a_client_that_goes_away_has_its_work_cancelled(client: Client, work: Work) -> None:
    task = asyncio.create_task(while_connected(client.request, work()))
    await turns()
    client.leaves.set()
    with pytest.raises(ClientGone):
        await task
    assert work.events == ["begun", "cancelled", "ended"]


async def test_it_waits_until_the_cancelled_work_has_ended(client: Client, work: Work) -> None:
    work.farewell.clear()
    task = asyncio.create_task(while_connected(client.request, work()))
    await turns()
    client.leaves.set()
    await turns()
    assert work.events == ["begun", "cancelled"]
    assert not task.done()
    work.farewell.set()
    with pytest.raises(ClientGone):
        await task
    assert work.events[-1] == "ended"


async def test_messages_other_than_a_disconnect_are_passed_over(work: Work) -> None:
    client = Client("http.request", "http.request")
    task = asyncio.create_task(while_connected(client.request, work()))
    await turns()
    work.go.set()
    assert await task == "result"


async def test_work_that_is_done_when_the_client_goes_away_still_counts(client: Client, work: Work) -> None:
    client.leaves.set()
    work.go.set()
    assert await while_connected(client.request, work()) == "result"


async def test_cancellation_from_outside_cancels_the_work_and_waits_for_its_end(client: Client, work: Work) -> None:
    task = asyncio.create_task(while_connected(client.request, work()))
    await turns()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert work.events == ["begun", "cancelled", "ended"]
    assert client.listening == 0


async def test_work_that_fails_while_it_is_being_cancelled_troubles_nobody(client: Client) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fail_on_the_way_out() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise LookupError from None

    task = asyncio.create_task(while_connected(client.request, fail_on_the_way_out()))
    await turns()
    client.leaves.set()
    with pytest.raises(ClientGone):
        await task
    del task
    await turns()
    assert complaints == []
