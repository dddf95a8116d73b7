"""Turns at the engine: streams share it, finals go before partials."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import IntEnum
from itertools import count


class Urgency(IntEnum):
    """What a turn is for; the lower goes first."""

    FINAL = 0
    PARTIAL = 1


class Turns:
    """Hands out ``parallel`` turns at a time: the most urgent first, then first come first served."""

    def __init__(self, parallel: int) -> None:
        self._free = parallel
        self._waiting: list[tuple[Urgency, int, asyncio.Future[bool]]] = []
        self._number = count()

    @asynccontextmanager
    async def turn(self, urgency: Urgency, unless: asyncio.Event | None = None) -> AsyncGenerator[bool, None]:
        """Hold a turn for the body.

        A turn is as long as a decoding, and decodings have a deadline; so a wait ends.

        Args:
            urgency: What it is for.
            unless: Stop waiting when this is set.

        Yields:
            Whether there is a turn; False after ``unless`` was set.
        """
        if self._free:
            self._free -= 1
        elif not await self._wait(urgency, unless):
            yield False
            return
        try:
            yield True
        finally:
            self._pass_on()

    async def _wait(self, urgency: Urgency, unless: asyncio.Event | None) -> bool:
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._number), place))

        def give_up(_: asyncio.Task[bool]) -> None:
            if not place.done():
                place.set_result(False)

        given_up = asyncio.create_task(unless.wait()) if unless is not None else None
        if given_up is not None:
            given_up.add_done_callback(give_up)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self._pass_on()  # it was handed over in the same moment
            raise
        finally:
            if given_up is not None:
                given_up.cancel()
            self._waiting = [waiting for waiting in self._waiting if not waiting[2].done()]
            heapq.heapify(self._waiting)

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(True)
                return
        self._free += 1
