"""Admission: so many at work, so many waiting, and past that a clear no."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from domain.errors import Overloaded


class Admission:
    """Lets ``running`` callers in at once; ``waiting`` more queue by their order, for ``patience`` seconds."""

    def __init__(self, *, running: int, waiting: int, patience: float) -> None:
        self.limit = running
        """Places for work."""
        self._free = asyncio.Semaphore(running)
        self._places = running + waiting
        self._taken = 0
        self._patience = patience
        self._typical = 1.0

    @property
    def taken(self) -> int:
        """Places taken now, running and waiting together."""
        return self._taken

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None, None]:
        """Hold a place for the body; it is free again however the body ends.

        Raises:
            Overloaded: no place to wait in, or the wait was longer than ``patience``.
        """
        if self._taken >= self._places:
            raise Overloaded("all places are taken; try again later", retry_after=self._expected_wait())
        self._taken += 1
        try:
            try:
                async with asyncio.timeout(self._patience):
                    await self._free.acquire()
            except TimeoutError:
                raise Overloaded(
                    f"no place became free within {self._patience:g} s; try again later",
                    retry_after=self._expected_wait(),
                ) from None
            began = time.monotonic()
            try:
                yield
            finally:
                self._typical += 0.2 * (time.monotonic() - began - self._typical)
                self._free.release()
        finally:
            self._taken -= 1

    def _expected_wait(self) -> float:
        """Seconds until a place is likely free: how long work took lately, times those ahead for each place."""
        return max(1.0, self._typical * (self._taken - self.limit + 1) / self.limit)
