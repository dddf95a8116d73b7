"""Speech whose words can be read off its samples, and an engine and a detector that read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from domain.audio import Samples, Waveform
from domain.live.events import LiveEvent
from domain.live.options import LiveLimits, LiveOptions
from domain.live.session import LiveSession
from domain.live.turns import Turns
from domain.ports.telemetry import Telemetry
from domain.ports.transcriber import Feature, TranscriberCapabilities
from domain.transcript import Segment, TranscribeOptions, TranscriptEvent, TranscriptionStarted, Word
from tests.unit.domain.doubles import Measurements

RATE = 16_000
FRAME = 512
VOCABULARY = tuple("zero one two three four five six seven eight nine ten eleven twelve".split())
WORD = 0.5
"""Seconds of a word, with the gap after it."""
_GAP = 0.06
LIMITS = LiveLimits(max_duration=600.0, lag_threshold=1e9, max_behind=1e9, max_utterance=20.0)
EAGER = LiveOptions(partial_interval=0.0)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def speech(text: str) -> Samples:
    """A word is a level of its own, half a second long."""
    words = [
        np.concatenate([np.full(round((WORD - _GAP) * RATE), 0.1 + 0.02 * VOCABULARY.index(word)), silence(_GAP)])
        for word in text.split()
    ]
    return np.concatenate(words).astype(np.float32)


def heard_in(samples: Samples) -> list[Word]:
    """The words in samples; of one that is cut off, its beginning."""
    edges = np.flatnonzero(np.diff(samples, prepend=0.0, append=0.0))
    words = []
    for begin, end in pairwise(edges):
        if samples[begin] < 0.05 or end - begin < 0.1 * RATE:
            continue
        word = VOCABULARY[round((float(samples[begin]) - 0.1) / 0.02)]
        whole = end - begin > 0.4 * RATE
        words.append(
            Word(
                start=float(begin) / RATE,
                end=float(end) / RATE,
                word=word if whole else word[: len(word) // 2],
                probability=0.9,
            )
        )
    return words


@dataclass
class ReadingTranscriber:
    """Reads the words off the samples; a segment has at most four."""

    languages: tuple[str, ...] = ("en", "es")
    features: frozenset[Feature] = frozenset(Feature)
    parallel: int = 1
    language_probability: float = 0.9
    takes: float = 0.0
    """Seconds that a transcription takes."""
    wait_for: asyncio.Event | None = None
    """What every transcription waits for."""
    errors: list[Exception] = field(default_factory=list)
    """What the next transcriptions raise."""
    calls: list[tuple[Waveform, TranscribeOptions]] = field(default_factory=list)
    running: int = 0

    @property
    def capabilities(self) -> TranscriberCapabilities:
        return TranscriberCapabilities(
            engine="reading",
            model="reader",
            device="cpu",
            compute_type="float32",
            sample_rate=RATE,
            languages=self.languages,
            features=self.features,
            parallel=self.parallel,
        )

    @property
    def finals(self) -> list[tuple[Waveform, TranscribeOptions]]:
        return [call for call in self.calls if not call[1].draft]

    @property
    def drafts(self) -> list[tuple[Waveform, TranscribeOptions]]:
        return [call for call in self.calls if call[1].draft]

    async def transcribe(self, audio: Waveform, options: TranscribeOptions) -> AsyncGenerator[TranscriptEvent, None]:
        self.calls.append((audio, options))
        self.running += 1
        try:
            if self.errors:
                raise self.errors.pop(0)
            await asyncio.sleep(self.takes)
            if self.wait_for is not None:
                await self.wait_for.wait()
            yield TranscriptionStarted(
                language=options.language or self.languages[0],
                language_probability=1.0 if options.language else self.language_probability,
                duration=audio.duration,
            )
            words = heard_in(audio.samples)
            for part in (words[n : n + 4] for n in range(0, len(words), 4)):
                yield Segment(
                    start=part[0].start,
                    end=part[-1].end,
                    text=" ".join(word.word for word in part),
                    words=tuple(part) if options.word_timestamps else None,
                )
        finally:
            self.running -= 1


class LoudnessDetector:
    """Takes whatever is loud for speech."""

    sample_rate = RATE
    frame = FRAME

    def __init__(self) -> None:
        self.longest = 0

    def stream(self) -> LoudnessDetector:
        return self

    async def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        assert len(samples) % FRAME == 0
        self.longest = max(self.longest, len(samples))
        await asyncio.sleep(0)
        loud = np.abs(samples).reshape(-1, FRAME).mean(axis=1) > 0.02
        return np.where(loud, 0.95, 0.01).astype(np.float32)


def session(
    transcriber: ReadingTranscriber,
    options: LiveOptions = EAGER,
    limits: LiveLimits = LIMITS,
    turns: Turns | None = None,
    telemetry: Telemetry | None = None,
) -> LiveSession:
    turns = turns or Turns(transcriber.parallel)
    return LiveSession(transcriber, LoudnessDetector(), turns, options, limits, telemetry or Measurements())


async def pieces(*sounds: Samples, of: float = 0.1, pause: float = 0.001) -> AsyncGenerator[Waveform, None]:
    """Sound in pieces of ``of`` seconds, ``pause`` seconds apart; an empty sound ends the utterance."""
    for sound in sounds:
        for begin in range(0, max(1, len(sound)), round(of * RATE)):
            yield Waveform(samples=sound[begin : begin + round(of * RATE)], sample_rate=RATE)
            await asyncio.sleep(pause)


async def told(listening: LiveSession, sound: AsyncIterable[Waveform]) -> list[LiveEvent]:
    """All events of a stream."""
    return [event async for event in listening.events(sound)]


def kinds(events: Sequence[LiveEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def of_kind(events: Sequence[LiveEvent], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]
