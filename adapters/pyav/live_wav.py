"""WAV that is still arriving and holds plain samples: its header is read here.

FFmpeg waits for 64 KiB of 16-bit samples, two seconds at 16 kHz, to see whether they are S/PDIF in disguise.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import msgspec

from domain.audio import RawFormat

_LONGEST_HEADER: Final = 64 * 2**10
_STREAMED: Final = 0x7FFF_F000  # sizes from here on were written by programs that did not know how much would follow
_INTEGERS: Final = (1, 16)
_FLOATS: Final = (3, 32)
_EXTENSIBLE: Final = 0xFFFE
_FORMAT: Final = struct.Struct("<HHIIHH")


class PlainWav(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a WAV file of plain samples."""

    raw: RawFormat
    data: int
    """Bytes before the first sample."""
    size: int | None
    """Bytes of samples; ``None`` where the header does not know."""


class Unfinished(Exception):
    """The header goes on after these bytes."""


def read_plain_wav(start: bytes) -> PlainWav | None:
    """Read a header (Microsoft's RIFF); ``None`` for whatever FFmpeg has to read.

    Raises:
        Unfinished: more bytes are needed to tell.
    """
    if not _may_be(start):
        return None
    at, raw = 12, None
    while at + 8 <= len(start):
        name, length = struct.unpack_from("<4sI", start, at)
        at += 8
        if name == b"data":
            if raw is None:
                return None
            return PlainWav(raw=raw, data=at, size=length if 0 < length < _STREAMED else None)
        if name == b"fmt ":
            if at + length > len(start):
                break
            raw = _raw_format(start[at : at + length])
            if raw is None:
                return None
        at += length + length % 2
    if len(start) > _LONGEST_HEADER:
        return None
    raise Unfinished


def _may_be(start: bytes) -> bool:
    return start[:4] == b"RIFF"[: len(start)] and start[8:12] == b"WAVE"[: max(0, len(start) - 8)]


def _raw_format(chunk: bytes) -> RawFormat | None:
    if len(chunk) < _FORMAT.size:
        return None
    tag, channels, sample_rate, _, frame_bytes, bits = _FORMAT.unpack_from(chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    if (tag, bits) not in {_INTEGERS, _FLOATS} or frame_bytes != channels * bits // 8:
        return None
    return RawFormat(encoding="pcm_s16le" if bits == 16 else "pcm_f32le", sample_rate=sample_rate, channels=channels)


async def read_start(chunks: AsyncIterator[bytes]) -> tuple[bytes, PlainWav | None]:
    """Take chunks until it is clear whether they are a plain WAV; answers them in one piece, and its header."""
    start = bytearray()
    async for chunk in chunks:
        start += chunk
        try:
            return bytes(start), read_plain_wav(bytes(start))
        except Unfinished:
            continue
    return bytes(start), None


async def continued(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """What was taken, and what follows it."""
    yield start
    async for chunk in chunks:
        yield chunk


async def samples_of(wav: PlainWav, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The bytes of the samples alone: no header, and none of the chunks after them."""
    skip, left = wav.data, wav.size
    async with aclosing(chunks):
        async for chunk in chunks:
            data = chunk[skip:]
            skip = max(0, skip - len(chunk))
            if left is not None:
                data = data[:left]
                left -= len(data)
            if data or not chunk:
                yield data
