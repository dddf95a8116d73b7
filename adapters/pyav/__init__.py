"""Audio files by PyAV, which brings FFmpeg's decoders and encoders in its wheel."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from typing import BinaryIO, Final

import av.logging

from adapters.bridge import Bridge
from adapters.pyav.decoding import decode
from adapters.pyav.encoding import DetachableSink, Encoder
from adapters.pyav.streaming import decode_container, decode_raw
from domain.audio import AudioFormat, RawFormat, Waveform
from domain.errors import AudioEmpty
from domain.ports.audio_codec import AudioCodec
from domain.ports.plugin import Host, NoOptions, Plugin

_STREAMS: Final = 256
"""Streams that are decoded at once."""


class PyAvCodec:
    """An audio codec on FFmpeg's libraries, which release the GIL."""

    def __init__(self, decoding: Bridge, encoding: Bridge, streaming: Bridge) -> None:
        self._decoding = decoding
        self._encoding = encoding
        self._streaming = streaming

    async def decode(self, source: BinaryIO, *, sample_rate: int, max_duration: float) -> Waveform:
        """Decode a file; see ``domain.ports.audio_codec.AudioCodec``."""
        gone = threading.Event()
        try:
            return await self._decoding.call(decode, source, sample_rate, max_duration, gone)
        finally:
            gone.set()

    def decode_stream(
        self, chunks: AsyncIterable[bytes], *, sample_rate: int, raw: RawFormat | None = None
    ) -> AsyncGenerator[Waveform, None]:
        """Decode audio as it arrives; see ``domain.ports.audio_codec.AudioCodec``."""
        if raw is None:
            return decode_container(self._streaming, chunks, sample_rate)
        return decode_raw(self._decoding, chunks, raw, sample_rate)

    async def encode(self, chunks: AsyncIterable[Waveform], audio_format: AudioFormat, sink: BinaryIO) -> float:
        """Encode pieces of sound; see ``domain.ports.audio_codec.AudioCodec``."""
        file = DetachableSink(sink)
        encoder: Encoder | None = None
        try:
            async for chunk in chunks:
                if len(chunk.samples) == 0:
                    continue
                if encoder is None:
                    encoder = await self._encoding.call(Encoder, file, audio_format, chunk.sample_rate)
                await self._encoding.call(encoder.write, chunk.samples)
            if encoder is None:
                raise AudioEmpty("there is no sound to encode")
            return await self._encoding.call(encoder.finish)
        finally:
            file.detach()


@asynccontextmanager
async def _open(options: NoOptions, host: Host) -> AsyncGenerator[AudioCodec, None]:
    av.logging.set_level(None)  # FFmpeg writes to stderr otherwise, what stands in the files included
    threads = max(2, os.cpu_count() or 1)
    # A long upload being decoded does not hold up the next piece of speech being encoded.
    decoding, encoding = Bridge("pyav-decode", threads), Bridge("pyav-encode", threads)
    streaming = Bridge("pyav-stream", _STREAMS)  # a thread a stream, which mostly waits for bytes
    try:
        yield PyAvCodec(decoding, encoding, streaming)
    finally:
        streaming.close()
        decoding.close()
        encoding.close()


PLUGIN: Final = Plugin(options=NoOptions, open=_open)
"""The plugin ``pyav``."""
