"""A transcriber that streams by itself and needs no engine: a word of its script for each half second of sound."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from domain.audio import Waveform
from domain.errors import UnsupportedLanguage
from domain.ports.streaming_transcriber import StreamedUtterance
from domain.transcript import Segment, TranscribeOptions, Word
from tests.fakes.transcriber import SAMPLE_RATE, FakeTranscriber

_WORD = 0.5


@dataclass
class FakeStreamingTranscriber(FakeTranscriber):
    """Says the words of ``script`` one by one as sound comes that is not silent."""

    open: int = 0
    """Utterances that are open."""

    @asynccontextmanager
    async def utterance(self, options: TranscribeOptions) -> AsyncGenerator[StreamedUtterance, None]:
        if options.language is not None and options.language not in self.languages:
            raise UnsupportedLanguage(options.language, self.languages)
        self.open += 1
        try:
            yield _Utterance(" ".join(self.script).split(), words=options.word_timestamps)
        finally:
            self.open -= 1


class _Utterance:
    def __init__(self, script: Sequence[str], *, words: bool) -> None:
        self._script = script
        self._words = words
        self._seconds = 0.0
        self._loud = False

    async def hear(self, sound: Waveform) -> Sequence[str] | None:
        if len(sound.samples) == 0:
            return None
        self._seconds += len(sound.samples) / SAMPLE_RATE
        self._loud = self._loud or bool(np.abs(sound.samples).max() > 1e-3)
        return self._said()

    async def finish(self) -> Sequence[Segment]:
        words = tuple(
            Word(start=n * _WORD, end=(n + 1) * _WORD, word=word, probability=0.8)
            for n, word in enumerate(self._said())
        )
        if not words:
            return []
        text = " ".join(word.word for word in words)
        return [Segment(start=0.0, end=words[-1].end, text=text, words=words if self._words else None)]

    def _said(self) -> list[str]:
        return list(self._script[: int(self._seconds / _WORD)]) if self._loud else []
