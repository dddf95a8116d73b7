"""Audio files for the tests, made by FFmpeg's encoders or byte by byte."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np

from domain.audio import Waveform
from domain.ports.audio_codec import AudioCodec

RECORDINGS = Path(__file__).parents[2] / "data" / "audio"
LISTED = json.loads((RECORDINGS / "files.json").read_text())
RATE = 16_000


def tone(seconds: float, rate: int = RATE, channels: int = 1) -> Any:
    """A tone that slides, with a little noise; another height in every channel. Shape ``(channels, n)``."""
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(1)
    return np.stack(
        [
            0.3 * np.sin(2 * np.pi * (200 + 90 * channel) * t + 3 * np.sin(t)) + 0.05 * noise.standard_normal(len(t))
            for channel in range(channels)
        ]
    ).astype(np.float32)


def encoded(
    container: str, codec: str, *, seconds: float = 3.0, rate: int = RATE, layout: str = "mono", **options: str
) -> bytes:
    """A file of ``tone``."""
    file = io.BytesIO()
    output = av.open(file, "w", format=container, options=options)
    stream = output.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
    channels = av.AudioLayout(layout).nb_channels
    frame = av.AudioFrame.from_ndarray(tone(seconds, rate, channels), format="fltp", layout=layout)
    frame.sample_rate = rate
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
    output.close()
    return file.getvalue()


def wav(data: bytes, *, declared: int | None = None, rate: int = RATE, channels: int = 1, bits: int = 16) -> bytes:
    """A WAV file whose header declares what it is told to."""
    size = len(data) if declared is None else declared
    block = channels * bits // 8
    chunk = struct.pack("<HHIIHH", 1, channels, rate, rate * block % 2**32, block % 2**16, bits)
    riff = (36 + size) % 2**32
    return (
        b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + chunk
        + b"data" + struct.pack("<I", size) + data
    )  # fmt: skip


def pcm(seconds: float) -> bytes:
    """Signed 16-bit samples of ``tone``."""
    return (tone(seconds)[0] * 32767).astype("<i2").tobytes()


def flac_stating(file: bytes, samples: int) -> bytes:
    """A FLAC file whose header states a number of samples; 0 is what an encoder that writes to a pipe leaves."""
    header = bytearray(file)
    header[21] = header[21] & 0xF0 | samples >> 32
    header[22:26] = (samples & 0xFFFF_FFFF).to_bytes(4, "big")
    return bytes(header)


def index_first(mp4: bytes) -> bytes:
    """An MP4 file with its index (``moov``) moved before its samples (``mdat``), as for streaming."""
    boxes, at = [], 0
    while at < len(mp4):
        size = int.from_bytes(mp4[at : at + 4], "big")
        boxes.append(mp4[at : at + size])
        at += size
    index = next(box for box in boxes if box[4:8] == b"moov")
    offsets = index.index(b"stco") + 8
    moved = bytearray(index)
    for i in range(int.from_bytes(index[offsets : offsets + 4], "big")):
        entry = slice(offsets + 4 + 4 * i, offsets + 8 + 4 * i)
        moved[entry] = (int.from_bytes(index[entry], "big") + len(index)).to_bytes(4, "big")
    rest = [box for box in boxes if box[4:8] != b"moov"]
    return b"".join([rest[0], bytes(moved), *rest[1:]])


def hours_of_silence(container: str, codec: str, hours: float) -> bytes:
    """Much sound in few bytes: one encoded packet, again and again."""
    file = io.BytesIO()
    output = av.open(file, "w", format=container)
    stream = output.add_stream(codec, rate=8_000 if codec == "flac" else 48_000, layout="mono")
    frame = av.AudioFrame.from_ndarray(np.zeros((1, stream.rate * 2), np.float32), format="fltp", layout="mono")
    frame.sample_rate = stream.rate
    packets = stream.encode(frame)
    packet = packets[len(packets) // 2]
    ticks = packet.duration
    content = bytes(packet)
    for i in range(int(hours * 3600 / float(ticks * packet.time_base))):
        again = av.Packet(content)
        again.stream, again.time_base = stream, packet.time_base
        again.pts = again.dts = i * ticks
        again.duration = ticks
        output.mux(again)
    output.close()
    return file.getvalue()


MADE = {
    "wav-s16-44k-stereo": ("wav", "pcm_s16le", 44_100, "stereo"),
    "wav-f32-48k-5.1": ("wav", "pcm_f32le", 48_000, "5.1"),
    "wav-mulaw-8k": ("wav", "pcm_mulaw", 8_000, "mono"),
    "mp3-44k-stereo": ("mp3", "libmp3lame", 44_100, "stereo"),
    "mp3-16k": ("mp3", "libmp3lame", 16_000, "mono"),
    "flac-96k-stereo": ("flac", "flac", 96_000, "stereo"),
    "ogg-opus-stereo": ("ogg", "libopus", 48_000, "stereo"),
    "ogg-vorbis": ("ogg", "vorbis", 44_100, "stereo"),
    "webm-opus": ("webm", "libopus", 48_000, "mono"),
    "m4a-aac": ("ipod", "aac", 22_050, "mono"),
    "mp4-aac-stereo": ("mp4", "aac", 44_100, "stereo"),
    "mkv-aac": ("matroska", "aac", 48_000, "stereo"),
    "aiff": ("aiff", "pcm_s16be", 22_050, "mono"),
}
"""Containers, codecs, rates and layouts of the files that ``made`` makes."""


def made(name: str, **kind: Any) -> bytes:
    container, codec, rate, layout = MADE[name]
    return encoded(container, codec, rate=rate, layout=layout, **kind)


async def decode(codec: AudioCodec, file: bytes, *, sample_rate: int = RATE, max_duration: float = 60.0) -> Waveform:
    return await codec.decode(io.BytesIO(file), sample_rate=sample_rate, max_duration=max_duration)
