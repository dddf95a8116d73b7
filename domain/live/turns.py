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
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._number = count()

    @asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncGenerator[None, None]:
        """Hold a turn for the body. A caller bounds its wait by its own deadline."""
        if self._free:
            self._free -= 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (urgency, next(self._number), place))
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._pass_on()  # it was handed over in the same moment
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
