"""A transcriber that needs no engine: says scripted segments, remembers what it was asked, fails or waits when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.audio import Waveform
from domain.errors import EngineFailed, UnsupportedLanguage
from domain.ports.transcriber import Feature, TranscriberCapabilities
from domain.transcript import Segment, TranscribeOptions, TranscriptEvent, TranscriptionStarted, Word

SAMPLE_RATE = 16_000
SCRIPT = ("Turn on the light.", "Where is the hospital?")


@dataclass
class FakeTranscriber:
    """Says one sentence of ``script`` after the other, at equal parts of whatever audio is not silent."""

    script: Sequence[str] = SCRIPT
    """The texts of its segments."""
    languages: tuple[str, ...] = ("en", "es")
    """What its capabilities say; the first is the one that it detects."""
    features: frozenset[Feature] = frozenset(Feature)
    """What its capabilities say."""
    parallel: int = 2
    """What its capabilities say."""
    language_probability: float = 0.9
    """Of the language that it detects."""
    fail_after: int | None = None
    """Segments after which it raises ``error``; -1 raises before its first event."""
    error: Exception | None = None
    """What it raises then; ``None`` is an ``EngineFailed``."""
    wait_for: asyncio.Event | None = None
    """What it waits for before its second segment (or its end)."""
    calls: list[tuple[Waveform, TranscribeOptions]] = field(default_factory=list)
    """What it was asked to transcribe, in order."""
    segments: int = 0
    """Segments that it has said in all."""
    running: int = 0
    """Transcriptions that run now."""
    most_running: int = 0
    """Most transcriptions that ever ran at once."""

    @property
    def capabilities(self) -> TranscriberCapabilities:
        return TranscriberCapabilities(
            engine="fake",
            model="script",
            device="cpu",
            compute_type="float32",
            sample_rate=SAMPLE_RATE,
            languages=self.languages,
            features=self.features,
            parallel=self.parallel,
        )

    async def transcribe(self, audio: Waveform, options: TranscribeOptions) -> AsyncGenerator[TranscriptEvent, None]:
        self.calls.append((audio, options))
        if options.language is not None and options.language not in self.languages:
            raise UnsupportedLanguage(options.language, self.languages)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.fail_after == -1:
                raise self._failure()
            yield TranscriptionStarted(
                language=options.language or self.languages[0],
                language_probability=self.language_probability if options.language is None else 1.0,
                duration=audio.duration,
            )
            silent = len(audio.samples) == 0 or float(np.abs(audio.samples).max()) < 1e-3
            script = () if silent else self.script
            for i, text in enumerate(script):
                if i == self.fail_after:
                    break
                if i == 1:
                    await self._wait()
                await asyncio.sleep(0)
                self.segments += 1
                length = audio.duration / len(script)
                yield _segment(text, i * length, length, words=options.word_timestamps)
            if len(script) < 2:
                await self._wait()
            if self.fail_after is not None:
                raise self._failure()
        finally:
            self.running -= 1

    def _failure(self) -> Exception:
        return self.error or EngineFailed("the fake transcriber was told to fail")

    async def _wait(self) -> None:
        if self.wait_for is not None:
            await self.wait_for.wait()


def _segment(text: str, start: float, length: float, *, words: bool) -> Segment:
    spoken = text.split()
    each = length / len(spoken)
    return Segment(
        start=start,
        end=start + length,
        text=text,
        words=tuple(
            Word(start=start + i * each, end=start + (i + 1) * each, word=word, probability=0.8)
            for i, word in enumerate(spoken)
        )
        if words
        else None,
    )
