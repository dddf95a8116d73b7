"""The one way from the event loop to blocking code: a bounded pool of threads behind async calls.

For libraries that release the GIL while they work (CTranslate2, PyTorch, FFmpeg, espeak-ng through ctypes). Pulling
(``iterate``) suits generators, pushing (``produce``) suits libraries that call back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

Emit = Callable[[T], bool]
"""Hands an item to the consumer; False says that it is gone and the producer should stop."""


class _End:
    """Marks the end of an iterator or a producer."""


_END: Final = _End()


class Bridge:
    """Runs blocking work in at most ``threads`` threads of its own.

    More work than threads waits inside; admission keeps that short.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        """Run ``work(*args)`` in a thread. Cancelling stops the waiting, not the work."""
        return await asyncio.wrap_future(self._submit(work, *args))

    async def iterate(self, start: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        """Yield the items of the iterator that ``start`` makes, taking each ``next`` to a thread.

        Nothing is computed ahead of the consumer. When this generator is closed or cancelled, the iterator is closed
        as soon as the step that runs has ended, and no further step begins.
        """
        steps = _Steps(start)
        step: Future[T | _End] | None = None
        try:
            while True:
                step = self._submit(steps.next)
                item = await asyncio.wrap_future(step)
                if isinstance(item, _End):
                    return
                yield item
        finally:
            steps.gone.set()
            if step is None or step.done():
                self._close_later(steps)
            else:
                step.add_done_callback(lambda _: self._close_later(steps))

    async def produce(self, work: Callable[[Emit[T]], None], *, ahead: int = 8) -> AsyncGenerator[T, None]:
        """Yield what ``work`` emits from a thread, at most ``ahead`` items before the consumer.

        When this generator is closed or cancelled, ``emit`` returns False; ``work`` should then return soon.
        """
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[T | _End] = asyncio.Queue()
        room = threading.Semaphore(ahead)
        gone = threading.Event()

        def hand_over(item: T | _End) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody is waiting
                loop.call_soon_threadsafe(items.put_nowait, item)

        def emit(item: T) -> bool:
            while not gone.is_set():
                if room.acquire(timeout=0.1):
                    hand_over(item)
                    return True
            return False

        done = self._submit(lambda: None if gone.is_set() else work(emit))
        done.add_done_callback(lambda _: hand_over(_END))
        try:
            while not isinstance(item := await items.get(), _End):
                room.release()
                yield item
            done.result()
        finally:
            gone.set()

    def close(self) -> None:
        """Take no more work; work that runs is left to end by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        # The thread logs under the request's id.
        return self._executor.submit(copy_context().run, _without_stop_iteration, work, *args)

    def _close_later(self, steps: _Steps[Any]) -> None:
        with suppress(RuntimeError):  # the pool has been shut down: the iterator goes with it
            self._executor.submit(steps.close)


def _without_stop_iteration(work: Callable[..., T], *args: Any) -> T:
    """Run ``work``; a stray ``StopIteration`` cannot be set on an asyncio future and would leave its waiter waiting."""
    try:
        return work(*args)
    except StopIteration as err:
        raise RuntimeError("blocking work raised StopIteration") from err


class _Steps(Generic[T]):
    """An iterator that is started, stepped and closed in threads, one at a time."""

    def __init__(self, start: Callable[[], Iterator[T]]) -> None:
        self._start = start
        self._iterator: Iterator[T] | None = None
        self.gone = threading.Event()

    def next(self) -> T | _End:
        if self.gone.is_set():
            return _END
        if self._iterator is None:
            self._iterator = self._start()
        return next(self._iterator, _END)

    def close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()
