"""The streams that are open in this process, and their end when the service stops."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from domain.errors import ServiceStopping


class OpenStreams:
    """Knows how many streams are open; tells them when the service stops."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set when the service stops: what was heard so far is finished, as if the client had sent ``stop``."""
        self.overdue = asyncio.Event()
        """Set when there is no more time for that."""
        self._open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()

    @contextmanager
    def one(self) -> Generator[None, None, None]:
        """Count a stream for the body.

        Raises:
            ServiceStopping: no new ones are taken.
        """
        if self.stopping.is_set():
            raise ServiceStopping("the service is being stopped; try again in a moment")
        self._open += 1
        self._none_open.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()

    async def finish(self, patience: float, last_words: float = 1.0) -> None:
        """Have all streams end, and return when they have.

        Args:
            patience: Seconds that they have to say what was heard.
            last_words: Seconds that those left over then have to say that they could not.
        """
        self.stopping.set()
        for stage, seconds in ((None, patience), (self.overdue, last_words)):
            if stage is not None:
                stage.set()
            try:
                async with asyncio.timeout(seconds):
                    await self._none_open.wait()
            except TimeoutError:
                continue
            return
