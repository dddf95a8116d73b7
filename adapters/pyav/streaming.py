"""Audio that is still arriving to samples: FFmpeg reads from a pipe that waits for bytes."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any, Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from adapters.bridge import Bridge, Emit
from adapters.pyav.decoding import CONTAINER_OPTIONS, check_parameters
from adapters.pyav.live_wav import continued, read_start, samples_of
from domain.audio import RawFormat, Waveform
from domain.errors import AudioInvalid

# Begin with the first bytes instead of five seconds of them.
_LIVE_OPTIONS: Final = CONTAINER_OPTIONS | {
    "probesize": "4096",
    "analyzeduration": "0",
}
_UNKNOWN: Final = 64 * 2**10
"""Bytes after which what is no known format is given up."""
_LONGEST_TAG: Final = 2 * 2**20
"""Bytes of a tag, with a picture perhaps, that may stand before them in an MP3."""
_PIPE_BYTES: Final = 256 * 2**10
_MP4_START: Final = 64 * 2**10
"""Bytes in which the index of an MP4 is looked for."""
_BROKEN_PACKETS: Final = 50
"""Packets in a row that may fail to decode."""


class Pipe:
    """Bytes from an event loop to a thread that reads them as a file; holds little more than 256 KiB."""

    def __init__(self) -> None:
        self.on_mark: Callable[[], object] = bool
        """What the reading thread calls when it has read all bytes before a mark."""
        self._loop = asyncio.get_running_loop()
        self._bytes = bytearray()
        self._fed = 0
        self._marks: deque[int] = deque()
        self._ended = False
        self._filled = threading.Condition()
        self._room = asyncio.Event()
        self._room.set()

    async def feed(self, data: bytes) -> None:
        """Put bytes in, once there is room; none at all are a mark."""
        await self._room.wait()
        with self._filled:
            if not data:
                self._marks.append(self._fed)
            self._bytes += data
            self._fed += len(data)
            if len(self._bytes) >= _PIPE_BYTES:
                self._room.clear()
            self._filled.notify()

    def end(self) -> None:
        """No more bytes will come."""
        with self._filled:
            self._ended = True
            self._filled.notify()

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, which stay there; fewer where the stream ends. Waits in the calling thread."""
        with self._filled:
            while len(self._bytes) < size and not self._ended:
                self._filled.wait()
            return bytes(self._bytes[:size])

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, at least one; none at the end. Waits in the calling thread."""
        while True:
            with self._filled:
                while not self._bytes and not self._marks and not self._ended:
                    self._filled.wait()
                before_mark = self._marks[0] - (self._fed - len(self._bytes)) if self._marks else size
                if before_mark > 0 or not self._marks:
                    data = bytes(self._bytes[: min(size, before_mark)])
                    del self._bytes[: len(data)]
                    break
                self._marks.popleft()
            self.on_mark()
        with suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._room.set)
        return data


async def decode_container(
    bridge: Bridge, chunks: AsyncIterable[bytes], sample_rate: int
) -> AsyncGenerator[Waveform, None]:
    """Decode a container as it arrives; see ``domain.ports.audio_codec.AudioCodec.decode_stream``."""
    arriving = aiter(chunks)
    start, plain_wav = await read_start(arriving)
    whole = continued(start, arriving)
    if plain_wav is not None:
        decoded = decode_raw(bridge, samples_of(plain_wav, whole), plain_wav.raw, sample_rate)
    else:
        decoded = _decode_by_ffmpeg(bridge, whole, sample_rate)
    async with aclosing(decoded):
        async for piece in decoded:
            yield piece


async def _decode_by_ffmpeg(
    bridge: Bridge, chunks: AsyncIterable[bytes], sample_rate: int
) -> AsyncGenerator[Waveform, None]:
    pipe = Pipe()

    async def feed() -> None:
        try:
            async for chunk in chunks:
                await pipe.feed(chunk)
        finally:
            pipe.end()

    feeding = asyncio.create_task(feed())
    try:

        def work(emit: Emit[NDArray[Any]]) -> None:
            _decode(pipe, sample_rate, emit)

        try:
            async with aclosing(bridge.produce(work)) as pieces:
                async for piece in pieces:
                    yield Waveform(samples=piece, sample_rate=sample_rate)
        except AudioInvalid:
            if feeding.done():
                feeding.result()  # what broke the stream off says more than what is missing at its end
            raise
        if feeding.done():
            feeding.result()
    finally:
        feeding.cancel()
        pipe.end()
        await asyncio.gather(feeding, return_exceptions=True)


async def decode_raw(
    bridge: Bridge, chunks: AsyncIterable[bytes], raw: RawFormat, sample_rate: int
) -> AsyncGenerator[Waveform, None]:
    """Take raw samples as they arrive; see ``domain.ports.audio_codec.AudioCodec.decode_stream``."""
    check_parameters(raw.channels, raw.sample_rate)
    resampler = _Resampler(sample_rate)
    rest = b""
    async for chunk in chunks:
        if not chunk:
            yield Waveform(samples=np.empty(0, np.float32), sample_rate=sample_rate)
        data = rest + chunk
        whole = len(data) // raw.frame_bytes * raw.frame_bytes
        rest = data[whole:]
        if whole:
            samples = await bridge.call(_resample_raw, resampler, data[:whole], raw)
            if len(samples):
                yield Waveform(samples=samples, sample_rate=sample_rate)
    samples = await bridge.call(resampler.finish)
    if len(samples):
        yield Waveform(samples=samples, sample_rate=sample_rate)


def _decode(pipe: Pipe, sample_rate: int, emit: Emit[NDArray[Any]]) -> None:
    _refuse_index_at_end(pipe)
    pipe.on_mark = lambda: emit(np.empty(0, np.float32))
    options = _LIVE_OPTIONS | {"formatprobesize": str(_UNKNOWN + 2 * min(_tag_size(pipe.peek(10)), _LONGEST_TAG))}
    try:
        container = av.open(pipe, mode="r", metadata_errors="ignore", container_options=options)
    except (av.error.FFmpegError, UnicodeError) as err:
        raise AudioInvalid("the stream is not audio of a format that can be read as it comes") from err
    with container:
        if not container.streams.audio:
            raise AudioInvalid("the stream has no audio in it")
        resampler = _Resampler(sample_rate)
        for frame in _frames(container):
            check_parameters(frame.layout.nb_channels, frame.sample_rate)
            samples = resampler.resample(frame)
            if len(samples) and not emit(samples):
                return
        samples = resampler.finish()
        if len(samples):
            emit(samples)


def _tag_size(start: bytes) -> int:
    """Bytes of the tag (ID3v2, section 3.1) that a stream begins with; FFmpeg needs twice as many to look behind it."""
    if start[:3] != b"ID3" or len(start) < 10:
        return 0
    return int(start[6] << 21 | start[7] << 14 | start[8] << 7 | start[9])


def _refuse_index_at_end(pipe: Pipe) -> None:
    """Refuse an MP4 (ISO/IEC 14496-12) whose sound comes before the box that says what it is."""
    if pipe.peek(8)[4:] != b"ftyp":
        return
    at = 0
    while at <= _MP4_START - 8:
        box = pipe.peek(at + 8)[at:]
        size, kind = int.from_bytes(box[:4], "big"), box[4:]
        if kind == b"mdat":
            raise AudioInvalid(
                "the MP4 has its index at its end, so it cannot be read as it comes: write it with the index first"
                ' ("faststart"), or send WAV, Ogg, WebM, MP3 or FLAC'
            )
        if kind not in {b"ftyp", b"free", b"skip", b"wide", b"uuid"} or size < 8:
            return
        at += size


def _frames(container: Any) -> Iterator[AudioFrame]:
    broken, any_frame = 0, False
    packets = container.demux(container.streams.audio[0])
    while broken < _BROKEN_PACKETS:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except av.error.FFmpegError:
            broken += 1
            continue
        for frame in frames:
            broken, any_frame = 0, True
            yield frame
    if broken >= _BROKEN_PACKETS or not any_frame:
        raise AudioInvalid("the audio of the stream cannot be decoded")


class _Resampler:
    """Frames of any kind to mono float samples at one rate, by way of 16 bits as in ``decoding``."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._setup: tuple[str, str, int] | None = None
        self._resampler = AudioResampler(format="s16", layout="mono", rate=sample_rate)

    def resample(self, frame: AudioFrame) -> NDArray[Any]:
        frame.pts = None
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        before = np.empty(0, np.float32)
        if setup != self._setup:
            if self._setup is not None:
                before = self.finish()
                self._resampler = AudioResampler(format="s16", layout="mono", rate=self._sample_rate)
            self._setup = setup
        return np.concatenate([before, _floats(self._resampler.resample(frame))])

    def finish(self) -> NDArray[Any]:
        return _floats(self._resampler.resample(None)) if self._setup is not None else np.empty(0, np.float32)


def _floats(frames: list[AudioFrame]) -> NDArray[Any]:
    pieces = [frame.to_ndarray()[0].astype(np.float32) / np.float32(32768.0) for frame in frames]
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)


def _resample_raw(resampler: _Resampler, data: bytes, raw: RawFormat) -> NDArray[Any]:
    is_float = raw.encoding == "pcm_f32le"
    samples = np.frombuffer(data, "<f4" if is_float else "<i2").reshape(-1, raw.channels)
    if is_float:
        mixed = np.nan_to_num(samples).clip(-1.0, 1.0).mean(axis=1)
        samples16 = (mixed * 32767.0).astype(np.int16)
    else:
        samples16 = samples.mean(axis=1).astype(np.int16) if raw.channels > 1 else samples[:, 0]
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples16)[None, :], format="s16", layout="mono")
    frame.sample_rate = raw.sample_rate
    return resampler.resample(frame)
