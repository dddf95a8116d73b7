"""Port: audio files to samples and back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import BinaryIO, Protocol, runtime_checkable

from domain.audio import AudioFormat, RawFormat, Waveform


@runtime_checkable
class AudioCodec(Protocol):
    """Reads and writes audio files. Every method may be called while others run."""

    async def decode(self, source: BinaryIO, *, sample_rate: int, max_duration: float) -> Waveform:
        """Decode the first audio stream of a file of any container, codec, rate and channel count.

        Channels are mixed to one. Memory stays bounded however long the audio is: long audio lies in an unnamed
        temporary file that is mapped and goes with the ``Waveform``. Cancelling stops within a packet or so.

        Args:
            source: An open, seekable binary file, read from its start; not closed.
            sample_rate: Rate to resample to, in hertz.
            max_duration: Longest audio to take, in seconds.

        Raises:
            AudioEmpty: no bytes, or no samples.
            AudioInvalid: not audio, or no codec for it.
            AudioTruncated: it breaks off, or is shorter than its header states.
            AudioTooLong: longer than ``max_duration``, by its header or by decoding.
        """
        ...

    def decode_stream(
        self, chunks: AsyncIterable[bytes], *, sample_rate: int, raw: RawFormat | None = None
    ) -> AsyncGenerator[Waveform, None]:
        """Decode audio that is still arriving, yielding samples as soon as they can be decoded.

        Takes containers that can be read from their start (WAV, also with a streaming header, Ogg, WebM, MP3, FLAC);
        a stream that breaks off ends there. Holds a bounded amount of bytes; closing the generator ends the work.

        Args:
            chunks: The bytes, in pieces of any size; an error that they raise comes out unchanged. A piece of no bytes
                comes out as a ``Waveform`` of no samples, after all that the bytes before it gave.
            sample_rate: Rate to resample to, in hertz; channels are mixed to one.
            raw: What the bytes are where there is no container.

        Raises:
            AudioInvalid: not audio, or no format that can be read as it comes; at the first piece or later.
        """
        ...

    async def encode(self, chunks: AsyncIterable[Waveform], audio_format: AudioFormat, sink: BinaryIO) -> float:
        """Encode pieces of mono sound, all of one sample rate, into ``sink`` as a complete file.

        Args:
            chunks: The pieces, in order; an error that they raise comes out unchanged.
            audio_format: Container and codec. Rates that the codec lacks are resampled.
            sink: An open, seekable, writable binary file; not closed.

        Returns:
            The duration of what was encoded, in seconds.

        Raises:
            AudioEmpty: there was no sample.
        """
        ...
