"""Audio as the domain sees it: mono samples, and the formats that files come in."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono samples, shape ``(n,)``, dtype float32, full scale is -1.0 to 1.0."""


class Waveform(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of mono sound in memory (or in a memory-mapped file)."""

    samples: Samples
    """Shape ``(n,)``, float32, full scale -1.0 to 1.0; ``n`` may be 0."""
    sample_rate: int
    """Samples per second, in hertz."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


class RawFormat(msgspec.Struct, frozen=True, kw_only=True):
    """Samples without a container."""

    encoding: Literal["pcm_s16le", "pcm_f32le"]
    """Signed 16-bit integers or 32-bit floats, little endian, channels interleaved."""
    sample_rate: int
    """Samples per second and channel, in hertz."""
    channels: int = 1
    """Number of channels."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * (2 if self.encoding == "pcm_s16le" else 4)


class AudioFormat(StrEnum):
    """A container and codec that speech can be answered in."""

    WAV = "wav"
    MP3 = "mp3"
    OPUS = "opus"
    FLAC = "flac"

    @property
    def content_type(self) -> str:
        """The media type of a file in this format."""
        return {"wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg", "flac": "audio/flac"}[self.value]
