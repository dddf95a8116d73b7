"""An utterance that is heard while it is being said."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import numpy as np

from adapters.pocketsphinx.pool import DecoderPool
from adapters.pocketsphinx.process import Request
from adapters.pocketsphinx.utterances import (
    BYTES_PER_SECOND,
    SAMPLE_RATE,
    FoundWord,
    pcm,
    phrases,
    spoken_words,
    utterances,
)
from domain.audio import Samples, Waveform
from domain.errors import EngineFailed, EngineUnavailable
from domain.transcript import Segment

_FIRST: Final = 1.2
"""Seconds of sound with which the decoder begins: it needs their mean."""


class LiveUtterance:
    """Keeps its sound, so that it needs no process between two calls.

    It begins with a process that nobody else needs and goes on there as long as nobody else needs it; a whole utterance
    that waits takes the process. Then it is heard in whole when it is over. So each second of sound is decoded twice at
    the most, a client that says nothing more holds up nobody, and what thins out when all are busy is words while
    people speak.
    """

    def __init__(self, pool: DecoderPool, *, words: bool) -> None:
        self._pool = pool
        self._words = words
        self._sound = bytearray()
        self._given: int | None = None
        """Bytes that a process has heard; ``None`` before there was one."""
        self._lost = False

    async def hear(self, sound: Waveform) -> Sequence[str] | None:
        """Take the next sound; see ``domain.ports.streaming_transcriber.StreamedUtterance``."""
        self._sound += pcm(sound.samples)
        if self._lost or len(self._sound) < _FIRST * BYTES_PER_SECOND or self._given == len(self._sound):
            return None
        found = await self._go_on(Request.MORE)
        return None if found is None else spoken_words(found)

    async def finish(self) -> Sequence[Segment]:
        """End the utterance; see ``domain.ports.streaming_transcriber.StreamedUtterance``."""
        if self._given is not None and not self._lost:
            found = await self._go_on(Request.END)
            if found is not None:
                return list(phrases(found, 0.0, len(self._sound) / BYTES_PER_SECOND, words=self._words))
        whole = np.frombuffer(bytes(self._sound), "<i2").astype(np.float32) / np.float32(32768.0)
        return [segment async for segment in hear_whole(self._pool, whole, words=self._words)]

    def leave(self) -> None:
        """Let go of what a process may hold of it."""
        self._pool.drop(self)

    async def _go_on(self, request: Request) -> list[FoundWord] | None:
        if self._given is None:
            found = await self._pool.begin(self, bytes(self._sound))
        else:
            more, seconds = bytes(self._sound[self._given :]), len(self._sound) / BYTES_PER_SECOND
            found = await self._pool.go_on(self, request, more, seconds)
            self._lost = found is None
        if found is not None:
            self._given = len(self._sound)
        return found


async def hear_whole(pool: DecoderPool, samples: Samples, *, words: bool) -> AsyncGenerator[Segment, None]:
    """Decode sound that is there in whole, one utterance at a time.

    Raises:
        EngineFailed: a process broke off.
    """
    for begin, end in utterances(samples):
        try:
            found = await pool.decode(pcm(samples[begin:end]))
        except EngineUnavailable as err:
            raise EngineFailed("the speech engine broke off and could not be started again") from err
        for segment in phrases(found, begin / SAMPLE_RATE, end / SAMPLE_RATE, words=words):
            yield segment
