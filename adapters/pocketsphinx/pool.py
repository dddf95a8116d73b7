"""Decoder processes: started, fed, watched, replaced, ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from adapters.pocketsphinx.utterances import BYTES_PER_SECOND, FoundWord
from domain.errors import EngineFailed, EngineUnavailable

_PROGRAM: Final = Path(__file__).with_name("worker.py")
_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 2.0
_LINE_LIMIT: Final = 4 * 2**20
_BROKEN: Final = (OSError, EOFError, TimeoutError, ValueError, msgspec.MsgspecError)


class Request(Enum):
    """What a decoder process is asked; see ``worker.py``."""

    WHOLE = b"W"
    BEGIN = b"B"
    MORE = b"M"
    END = b"E"


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a decoder process."""

    ready: bool = False
    words: list[FoundWord] | None = None
    error: str | None = None


class _DecoderProcess:
    """One decoder process at a time, started again when it has ended."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self.begun: object | None = None
        """Whose utterance it has begun to hear."""

    @property
    def alive(self) -> bool:
        process = self._process
        return (
            process is not None
            and not self._killed
            and process.returncode is None
            and process.stdout is not None
            and not process.stdout.at_eof()
        )

    async def start(self) -> None:
        """Start it, unless it runs; return when it is ready.

        Raises:
            EngineUnavailable: it does not start.
        """
        if self.alive:
            return
        await self.end()
        self._killed, self.begun = False, None
        try:
            self._process = await _spawn()
            answer = await self._answer(_START_SECONDS)
        except _BROKEN as err:
            await self.end()
            raise EngineUnavailable("the PocketSphinx decoder process does not start") from err
        except BaseException:
            self.kill()
            raise
        if not answer.ready:
            await self.end()
            raise EngineUnavailable("the PocketSphinx decoder does not load its model")

    async def ask(self, request: Request, sound: bytes, seconds: float) -> list[FoundWord]:
        """Have sound decoded, of an utterance of ``seconds`` in all.

        Whatever comes between ends the process, as its answer would be taken for the next one's.

        Raises:
            EngineFailed: the process ended, or did not answer in time.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise EngineFailed("the speech engine is not running")
        try:
            process.stdin.write(request.value + len(sound).to_bytes(4, "little") + sound)
            # Decoding takes a third to a half of real time on one core of its own.
            answer = await self._answer(30.0 + 10.0 * seconds)
        except _BROKEN as err:
            self.kill()
            raise EngineFailed("the speech engine broke off") from err
        except BaseException:
            self.kill()
            raise
        if answer.words is None:
            raise EngineFailed("the speech engine failed while transcribing")
        return answer.words

    async def _answer(self, seconds: float) -> _Answer:
        if self._process is None or self._process.stdout is None:
            raise EOFError
        async with asyncio.timeout(seconds):
            line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return msgspec.json.decode(line, type=_Answer)

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._killed, self.begun = True, None
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """Close its input, wait until it has ended, and end it where it does not."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            self.kill()
            await process.wait()
        if process.stdout is not None:
            with suppress(RuntimeError):  # a request that waits for its answer reads to the end itself
                await process.stdout.read()  # to its end, which closes the pipe
        self._process = None


async def _spawn() -> asyncio.subprocess.Process:
    # -P keeps this folder off its path, where `import pocketsphinx` must find the library and not the adapter.
    spawning = asyncio.create_task(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_LIMIT,
        )
    )
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:
        # It takes milliseconds, and broken off it would leave a process that nobody knows.
        process = await spawning
        process.kill()
        await process.wait()
        raise


class DecoderPool:
    """Decoder processes that take turns, one utterance at a time, so that a long recording holds up nobody."""

    def __init__(self, size: int) -> None:
        self._all = [_DecoderProcess() for _ in range(size)]
        self._idle: list[_DecoderProcess] = []
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
    async def _start(process: _DecoderProcess) -> EngineUnavailable | None:
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
    async def _turn(self) -> AsyncGenerator[_DecoderProcess, None]:
        # The wait is as long as the utterances before take, and those are bounded.
        await self._free.acquire()
        process = next((idle for idle in self._idle if idle.begun is None), self._idle[0])
        self._idle.remove(process)
        async with self._hold(process):
            yield process

    @asynccontextmanager
    async def _take(self, process: _DecoderProcess) -> AsyncGenerator[None, None]:
        """Hold an idle process; ``_free`` is not locked."""
        self._idle.remove(process)
        await self._free.acquire()  # at once
        async with self._hold(process):
            yield

    @asynccontextmanager
    async def _hold(self, process: _DecoderProcess) -> AsyncGenerator[None, None]:
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

    def _give_back(self, process: _DecoderProcess) -> None:
        self._idle.append(process)
        self._free.release()

    async def _revive(self, process: _DecoderProcess) -> None:
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
