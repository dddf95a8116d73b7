"""Use case: a live stream to words while people speak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from domain.admission import Admission
from domain.audio import RawFormat
from domain.errors import AudioEmpty
from domain.live.events import Finished, LiveEvent
from domain.live.options import LiveLimits, LiveOptions
from domain.live.session import LiveSession
from domain.live.turns import Turns
from domain.ports.audio_codec import AudioCodec
from domain.ports.telemetry import Telemetry
from domain.ports.transcriber import Transcriber
from domain.ports.voice_activity import VoiceActivityDetector
from domain.transcript import TranscribeOptions
from domain.use_cases.transcribe import check_options

_MESSAGES_AHEAD: Final = 32
"""Messages of a client that wait to be decoded; then the client is made to wait."""


class _Flush:
    """Stands among the bytes where the client wants the utterance to end."""


class _End:
    """Stands after the last bytes."""


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
        self._arrived: asyncio.Queue[bytes | _Flush | _End] = asyncio.Queue(_MESSAGES_AHEAD)
        self._fed = False

    async def feed(self, data: bytes) -> None:
        """Put in the next bytes, once there is room."""
        if data:
            self._fed = True
            await self._arrived.put(data)

    async def flush(self) -> None:
        """End the open utterance where the bytes so far end."""
        await self._arrived.put(_Flush())

    async def end(self) -> None:
        """No more bytes will come.

        Raises:
            AudioEmpty: there were none at all.
        """
        if not self._fed:
            raise AudioEmpty("the stream ended before any audio")
        await self._arrived.put(_End())

    async def events(self) -> AsyncGenerator[LiveEvent, None]:
        """What is heard; the last event is ``Finished``. Closing it ends the stream's work.

        Raises:
            AudioInvalid, AudioTooLong: see ``AudioCodec.decode_stream`` and ``LiveSession.events``.
            EngineFailed, EngineUnavailable: see ``Transcriber.transcribe``.
        """
        sound = self._codec.decode_stream(self._bytes(), sample_rate=self._sample_rate, raw=self._raw)
        async with aclosing(sound), aclosing(self._session.events(sound)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    self._telemetry.heard(event.transcript.duration)
                yield event

    async def _bytes(self) -> AsyncGenerator[bytes, None]:
        while not isinstance(item := await self._arrived.get(), _End):
            if isinstance(item, _Flush):
                # What came before has been taken in where samples are raw; a container's decoder may hold a little.
                self._session.flush()
            else:
                yield item


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
        session = LiveSession(self._transcriber, self._detector, self._turns, options, self._limits)
        return LiveStream(session, self._codec, self._telemetry, raw, rate)
