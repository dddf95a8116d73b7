"""Use case: a live stream to words while people speak."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from domain.admission import Admission
from domain.audio import RawFormat
from domain.errors import AudioEmpty
from domain.live.arrivals import Arrivals, Mark
from domain.live.events import LiveEvent
from domain.live.options import LiveLimits, LiveOptions
from domain.live.session import LiveSession
from domain.live.turns import Turns
from domain.ports.audio_codec import AudioCodec
from domain.ports.telemetry import Telemetry
from domain.ports.transcriber import Transcriber
from domain.ports.voice_activity import VoiceActivityDetector
from domain.transcript import TranscribeOptions
from domain.use_cases.transcribe import check_options


class LiveStream:
    """A client's stream: bytes in by one task (``feed``, ``flush``, ``end``), events out by another (``events``)."""

    def __init__(
        self, session: LiveSession, codec: AudioCodec, telemetry: Telemetry, raw: RawFormat | None, sample_rate: int
    ) -> None:
        self._session = session
        self._telemetry = telemetry
        self._codec = codec
        self._raw = raw
        self._sample_rate = sample_rate
        self._arrivals = Arrivals()
        self._fed = False

    @property
    def duration(self) -> float:
        """Seconds of sound that have been taken in."""
        return self._session.duration

    async def feed(self, data: bytes) -> None:
        """Put in the next bytes, once there is room; after ``end`` they are dropped."""
        if data:
            self._fed = True
            await self._arrivals.put(data)

    async def flush(self) -> None:
        """End the open utterance where the bytes so far end."""
        self._arrivals.mark(Mark.FLUSH)

    async def end(self) -> None:
        """No more bytes will come.

        Raises:
            AudioEmpty: there were none at all.
        """
        if not self._fed:
            raise AudioEmpty("the stream ended before any audio")
        self._arrivals.end()

    async def events(self) -> AsyncGenerator[LiveEvent, None]:
        """What is heard; the last event is ``Finished``. Closing it ends the stream's work.

        Raises:
            AudioInvalid, AudioTooLong: see ``AudioCodec.decode_stream`` and ``LiveSession.events``.
            EngineFailed, EngineUnavailable: see ``Transcriber.transcribe``.
        """
        sound = self._codec.decode_stream(self._bytes(), sample_rate=self._sample_rate, raw=self._raw)
        try:
            async with aclosing(sound), aclosing(self._session.events(sound)) as events:
                async for event in events:
                    yield event
        finally:
            self._telemetry.heard(self._session.duration)

    async def _bytes(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._arrivals.take()) as arrivals:
            async for item in arrivals:
                yield b"" if item is Mark.FLUSH else item


class Listen:
    """Opens live streams, so many at a time."""

    def __init__(
        self,
        transcriber: Transcriber,
        codec: AudioCodec,
        detector: VoiceActivityDetector,
        admission: Admission,
        telemetry: Telemetry,
        limits: LiveLimits,
    ) -> None:
        self._transcriber = transcriber
        self._codec = codec
        self._detector = detector
        self._admission = admission
        self._telemetry = telemetry
        self._limits = limits
        self._turns = Turns(transcriber.capabilities.parallel)

    def check(self, options: LiveOptions) -> None:
        """Refuse what the engine cannot do.

        Raises:
            UnsupportedLanguage, UnsupportedOption: see ``domain.use_cases.transcribe.check_options``.
        """
        asked = TranscribeOptions(
            language=options.language, task=options.task, prompt=options.prompt, hotwords=options.hotwords
        )
        check_options(self._transcriber.capabilities, asked)

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None, None]:
        """Hold one of the places for streams.

        Raises:
            Overloaded: all are taken.
        """
        async with self._admission.place():
            yield

    def stream(self, options: LiveOptions, raw: RawFormat | None) -> LiveStream:
        """Begin a stream; the caller holds a place.

        Args:
            options: How to listen; ``check`` has passed them.
            raw: What the bytes are where they are no container.
        """
        rate = self._transcriber.capabilities.sample_rate
        session = LiveSession(self._transcriber, self._detector, self._turns, options, self._limits, self._telemetry)
        return LiveStream(session, self._codec, self._telemetry, raw, rate)
