"""What the bridge between the event loop and blocking code promises."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from contextvars import ContextVar

import pytest

from adapters.bridge import Bridge, Emit


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    bridge = Bridge("test-bridge", threads=2)
    yield bridge
    bridge.close()
    await until(lambda: not threads())


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("test-bridge")]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in other threads."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Numbers:
    """An iterator that blocks, and remembers what became of it."""

    def __init__(self, *, seconds: float = 0.0, fail_at: int | None = None) -> None:
        self._seconds = seconds
        self._fail_at = fail_at
        self.made = 0
        self.closed = False
        self.closed_while_running = False
        self._running = False

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self._running = True
        time.sleep(self._seconds)
        self._running = False
        if self.made == self._fail_at:
            raise ValueError("broken")
        self.made += 1
        return self.made - 1

    def close(self) -> None:
        self.closed = True
        self.closed_while_running = self._running


class TestCall:
    async def test_returns_what_the_work_returns_from_another_thread(self, bridge: Bridge) -> None:
        name = await bridge.call(lambda suffix: threading.current_thread().name + suffix, "!")
        assert name.startswith("test-bridge")
        assert name.endswith("!")

    async def test_raises_what_the_work_raises(self, bridge: Bridge) -> None:
        with pytest.raises(ZeroDivisionError):
            await bridge.call(lambda: 1 / 0)

    async def test_the_event_loop_goes_on_meanwhile(self, bridge: Bridge) -> None:
        work = asyncio.create_task(bridge.call(time.sleep, 0.2))
        ticks = 0
        while not work.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks >= 5

    async def test_runs_no_more_at_once_than_it_has_threads(self, bridge: Bridge) -> None:
        running, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1

        await asyncio.gather(*(bridge.call(work) for _ in range(8)))
        assert most == 2

    async def test_cancelling_stops_the_waiting_at_once(self, bridge: Bridge) -> None:
        release = threading.Event()
        work = asyncio.create_task(bridge.call(release.wait, 5))
        await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(work, 0.5)
        release.set()

    async def test_a_stray_stop_iteration_does_not_wait_for_ever(self, bridge: Bridge) -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.wait_for(bridge.call(next, iter(())), 1)

    async def test_the_work_sees_the_context_of_its_caller(self, bridge: Bridge) -> None:
        request: ContextVar[str] = ContextVar("request")
        request.set("abc")
        assert await bridge.call(request.get) == "abc"


class TestIterate:
    async def test_yields_all_items_in_order(self, bridge: Bridge) -> None:
        assert [item async for item in bridge.iterate(lambda: iter(range(50)))] == list(range(50))

    async def test_starts_and_steps_in_threads(self, bridge: Bridge) -> None:
        def names() -> Iterator[str]:
            yield threading.current_thread().name

        assert [name.startswith("test-bridge") async for name in bridge.iterate(names)] == [True]

    async def test_computes_nothing_ahead_of_the_consumer(self, bridge: Bridge) -> None:
        numbers = Numbers()
        async with aclosing(bridge.iterate(lambda: numbers)) as items:
            assert [await anext(items), await anext(items)] == [0, 1]
            await asyncio.sleep(0.05)
            assert numbers.made == 2

    async def test_closing_closes_the_iterator(self, bridge: Bridge) -> None:
        numbers = Numbers()
        async with aclosing(bridge.iterate(lambda: numbers)) as items:
            await anext(items)
        await until(lambda: numbers.closed)
        assert numbers.made == 1

    async def test_cancelling_lets_the_step_that_runs_end_and_then_closes(self, bridge: Bridge) -> None:
        numbers = Numbers(seconds=0.1)

        async def consume() -> None:
            async for _ in bridge.iterate(lambda: numbers):
                pass

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(0.15)  # in the middle of the second step
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(consumer, 0.05)
        await until(lambda: numbers.closed)
        assert not numbers.closed_while_running
        assert numbers.made == 2

    async def test_a_consumer_cancelled_before_its_turn_starts_nothing(self, bridge: Bridge) -> None:
        release = threading.Event()
        occupied = [asyncio.create_task(bridge.call(release.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0.02)
        started: list[bool] = []

        def start() -> Iterator[int]:
            started.append(True)
            return iter(())

        waiting = asyncio.ensure_future(anext(bridge.iterate(start), None))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait([waiting])
        release.set()
        await asyncio.gather(*occupied)
        await bridge.call(int)
        assert started == []

    async def test_an_error_comes_out_after_the_items_before_it_and_closes(self, bridge: Bridge) -> None:
        numbers = Numbers(fail_at=2)
        items = bridge.iterate(lambda: numbers)
        assert [await anext(items), await anext(items)] == [0, 1]
        with pytest.raises(ValueError, match="broken"):
            await anext(items)
        await until(lambda: numbers.closed)

    async def test_an_error_of_the_start_comes_out(self, bridge: Bridge) -> None:
        def start() -> Iterator[int]:
            raise OSError("no model")

        with pytest.raises(OSError, match="no model"):
            await anext(bridge.iterate(start))

    async def test_two_share_the_threads_step_by_step(self) -> None:
        single = Bridge("test-bridge", threads=1)
        order: list[str] = []

        async def consume(name: str) -> None:
            async for _ in single.iterate(lambda: iter(range(3))):
                order.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(consume("a"), consume("b"))
        single.close()
        await until(lambda: not threads())
        assert sorted(order) == ["a"] * 3 + ["b"] * 3
        assert order[:3] != ["a"] * 3


class TestProduce:
    async def test_yields_all_that_is_emitted_in_order(self, bridge: Bridge) -> None:
        def work(emit: Emit[int]) -> None:
            for number in range(100):
                assert emit(number)

        assert [item async for item in bridge.produce(work, ahead=3)] == list(range(100))

    async def test_is_never_further_ahead_than_asked(self, bridge: Bridge) -> None:
        emitted = 0

        def work(emit: Emit[int]) -> None:
            nonlocal emitted
            while emit(emitted):
                emitted += 1

        async with aclosing(bridge.produce(work, ahead=3)) as items:
            assert await anext(items) == 0
            await asyncio.sleep(0.1)
            assert emitted <= 1 + 3
            assert await anext(items) == 1

    async def test_tells_the_producer_when_its_consumer_is_gone(self, bridge: Bridge) -> None:
        ended = threading.Event()

        def work(emit: Emit[int]) -> None:
            while emit(0):
                pass
            ended.set()

        async with aclosing(bridge.produce(work)) as items:
            await anext(items)
        await until(ended.is_set)

    async def test_tells_the_producer_when_its_consumer_is_cancelled(self, bridge: Bridge) -> None:
        ended = threading.Event()

        def work(emit: Emit[int]) -> None:
            emit(0)
            while emit(1):
                time.sleep(0.01)
            ended.set()

        async def consume() -> None:
            async for _ in bridge.produce(work):
                pass

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(0.05)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        await until(ended.is_set)

    async def test_an_error_comes_out_after_the_items_before_it(self, bridge: Bridge) -> None:
        def work(emit: Emit[int]) -> None:
            emit(1)
            raise ValueError("broken")

        items = bridge.produce(work)
        assert await anext(items) == 1
        with pytest.raises(ValueError, match="broken"):
            await anext(items)

    async def test_a_consumer_cancelled_before_its_turn_starts_nothing(self) -> None:
        bridge = Bridge("test-bridge", threads=1)
        release = threading.Event()
        occupied = asyncio.create_task(bridge.call(release.wait, 5))
        await asyncio.sleep(0.02)
        started: list[bool] = []
        waiting = asyncio.ensure_future(anext(bridge.produce(lambda emit: started.append(emit(0))), None))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait([waiting])
        release.set()
        await occupied
        await bridge.call(int)
        bridge.close()
        await until(lambda: not threads())
        assert started == []


async def test_closing_takes_no_more_work_and_leaves_no_thread() -> None:
    bridge = Bridge("test-bridge", threads=2)
    await bridge.call(int)
    assert threads()
    bridge.close()
    with pytest.raises(RuntimeError):
        await bridge.call(int)
    await until(lambda: not threads())
