"""The bytes of a recording in pieces, each with the time at which it is due when the recording plays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any, Final

import msgspec

from domain.audio import RawFormat

_PIECE_BYTES: Final = 16 * 2**10
_PIECE_SECONDS: Final = 0.1
_MESSAGE_BYTES: Final = 2**18


class Piece(msgspec.Struct, frozen=True):
    """Bytes to send in one message."""

    data: bytes
    due: float
    """Seconds after the first piece."""


def unpaced_pieces(file: IO[bytes]) -> Iterator[Piece]:
    """The bytes as they come."""
    while data := _read_some(file, _PIECE_BYTES):
        yield Piece(data, 0.0)


def raw_pieces(file: IO[bytes], raw: RawFormat, *, paced: bool) -> Iterator[Piece]:
    """Raw samples, a tenth of a second at a time; a piece is due when its last sample has been spoken."""
    a_second = raw.sample_rate * raw.frame_bytes
    size = max(raw.frame_bytes, round(raw.sample_rate * _PIECE_SECONDS) * raw.frame_bytes)
    sent = 0
    while data := _read_some(file, size):
        sent += len(data)
        yield Piece(data, sent / a_second if paced else 0.0)


def container_pieces(file: IO[bytes]) -> Iterator[Piece]:
    """An audio file, each packet with what stands before it in the file, due when the packet ends on the file's clock.

    Raises:
        ValueError: it is no audio that FFmpeg reads from front to back.
    """
    import av  # noqa: PLC0415 - only this pacing needs it

    tee = _Tee(file)
    try:
        with av.open(tee, mode="r", metadata_errors="ignore") as container:
            due, start = 0.0, None
            for packet in container.demux(audio=0):
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    start = packet.pts if start is None else start
                    due = max(due, float((packet.pts - start + (packet.duration or 0)) * packet.time_base))
                    yield from tee.take(packet.pos + packet.size if packet.pos is not None else None, due)
    except (av.error.FFmpegError, IndexError) as err:
        raise ValueError("it is no audio that can be paced; leave out --realtime, or give --encoding") from err
    tee.read(-1)
    yield from tee.take(None, due)


class _Tee:
    """Lets FFmpeg read a file from front to back and keeps what it read until it is sent."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._kept = bytearray()
        self._sent = 0

    def read(self, size: int) -> bytes:
        data = self._file.read() if size < 0 else _read_some(self._file, size)
        self._kept += data
        return data

    def take(self, end: int | None, due: float) -> Iterator[Piece]:
        """What was read before byte ``end`` of the file and has not been sent; all of it for ``None``."""
        count = len(self._kept) if end is None else max(0, end - self._sent)
        while data := bytes(self._kept[: min(count, _MESSAGE_BYTES)]):
            del self._kept[: len(data)]
            self._sent += len(data)
            count -= len(data)
            yield Piece(data, due)


def _read_some(file: Any, size: int) -> bytes:
    """What there is, at most ``size`` bytes; waits for the first."""
    data: bytes = file.read1(size) if isinstance(file, io.BufferedReader) else file.read(size)
    return data
