"""Audio files through PyAV: write samples with any codec of its wheel, read any file back as mono samples."""

from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono sound, float32 of shape (samples,), full scale ±1."""

Layout = Literal["mono", "stereo"]


def write_audio(
    path: Path,
    samples: Samples,
    sample_rate: int,
    *,
    codec: str = "flac",
    sample_format: str = "s16",
    encoded_rate: int | None = None,
    layout: Layout = "mono",
    bit_rate: int | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> None:
    """Encode mono samples into a file.

    Args:
        path: where to write; its suffix names the container unless ``container`` does.
        samples: float32, shape (samples,), full scale ±1; beyond it is clipped.
        sample_rate: of ``samples``, hertz.
        codec: FFmpeg's name of the encoder.
        sample_format: what the encoder takes: ``s16``, ``flt`` or ``fltp``.
        encoded_rate: sample rate in the file, hertz; ``sample_rate`` where it is not given.
        layout: channels in the file; the samples are copied to each.
        bit_rate: bits a second, for a lossy codec.
        container: FFmpeg's name of the container.
        container_options: options of the container, such as ``{"live": "1"}``.
        codec_options: options of the encoder.
    """
    options = {"fflags": "+bitexact", **(container_options or {})}  # no random stream numbers
    with av.open(str(path), "w", format=container, options=options) as file:
        stream: Any = file.add_stream(codec, rate=encoded_rate or sample_rate, options=codec_options or {})
        stream.layout, stream.format = layout, sample_format
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for packet in (*stream.encode(_frame(samples, sample_rate)), *stream.encode(None)):
            file.mux(packet)


def _frame(samples: Samples, sample_rate: int) -> av.AudioFrame:
    """Wrap samples as the 16-bit frame that FFmpeg's encoders start from."""
    pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
    frame.sample_rate, frame.pts = sample_rate, 0
    return frame


def read_pcm(path: Path, sample_rate: int = 16_000) -> NDArray[np.int16]:
    """Decode the first audio stream of a file.

    Args:
        path: any file that FFmpeg decodes.
        sample_rate: wanted, hertz.

    Returns:
        int16 of shape (samples,), channels mixed down to one.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
    with av.open(str(path)) as file:
        chunks = [part.to_ndarray()[0] for frame in file.decode(audio=0) for part in resampler.resample(frame)]
        chunks += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate([np.zeros(0, np.int16), *chunks])


def read_audio(path: Path, sample_rate: int = 16_000) -> Samples:
    """Decode the first audio stream of a file to float32 of shape (samples,), full scale ±1."""
    return (read_pcm(path, sample_rate) / np.float32(32768)).astype(np.float32)


def resample(samples: Samples, sample_rate: int, wanted_rate: int) -> Samples:
    """Return mono samples at another sample rate (both in hertz)."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="flt", layout="mono")
    frame.sample_rate = sample_rate
    resampler = av.AudioResampler(format="flt", layout="mono", rate=wanted_rate)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)
