"""Speech to text by PocketSphinx, whose US English model comes in its wheel: no download, any machine.

PocketSphinx holds the GIL for as long as it decodes, so it runs in processes of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Final

import msgspec

from adapters.pocketsphinx.live import LiveUtterance, hear_whole
from adapters.pocketsphinx.pool import DecoderPool
from adapters.pocketsphinx.utterances import SAMPLE_RATE
from domain.audio import Waveform
from domain.errors import EngineUnavailable, StartError, UnsupportedLanguage
from domain.ports.plugin import Host, Plugin
from domain.ports.streaming_transcriber import StreamedUtterance
from domain.ports.transcriber import Feature, Transcriber, TranscriberCapabilities
from domain.transcript import TranscribeOptions, TranscriptEvent, TranscriptionStarted


class PocketSphinxOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the transcriber ``pocketsphinx``."""

    parallel: int = 1
    """Decoder processes, about 190 MB each: transcriptions that run at once."""

    def __post_init__(self) -> None:
        """Refuse a pool without processes."""
        if self.parallel < 1:
            raise ValueError("parallel must be at least 1")


class PocketSphinx:
    """A transcriber that sends utterances to decoder processes."""

    def __init__(self, pool: DecoderPool, parallel: int) -> None:
        self._pool = pool
        self.capabilities = TranscriberCapabilities(
            engine="pocketsphinx",
            model="en-us",
            device="cpu",
            compute_type="int16",
            sample_rate=SAMPLE_RATE,
            languages=("en",),
            features=frozenset({Feature.WORD_TIMESTAMPS}),
            parallel=parallel,
        )

    async def transcribe(self, audio: Waveform, options: TranscribeOptions) -> AsyncGenerator[TranscriptEvent, None]:
        """Transcribe ``audio``; see ``domain.ports.transcriber.Transcriber``."""
        if options.language not in {None, "en"}:
            raise UnsupportedLanguage(str(options.language), self.capabilities.languages)
        await self._pool.ready()
        yield TranscriptionStarted(language="en", language_probability=1.0, duration=audio.duration)
        async with aclosing(hear_whole(self._pool, audio.samples, words=options.word_timestamps)) as segments:
            async for segment in segments:
                yield segment

    @asynccontextmanager
    async def utterance(self, options: TranscribeOptions) -> AsyncGenerator[StreamedUtterance, None]:
        """Begin an utterance; see ``domain.ports.streaming_transcriber.StreamingTranscriber``."""
        if options.language not in {None, "en"}:
            raise UnsupportedLanguage(str(options.language), self.capabilities.languages)
        utterance = LiveUtterance(self._pool, words=options.word_timestamps)
        try:
            yield utterance
        finally:
            utterance.leave()


@asynccontextmanager
async def _open(options: PocketSphinxOptions, host: Host) -> AsyncGenerator[Transcriber, None]:
    pool = DecoderPool(options.parallel)
    try:
        try:
            await pool.start()
        except EngineUnavailable as err:
            raise StartError(f"{err.message}; run `pip install --force-reinstall pocketsphinx`") from err
        yield PocketSphinx(pool, options.parallel)
    finally:
        await pool.close()


PLUGIN: Final = Plugin(options=PocketSphinxOptions, open=_open)
"""The plugin ``pocketsphinx``."""
