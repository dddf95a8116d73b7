"""One live stream, from sound to events."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable

import numpy as np

from domain.audio import Samples, Waveform
from domain.errors import AudioTooLong
from domain.live.endpointing import Closed, Cut, Endpointer, Opened
from domain.live.events import Final, Finished, Lag, LiveEvent, Partial, SpeechStarted, SpeechStopped
from domain.live.hearing import Heard, Hearing, hearing
from domain.live.options import LiveLimits, LiveOptions
from domain.live.said import Said
from domain.live.sound import RecentSound
from domain.live.turns import Turns
from domain.live.utterance import Utterance
from domain.ports.telemetry import Telemetry
from domain.ports.transcriber import Transcriber
from domain.ports.voice_activity import VoiceActivityDetector
from domain.transcript import Transcript, Word
from domain.words import joined

_EVENTS_AHEAD = 64
"""Events that wait for a client that reads slowly; then partials are left out, and the rest makes the stream wait."""
_LAG_EVERY = 1.0
"""Seconds between two reports of lag."""
_LEAST_NEW = 0.2
"""Seconds of new sound that make another partial worth while."""


class LiveSession:
    """Listens to one stream; ``events`` runs it."""

    def __init__(
        self,
        transcriber: Transcriber,
        detector: VoiceActivityDetector,
        turns: Turns,
        options: LiveOptions,
        limits: LiveLimits,
        telemetry: Telemetry,
    ) -> None:
        self._transcriber = transcriber
        self._turns = turns
        self._options = options
        self._limits = limits
        self._telemetry = telemetry
        self._rate = transcriber.capabilities.sample_rate
        self._activity = detector.stream()
        self._frame = detector.frame
        self._endpointer = Endpointer(
            sample_rate=self._rate,
            frame=detector.frame,
            silence=options.endpointing_silence,
            max_utterance=limits.max_utterance,
        )
        self._came = 0
        self._sound = RecentSound()
        self._rest: Samples = np.zeros(0, np.float32)
        self._utterances: deque[Utterance] = deque()
        self._count = 0
        self._changed = asyncio.Event()
        self._heard_more = asyncio.Event()
        self._ended = False
        self._last_lag = 0.0
        self._out: asyncio.Queue[LiveEvent | None] = asyncio.Queue(_EVENTS_AHEAD)
        self._said = Said(language=options.language, prompt=options.prompt)

    async def events(self, sound: AsyncIterable[Waveform]) -> AsyncGenerator[LiveEvent, None]:
        """Listen to ``sound``, pieces at the transcriber's sample rate, until it ends; the last event is ``Finished``.

        A piece of no samples ends the open utterance (``AudioCodec.decode_stream`` makes one of no bytes). Closing
        this generator ends the session.

        Raises:
            AudioTooLong: the stream is longer than the limit.
            EngineFailed, EngineUnavailable: see ``Transcriber.transcribe``.
            ParlanteError: whatever ``sound`` raises.
        """
        tasks = {asyncio.create_task(self._take_in(sound)), asyncio.create_task(self._hear())}
        watcher = asyncio.create_task(self._watch(tasks))
        try:
            while (event := await self._out.get()) is not None:
                yield event
            await watcher
        finally:
            for task in (*tasks, watcher):
                task.cancel()
            await asyncio.gather(*tasks, watcher, return_exceptions=True)

    @property
    def duration(self) -> float:
        """Seconds of sound that have been taken in."""
        return self._came / self._rate

    async def _watch(self, tasks: set[asyncio.Task[None]]) -> None:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        await self._out.put(None)
        for task in done:
            task.result()

    # Taking sound in.

    async def _take_in(self, sound: AsyncIterable[Waveform]) -> None:
        async for piece in sound:
            if not len(piece.samples):
                self._apply(self._endpointer.close())
            for begin in range(0, len(piece.samples), self._rate):
                await self._take(piece.samples[begin : begin + self._rate])
        if len(self._rest):
            await self._take_frames(np.pad(self._rest, (0, self._frame - len(self._rest))))
        self._apply(self._endpointer.close())
        self._ended = True
        self._changed.set()

    async def _take(self, samples: Samples) -> None:
        """Take in at most a second, so that streams share the detector and none runs far ahead of what is heard."""
        self._came += len(samples)
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self._frame * self._frame
        self._rest = samples[whole:]
        if whole:
            await self._take_frames(samples[:whole])
        if self._came > self._limits.max_duration * self._rate:
            raise AudioTooLong(f"the stream is longer than {self._limits.max_duration:g} s")
        await self._keep_up()

    async def _take_frames(self, samples: Samples) -> None:
        probabilities = await self._activity.probabilities(samples)
        for number, probability in enumerate(probabilities):
            self._sound.append(samples[number * self._frame : (number + 1) * self._frame])
            settled = self._utterances[-1].settled if self._utterances else 0
            self._apply(self._endpointer.take(float(probability), settled))
        if not self._utterances:
            self._sound.forget(self._sound.end - self._rate)  # pre-roll is shorter than a second
        self._changed.set()

    def _apply(self, change: Opened | Closed | Cut | None) -> None:
        match change:
            case None:
                return
            case Opened(start=start, speech=speech):
                self._open(start, speech)
            case Closed(end=end, speech=speech):
                self._utterances[-1].close(end, speech)
            case Cut(at=at):
                self._utterances[-1].close(at)
                self._open(at, None)
        self._changed.set()

    def _open(self, start: int, speech: int | None) -> None:
        self._utterances.append(Utterance(self._count, start, speech))
        self._count += 1

    async def _keep_up(self) -> None:
        """Tell the client when hearing falls behind; make it wait when it falls too far behind."""
        while (behind := self._behind()) > self._limits.lag_threshold:
            if time.monotonic() - self._last_lag >= _LAG_EVERY:
                self._last_lag = time.monotonic()
                self._tell_if_room(Lag(seconds=round(behind, 2)))
            if behind <= self._limits.max_behind:
                return
            self._heard_more.clear()
            await self._heard_more.wait()

    def _behind(self) -> float:
        """Seconds of sound that belong to utterances and wait to be heard."""
        if not self._utterances:
            return 0.0
        oldest = self._utterances[0]
        if oldest.end is not None:
            return (self._sound.end - oldest.end) / self._rate
        return (self._sound.end - oldest.covered) / self._rate if self._options.partials else 0.0

    # Hearing. One task tells all of it, so that the events of an utterance come together and in order.

    async def _hear(self) -> None:
        while True:
            while not self._utterances:
                if self._ended:
                    await self._out.put(Finished(transcript=self._transcript()))
                    return
                await self._wait_for_change()
            await self._hear_utterance(self._utterances[0])
            self._utterances.popleft()
            self._sound.forget(self._utterances[0].start if self._utterances else self._sound.end - self._rate)
            self._heard_more.set()

    async def _hear_utterance(self, utterance: Utterance) -> None:
        if utterance.speech_start is not None:
            await self._out.put(SpeechStarted(time=utterance.speech_start / self._rate))
        async with hearing(self._transcriber, self._turns, self._options, self._telemetry) as ear:
            await self._hear_while_open(utterance, ear)
            heard = await ear.final(utterance, self._sound, self._said.context)
        final = self._conclude(utterance, heard)
        if final.text:
            self._said.add(final, heard)
            await self._out.put(final)
        if utterance.speech_end is not None:
            await self._out.put(SpeechStopped(time=utterance.speech_end / self._rate))

    async def _hear_while_open(self, utterance: Utterance, ear: Hearing) -> None:
        told: tuple[list[str], list[str]] = ([], [])
        due = 0.0
        while utterance.end is None:
            now = time.monotonic()
            fresh = (self._sound.end - utterance.covered) / self._rate
            if not self._options.partials or fresh < _LEAST_NEW or now < due:
                wait = due - now if self._options.partials and fresh >= _LEAST_NEW else None
                await self._wait_for_change(wait)
                continue
            await ear.partial(utterance, self._sound, self._said.context, speaking=self._endpointer.is_speaking)
            self._heard_more.set()
            took = time.monotonic() - now
            due = now + took + max(self._options.partial_interval - took, took / 4)
            words = (utterance.standing, utterance.unstable)
            if not utterance.over.is_set() and words != told and self._tell_if_room(self._partial(utterance)):
                told = words

    async def _wait_for_change(self, at_most: float | None = None) -> None:
        """Wait until sound or its end comes; the caller has looked at both since it last waited for anything."""
        self._changed.clear()
        try:
            async with asyncio.timeout(at_most):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _tell_if_room(self, event: Partial | Lag) -> bool:
        if self._out.full():
            return False
        self._out.put_nowait(event)
        return True

    def _partial(self, utterance: Utterance) -> Partial:
        return Partial(
            utterance=utterance.number,
            start=utterance.start / self._rate,
            text=joined(utterance.standing),
            unstable=joined(utterance.unstable),
        )

    def _conclude(self, utterance: Utterance, heard: Heard) -> Final:
        end = self._sound.end if utterance.end is None else utterance.end
        text, words = utterance.final(heard.segments)
        start = utterance.start / self._rate
        return Final(
            utterance=utterance.number,
            start=start,
            end=end / self._rate,
            text=text,
            language=heard.language,
            words=tuple(_shift(word, start) for word in words),
        )

    def _transcript(self) -> Transcript:
        can = self._transcriber.capabilities
        return self._said.transcript(duration=self.duration, model=can.model, default_language=can.languages[0])


def _shift(word: Word, by: float) -> Word:
    return Word(start=word.start + by, end=word.end + by, word=word.word, probability=word.probability)
