"""Decoder processes that are shared: handed out in turns, replaced when they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from adapters.pocketsphinx.process import DecoderProcess, Request
from adapters.pocketsphinx.utterances import BYTES_PER_SECOND, FoundWord
from domain.errors import EngineUnavailable


class DecoderPool:
    """Decoder processes that take turns, one utterance at a time, so that a long recording holds up nobody."""

    def __init__(self, size: int) -> None:
        self._all = [DecoderProcess() for _ in range(size)]
        self._idle: list[DecoderProcess] = []
        self._free = asyncio.Semaphore(0)  # first come, first served
        self._revivals: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Start all; return when all are ready.

        Raises:
            EngineUnavailable: one does not start.
        """
        async with asyncio.TaskGroup() as starts:
            tasks = [starts.create_task(self._start(process)) for process in self._all]
        for failure in (task.result() for task in tasks):
            if failure is not None:
                raise failure
        for process in self._all:
            self._give_back(process)

    @staticmethod
    async def _start(process: DecoderProcess) -> EngineUnavailable | None:
        try:
            await process.start()
        except EngineUnavailable as err:
            return err
        return None

    async def ready(self) -> None:
        """Return when there is a process to decode with, busy or not.

        Raises:
            EngineUnavailable: there is none and none can be started.
        """
        if not any(process.alive for process in self._all):
            async with self._turn():
                pass

    async def decode(self, utterance: bytes) -> list[FoundWord]:
        """Decode one utterance of signed 16-bit mono samples at 16 kHz; cancelling stops it at once.

        Raises:
            EngineFailed: the process broke off; the next call has another.
            EngineUnavailable: no process can be started.
        """
        async with self._turn() as process:
            process.begun = None
            return await process.ask(Request.WHOLE, utterance, len(utterance) / BYTES_PER_SECOND)

    async def begin(self, owner: object, sound: bytes) -> list[FoundWord] | None:
        """Begin an utterance that is still being said, with a process that nobody needs now; ``None`` if there is none.

        The process is not held for it: whoever has a whole utterance may take it, and the one that was begun is lost.

        Raises:
            EngineFailed: the process broke off.
        """
        process = next((idle for idle in self._idle if idle.begun is None and idle.alive), None)
        if process is None or self._free.locked():
            return None
        async with self._take(process):
            process.begun = owner
            return await process.ask(Request.BEGIN, sound, len(sound) / BYTES_PER_SECOND)

    async def go_on(self, owner: object, request: Request, sound: bytes, seconds: float) -> list[FoundWord] | None:
        """Bring more, or the end, of the utterance that ``owner`` began; ``None`` if that is lost.

        Raises:
            EngineFailed: the process broke off.
        """
        process = next((idle for idle in self._idle if idle.begun is owner and idle.alive), None)
        if process is None or self._free.locked():
            return None
        async with self._take(process):
            return await process.ask(request, sound, seconds)

    def drop(self, owner: object) -> None:
        """Forget the utterance that ``owner`` began."""
        for process in self._all:
            if process.begun is owner:
                process.begun = None

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[DecoderProcess, None]:
        # The wait is as long as the utterances before take, and those are bounded.
        await self._free.acquire()
        process = next((idle for idle in self._idle if idle.begun is None), self._idle[0])
        self._idle.remove(process)
        async with self._hold(process):
            yield process

    @asynccontextmanager
    async def _take(self, process: DecoderProcess) -> AsyncGenerator[None, None]:
        """Hold an idle process; ``_free`` is not locked."""
        self._idle.remove(process)
        await self._free.acquire()  # at once
        async with self._hold(process):
            yield

    @asynccontextmanager
    async def _hold(self, process: DecoderProcess) -> AsyncGenerator[None, None]:
        try:
            if self._closed:
                raise EngineUnavailable("the speech engine is being closed")
            await process.start()
            yield
        except EngineUnavailable:
            self._give_back(process)
            raise
        except BaseException:
            process.begun = None
            if self._closed:
                self._give_back(process)
                raise
            revival = asyncio.create_task(self._revive(process))
            self._revivals.add(revival)
            revival.add_done_callback(self._revivals.discard)
            raise
        else:
            self._give_back(process)

    def _give_back(self, process: DecoderProcess) -> None:
        self._idle.append(process)
        self._free.release()

    async def _revive(self, process: DecoderProcess) -> None:
        # Where this fails, the turn that takes it next tries again and says so.
        try:
            await self._start(process)
        finally:
            self._give_back(process)

    async def close(self) -> None:
        """End all processes; requests that still run fail."""
        self._closed = True
        for revival in tuple(self._revivals):
            revival.cancel()
        for process in self._all:
            if process not in self._idle:
                process.kill()
        await asyncio.gather(*self._revivals, return_exceptions=True)
        await asyncio.gather(*(process.end() for process in self._all), return_exceptions=True)
