"""One decoder process: started, asked, watched, ended."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from adapters.pocketsphinx.utterances import FoundWord
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


class DecoderProcess:
    """One decoder process at a time, started again when it has ended."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self.begun: object | None = None
        """Whose utterance it has begun to hear."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
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
