"""Work that several callers ask for at the same moment is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.callers = 0


class SingleFlight(Generic[T]):
    """Runs at most one piece of work a name; callers of the same name share its result or its error."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    async def run(self, name: str, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The result of the work under ``name``, and whether this caller joined work already begun.

        A caller that is cancelled leaves the others in peace; when the last one leaves, the work is cancelled, and
        this returns only when it has ended.
        """
        flight = self._flights.get(name)
        joined = flight is not None
        if flight is None:
            flight = _Flight(asyncio.ensure_future(self._fly(work)))
            self._flights[name] = flight
        flight.callers += 1
        try:
            return await asyncio.shield(flight.task), joined
        finally:
            flight.callers -= 1
            if not flight.callers:
                if self._flights.get(name) is flight:
                    del self._flights[name]
                if not flight.task.done():
                    # Nobody is left to hear how it ends.
                    flight.task.add_done_callback(lambda task: task.cancelled() or task.exception())
                    flight.task.cancel()
                    await asyncio.wait({flight.task})

    @staticmethod
    async def _fly(work: Callable[[], Awaitable[T]]) -> T:
        return await work()
