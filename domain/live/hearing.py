"""How an engine hears an utterance: again and again, or by itself as sound comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Protocol

import msgspec

from domain.audio import Waveform
from domain.deadline import deadline
from domain.errors import EngineFailed
from domain.live.options import LiveOptions
from domain.live.sound import RecentSound
from domain.live.turns import Turns, Urgency
from domain.live.utterance import Utterance
from domain.ports.streaming_transcriber import StreamedUtterance, StreamingTranscriber
from domain.ports.telemetry import Stage, Telemetry
from domain.ports.transcriber import Feature, Transcriber
from domain.transcript import Segment, TranscribeOptions, TranscriptionStarted
from domain.words import joined

_NAME = "listen"
"""Name of the use case, for telemetry."""
_TRIM_AFTER = 10.0
"""Seconds of a window from which segments that stand leave it."""
_LONGEST = 120.0
"""Seconds that an engine may take for one decoding of an utterance; one that takes longer hangs."""


class Context(msgspec.Struct, kw_only=True):
    """What is known before an utterance is heard."""

    language: str | None
    """ISO 639-1 code; ``None`` has it detected."""
    text: str
    """What was said before."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What an utterance says, decoded in full."""

    segments: list[Segment]
    """Times in seconds from the start of the utterance."""
    language: str
    language_probability: float


class Hearing(Protocol):
    """Hears one utterance."""

    async def partial(self, utterance: Utterance, sound: RecentSound, context: Context, *, speaking: bool) -> None:
        """Bring the utterance's standing and unstable words up to the sound that there is."""
        ...

    async def final(self, utterance: Utterance, sound: RecentSound, context: Context) -> Heard:
        """Hear the whole utterance."""
        ...


class HearingAgain(Hearing):
    """For engines that hear a piece of sound as a whole: decodes the growing utterance again each time."""

    def __init__(self, transcriber: Transcriber, turns: Turns, options: LiveOptions, telemetry: Telemetry) -> None:
        self._transcriber = transcriber
        self._turns = turns
        self._options = options
        self._telemetry = telemetry
        self._can = transcriber.capabilities

    async def partial(self, utterance: Utterance, sound: RecentSound, context: Context, *, speaking: bool) -> None:
        """Decode the window once, without fallbacks, greedily."""
        async with self._turns.turn(Urgency.PARTIAL, unless=utterance.over) as has_turn:
            if not has_turn or utterance.end is not None:
                return  # it ended while this waited: its final comes next
            utterance.covered = sound.end
            samples = sound.between(utterance.window, sound.end)
            before = joined([context.text, *utterance.kept])
            options = self._transcribe_options(context, before, quick=True)
            heard = await self._decode(Waveform(samples=samples, sample_rate=self._can.sample_rate), options)
        if utterance.over.is_set():
            return  # where it was cut, the end of what was decoded is the beginning of the next
        utterance.hear(heard.segments, speaking=speaking, trim_after=_TRIM_AFTER, sample_rate=self._can.sample_rate)

    async def final(self, utterance: Utterance, sound: RecentSound, context: Context) -> Heard:
        """Decode the utterance in full, with the engine's fallbacks."""
        samples = sound.between(utterance.start, utterance.end or sound.end)
        async with AsyncExitStack() as stack:
            with self._telemetry.stage(_NAME, Stage.QUEUE):
                await stack.enter_async_context(self._turns.turn(Urgency.FINAL))
            with self._telemetry.stage(_NAME, Stage.INFERENCE):
                return await self._decode(
                    Waveform(samples=samples, sample_rate=self._can.sample_rate),
                    self._transcribe_options(context, context.text, quick=False),
                )

    def _transcribe_options(self, context: Context, before: str, *, quick: bool) -> TranscribeOptions:
        can, asked = self._can.features, self._options
        return TranscribeOptions(
            language=context.language,
            task=asked.task,
            word_timestamps=(quick or asked.word_timestamps) and Feature.WORD_TIMESTAMPS in can,
            prompt=(before.strip() or None) if Feature.PROMPT in can else None,
            hotwords=asked.hotwords,
            temperature=0.0 if quick and Feature.TEMPERATURE in can else None,
            beam_size=1 if quick and Feature.BEAM_SIZE in can else None,
            draft=quick,
        )

    async def _decode(self, waveform: Waveform, options: TranscribeOptions) -> Heard:
        async with deadline(_LONGEST), aclosing(self._transcriber.transcribe(waveform, options)) as events:
            started = await anext(events)
            if not isinstance(started, TranscriptionStarted):
                raise EngineFailed("the engine gave words before it said that it had started")
            return Heard(
                segments=[event async for event in events if isinstance(event, Segment)],
                language=started.language,
                language_probability=started.language_probability,
            )


class HearingOn(Hearing):
    """For engines that stream by themselves: gives each piece of sound once."""

    def __init__(self, streamed: StreamedUtterance, sample_rate: int, language: str, telemetry: Telemetry) -> None:
        self._streamed = streamed
        self._sample_rate = sample_rate
        self._language = language
        self._telemetry = telemetry

    async def partial(self, utterance: Utterance, sound: RecentSound, context: Context, *, speaking: bool) -> None:
        """Give the engine what has come since."""
        end = sound.end if utterance.end is None else utterance.end
        words = await self._streamed.hear(self._take(utterance, sound, end))
        if words is not None:
            utterance.hear_all(words, speaking=speaking)

    async def final(self, utterance: Utterance, sound: RecentSound, context: Context) -> Heard:
        """Give the engine the rest and have it end the utterance."""
        with self._telemetry.stage(_NAME, Stage.INFERENCE):
            await self._streamed.hear(self._take(utterance, sound, utterance.end or sound.end))
            segments = list(await self._streamed.finish())
        return Heard(segments=segments, language=self._language, language_probability=1.0)

    def _take(self, utterance: Utterance, sound: RecentSound, end: int) -> Waveform:
        samples = sound.between(utterance.covered, end)
        utterance.covered = utterance.settled = max(utterance.covered, end)
        return Waveform(samples=samples, sample_rate=self._sample_rate)


@asynccontextmanager
async def hearing(
    transcriber: Transcriber, turns: Turns, options: LiveOptions, telemetry: Telemetry
) -> AsyncGenerator[Hearing, None]:
    """The way in which this engine hears one utterance. The stages of its final are timed; partials come and go."""
    if isinstance(transcriber, StreamingTranscriber):
        can = transcriber.capabilities
        asked = TranscribeOptions(language=options.language, word_timestamps=options.word_timestamps)
        async with transcriber.utterance(asked) as streamed:
            yield HearingOn(streamed, can.sample_rate, can.languages[0], telemetry)
    else:
        yield HearingAgain(transcriber, turns, options, telemetry)
