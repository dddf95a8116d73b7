"""Use case: an uploaded recording to a transcript."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from typing import BinaryIO

from domain.admission import Admission
from domain.audio import Waveform
from domain.deadline import deadline
from domain.errors import EngineFailed, UnsupportedLanguage, UnsupportedOption
from domain.ports.audio_codec import AudioCodec
from domain.ports.telemetry import Stage, Telemetry
from domain.ports.transcriber import Feature, Transcriber, TranscriberCapabilities
from domain.transcript import Segment, Task, TranscribeOptions, Transcript, TranscriptionStarted
from domain.words import joined

_NAME = "transcribe"


class Transcribe:
    """Decodes a recording and has the configured engine transcribe it, one place of ``admission`` at a time."""

    def __init__(
        self,
        transcriber: Transcriber,
        codec: AudioCodec,
        admission: Admission,
        telemetry: Telemetry,
        *,
        max_duration: float,
        time_limit: float,
    ) -> None:
        """Wire the use case.

        Args:
            transcriber: The engine.
            codec: Decodes uploads.
            admission: Places for work at the engine.
            telemetry: Takes the measurements.
            max_duration: Longest recording, in seconds.
            time_limit: Longest work on one recording once it has a place, in seconds.
        """
        self._transcriber = transcriber
        self._codec = codec
        self._admission = admission
        self._telemetry = telemetry
        self._max_duration = max_duration
        self._time_limit = time_limit

    def check(self, options: TranscribeOptions) -> None:
        """Refuse what the engine cannot do, before anything is uploaded or queued; see ``check_options``."""
        check_options(self._transcriber.capabilities, options)

    async def __call__(self, source: BinaryIO, options: TranscribeOptions) -> Transcript:
        """Transcribe a recording as a whole.

        Args:
            source: An open, seekable audio or video file; stays open.
            options: How to transcribe.

        Raises:
            UnsupportedLanguage, UnsupportedOption: see ``check``.
            AudioEmpty, AudioInvalid, AudioTruncated, AudioTooLong: see ``AudioCodec.decode``.
            Overloaded: no place within the admission's patience.
            DeadlineExceeded: the work took longer than the time limit.
            EngineFailed, EngineUnavailable: see ``Transcriber.transcribe``.
        """
        self.check(options)
        time, can = self._telemetry.stage, self._transcriber.capabilities
        async with AsyncExitStack() as held:
            with time(_NAME, Stage.QUEUE):
                await held.enter_async_context(self._admission.place())
            async with deadline(self._time_limit):
                with time(_NAME, Stage.DECODE):
                    audio = await self._codec.decode(
                        source, sample_rate=can.sample_rate, max_duration=self._max_duration
                    )
                with time(_NAME, Stage.INFERENCE):
                    started, segments = await self._gather(audio, options)
        self._telemetry.heard(started.duration)
        return Transcript(
            text=joined(segment.text for segment in segments),
            language=started.language,
            language_probability=started.language_probability,
            duration=started.duration,
            model=can.model,
            segments=tuple(segments),
        )

    async def _gather(self, audio: Waveform, options: TranscribeOptions) -> tuple[TranscriptionStarted, list[Segment]]:
        async with aclosing(self._transcriber.transcribe(audio, options)) as events:
            started = await anext(events, None)
            if not isinstance(started, TranscriptionStarted):
                raise EngineFailed("the engine gave words before it said that it had started")
            return started, [event async for event in events if isinstance(event, Segment)]


def check_options(can: TranscriberCapabilities, options: TranscribeOptions) -> None:
    """Refuse what an engine cannot do.

    Raises:
        UnsupportedLanguage: the engine does not hear that language.
        UnsupportedOption: the engine lacks a power that was asked for.
    """
    if options.language is not None and options.language not in can.languages:
        raise UnsupportedLanguage(options.language, can.languages)
    asked = {
        Feature.TRANSLATION: options.task is Task.TRANSLATE,
        Feature.WORD_TIMESTAMPS: options.word_timestamps,
        Feature.PROMPT: options.prompt is not None,
        Feature.HOTWORDS: options.hotwords is not None,
        Feature.VAD: options.vad is True,
        Feature.TEMPERATURE: options.temperature is not None,
        Feature.BEAM_SIZE: options.beam_size is not None,
    }
    for feature, wanted in asked.items():
        if wanted and feature not in can.features:
            raise UnsupportedOption(feature.value, can.engine)
