"""What the header of an audio file states about its length, where FFmpeg does not tell it or tells an estimate."""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

import msgspec

_STREAMED: Final = 0x7FFF_F000  # sizes from here on were written by programs that did not know how much would follow
_OGG_PAGE: Final = 27 + 255 + 255 * 255


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's own bytes say."""

    wav_duration: float | None = None
    """Seconds of sound by the size of a WAV file's data; ``None`` for others, and where the size is no statement."""
    counts_frames: bool = False
    """An MP3 file that states its number of frames; for others FFmpeg guesses from the bit rate."""
    cut_off: bool = False
    """A box (MP4) or page (Ogg) reaches past the end of the file."""


def read_header(source: BinaryIO, size: int) -> Header:
    """Look at the start, and for some formats at the structure, of a file of ``size`` bytes; leaves it anywhere."""
    source.seek(0)
    start = source.read(12)
    if start[:4] in {b"RIFF", b"RF64", b"BW64"} and start[8:] == b"WAVE":
        return Header(wav_duration=_wav_duration(source, size))
    if start[:4] == b"OggS":
        return Header(cut_off=_last_page_is_cut(source, size))
    if start[4:8] == b"ftyp":
        return Header(cut_off=_last_box_is_cut(source, size))
    return Header(counts_frames=_counts_frames(source, start))


def _wav_duration(source: BinaryIO, size: int) -> float | None:
    """Data size by byte rate. Chunks as in Microsoft's RIFF, 64-bit sizes as in EBU Tech 3306."""
    at, byte_rate, long_size = 12, 0, 0
    while at + 8 <= size:
        source.seek(at)
        name, length = struct.unpack("<4sI", source.read(8))
        if name == b"ds64":
            long_size = int.from_bytes(source.read(16)[8:], "little")
        elif name == b"fmt ":
            byte_rate = int.from_bytes(source.read(16)[8:12], "little")
        elif name == b"data":
            if length == 0xFFFF_FFFF and long_size:
                length = long_size
            elif length >= _STREAMED:
                return None
            return length / byte_rate if length and byte_rate else None
        at += 8 + length + length % 2
    return None


def _last_page_is_cut(source: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file (RFC 3533) is whole."""
    begin = max(0, size - _OGG_PAGE)
    source.seek(begin)
    end = source.read(_OGG_PAGE)
    last = end.rfind(b"OggS")
    if last < 0 or last + 27 > len(end):
        return True
    segments = end[last + 26]
    lacing = end[last + 27 : last + 27 + segments]
    return len(lacing) < segments or last + 27 + segments + sum(lacing) > len(end)


def _last_box_is_cut(source: BinaryIO, size: int) -> bool:
    """Whether the top-level boxes of an MP4 file (ISO/IEC 14496-12) fit into it."""
    at = 0
    while at + 8 <= size:
        source.seek(at)
        head = source.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 0:  # to the end of the file
            return False
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return False
        at += length
    return at > size


def _counts_frames(source: BinaryIO, start: bytes) -> bool:
    """Whether an MP3 file starts with a frame of Xing's, LAME's (``Info``) or Fraunhofer's (``VBRI``) that counts."""
    at = 0
    if start[:3] == b"ID3" and len(start) >= 10:
        seven_bits = start[6:10]
        at = 10 + (seven_bits[0] << 21 | seven_bits[1] << 14 | seven_bits[2] << 7 | seven_bits[3])
    source.seek(at)
    frame = source.read(1024)
    for tag in (b"Xing", b"Info"):
        found = frame.find(tag)
        if found >= 0:
            return bool(int.from_bytes(frame[found + 4 : found + 8], "big") & 1)
    return b"VBRI" in frame
