"""Use case: a text to speech in the object store, spoken once and answered from there afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import BinaryIO, cast

import msgspec

from domain.admission import Admission
from domain.deadline import deadline
from domain.errors import (
    AudioEmpty,
    EngineFailed,
    NotFound,
    TextInvalid,
    TextTooLong,
    UnknownVoice,
    UnsupportedLanguage,
    UnsupportedOption,
)
from domain.ports.audio_codec import AudioCodec
from domain.ports.object_store import ObjectStore
from domain.ports.synthesizer import Synthesizer
from domain.ports.telemetry import Stage, Telemetry
from domain.single_flight import SingleFlight
from domain.speech import SpeakOptions, SpeechRequest, StoredSpeech, Voice
from domain.stored_object import StoredObject
from domain.text import speakable

_NAME = "synthesize"
_IN_MEMORY = 4 * 2**20
"""Bytes of encoded speech that are kept in memory before they go to a temporary file."""
_DURATION = "duration"
"""Name under which the store keeps the seconds of a piece of speech."""
_PIECE = 256 * 2**10
"""Bytes that are read from the temporary file at once."""


class Synthesize:
    """Speaks a text into the object store and answers a signed link to it."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        codec: AudioCodec,
        store: ObjectStore,
        admission: Admission,
        telemetry: Telemetry,
        *,
        prefix: str,
        url_expiry: float,
        max_characters: int,
        time_limit: float,
    ) -> None:
        """Wire the use case.

        Args:
            synthesizer: The engine.
            codec: Encodes the speech.
            store: Keeps it.
            admission: Places for work at the engine.
            telemetry: Takes the measurements.
            prefix: Put before every key, for example ``dev/``.
            url_expiry: Seconds that a link works.
            max_characters: Longest text.
            time_limit: Longest work on one text once it has a place, in seconds.
        """
        self._synthesizer = synthesizer
        self._codec = codec
        self._store = store
        self._admission = admission
        self._telemetry = telemetry
        self._prefix = prefix
        self._url_expiry = url_expiry
        self._max_characters = max_characters
        self._time_limit = time_limit
        self._flights: SingleFlight[tuple[StoredObject, bool]] = SingleFlight()

    async def __call__(self, request: SpeechRequest) -> StoredSpeech:
        """Answer where the speech of ``request`` lies, speaking it if it has not been spoken before.

        Raises:
            TextInvalid, TextTooLong: empty, nothing to say in it, or too long.
            UnsupportedLanguage, UnknownVoice, UnsupportedOption: the engine cannot speak it so.
            Overloaded: no place within the admission's patience.
            DeadlineExceeded: the work took longer than the time limit.
            EngineFailed: the engine broke off; nothing is stored.
            StorageUnavailable: the store does not answer.
        """
        text = self._checked_text(request.text)
        options = SpeakOptions(voice=self._voice(request), speed=request.speed, pitch=request.pitch)
        if options.pitch != 1.0 and not self._synthesizer.capabilities.pitch:
            raise UnsupportedOption("pitch", self._synthesizer.capabilities.engine)
        key = self._key(text, options, request)
        (stored, found), joined = await self._flights.run(key, lambda: self._find_or_speak(key, text, options, request))
        cached = found or joined
        link = await self._store.url(key, self._url_expiry)
        duration = float(stored.metadata[_DURATION])
        self._telemetry.spoken(duration, cached=cached)
        return StoredSpeech(
            key=key,
            url=link.url,
            expires_at=link.expires_at,
            content_type=stored.content_type,
            duration=duration,
            size=stored.size,
            voice=options.voice.id,
            cached=cached,
        )

    def _checked_text(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text).strip()
        if len(text) > self._max_characters:
            raise TextTooLong(f"the text has {len(text)} characters; at most {self._max_characters} are spoken at once")
        if not speakable(text):
            raise TextInvalid("the text has nothing that can be spoken")
        return text

    def _voice(self, request: SpeechRequest) -> Voice:
        voices = self._synthesizer.voices()
        of_language = [voice for voice in voices if voice.language == request.language]
        if not of_language:
            raise UnsupportedLanguage(request.language, {voice.language for voice in voices})
        if request.voice is None:
            return of_language[0]
        for voice in of_language:
            if voice.id == request.voice:
                return voice
        known = ", ".join(voice.id for voice in of_language)
        raise UnknownVoice(f"no voice {request.voice!r} in language {request.language!r}; known: {known}")

    def _key(self, text: str, options: SpeakOptions, request: SpeechRequest) -> str:
        """A key from everything that shapes the audio, so that equal requests meet."""
        voice = options.voice
        manner = [options.speed, options.pitch, request.format]
        shape = [self._synthesizer.capabilities.engine, voice.model, voice.id, text, *manner]
        digest = hashlib.sha256(msgspec.json.encode(shape)).hexdigest()
        return f"{self._prefix}speech/{digest[:2]}/{digest}.{request.format.value}"

    async def _find_or_speak(
        self, key: str, text: str, options: SpeakOptions, request: SpeechRequest
    ) -> tuple[StoredObject, bool]:
        """What lies under ``key``, spoken now unless it was there; and whether it was.

        The look at the store is part of the flight: an answer from before another caller's speech was stored would
        have it spoken again.
        """
        try:
            with self._telemetry.stage(_NAME, Stage.STORE):
                stored = await self._store.stat(key)
        except NotFound:
            return await self._speak(key, text, options, request), False
        if _DURATION not in stored.metadata:  # put there by something else
            return await self._speak(key, text, options, request), False
        return stored, True

    async def _speak(self, key: str, text: str, options: SpeakOptions, request: SpeechRequest) -> StoredObject:
        time = self._telemetry.stage
        async with AsyncExitStack() as held:
            sink = cast(BinaryIO, held.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY)))  # noqa: SIM115
            with time(_NAME, Stage.QUEUE):
                await held.enter_async_context(self._admission.place())
            async with deadline(self._time_limit):
                with time(_NAME, Stage.INFERENCE):
                    pieces = await held.enter_async_context(aclosing(self._synthesizer.synthesize(text, options)))
                    try:
                        duration = await self._codec.encode(pieces, request.format, sink)
                    except AudioEmpty as err:
                        raise EngineFailed("the engine spoke nothing") from err
                with time(_NAME, Stage.STORE):
                    return await self._store.put(
                        key, lambda: _read(sink), request.format.content_type, {_DURATION: f"{duration:.6f}"}
                    )


async def _read(file: BinaryIO) -> AsyncGenerator[bytes, None]:
    """The bytes of a temporary file from its start."""
    file.seek(0)
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece
