"""Samples to audio files: FFmpeg's encoders, fed piece by piece."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO, Final, cast

import av
import msgspec
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from domain.audio import AudioFormat, Samples


class _Recipe(msgspec.Struct, frozen=True):
    """How a format is made."""

    container: str
    codec: str
    rates: tuple[int, ...] = ()
    """Rates that the codec has; empty for all."""
    bit_rate: int | None = None


_SHORTEST: Final = 0.01
"""Seconds; shorter sounds get silence after them, as the resampler would leave nothing of a few samples."""

_RECIPES: Final = {
    AudioFormat.WAV: _Recipe("wav", "pcm_s16le"),
    AudioFormat.FLAC: _Recipe("flac", "flac"),
    AudioFormat.MP3: _Recipe(
        "mp3", "libmp3lame", (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000), 64_000
    ),
    AudioFormat.OPUS: _Recipe("ogg", "libopus", (48000,), 40_000),
}


class DetachableSink:
    """A file that can be taken away from its encoder.

    FFmpeg finishes a file whenever its encoder is freed, which after a cancelled request is at a time of its own.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink: BinaryIO | None = sink

    def detach(self) -> None:
        """Let go of the file; what is still written is dropped."""
        self._sink = None

    def write(self, data: bytes) -> int:
        """Write ``data``."""
        sink = self._sink
        return sink.write(data) if sink is not None else len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the file."""
        sink = self._sink
        return sink.seek(offset, whence) if sink is not None else 0

    def tell(self) -> int:
        """The place in the file."""
        sink = self._sink
        return sink.tell() if sink is not None else 0


class Encoder:
    """Encodes one file; blocking, one call at a time."""

    def __init__(self, sink: DetachableSink, audio_format: AudioFormat, sample_rate: int) -> None:
        recipe = _RECIPES[audio_format]
        rate = sample_rate
        if recipe.rates:
            rate = min((r for r in recipe.rates if r >= sample_rate), default=max(recipe.rates))
        self._sample_rate = sample_rate
        self._resamples = rate != sample_rate
        self._count = 0
        # "bitexact": the same sound makes the same bytes, without FFmpeg's version or a random serial number in them.
        self._container = av.open(sink, mode="w", format=recipe.container, options={"fflags": "+bitexact"})
        self._stream = cast(AudioStream, self._container.add_stream(recipe.codec, rate=rate, layout="mono"))
        if recipe.bit_rate is not None:
            self._stream.codec_context.bit_rate = recipe.bit_rate

    def write(self, samples: Samples) -> None:
        """Encode samples, shape ``(n,)``."""
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, np.float32)[None, :], format="fltp", layout="mono"
        )
        frame.sample_rate = self._sample_rate
        frame.time_base = Fraction(1, self._sample_rate)
        frame.pts = self._count
        self._count += len(samples)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> float:
        """Complete the file.

        Returns:
            The duration of what was encoded, in seconds.
        """
        duration = self._count / self._sample_rate
        if self._resamples and duration < _SHORTEST:
            self.write(np.zeros(int(_SHORTEST * self._sample_rate), np.float32))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return duration
