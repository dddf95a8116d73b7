"""Audio files to samples: FFmpeg's decoders, mixed and resampled as faster-whisper does it, sample for sample."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from typing import Any, BinaryIO, Final

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from adapters.pyav.headers import Header, read_header
from domain.audio import Samples, Waveform
from domain.errors import AudioEmpty, AudioInvalid, AudioTooLong, AudioTruncated, Unavailable

# Files with sound in them. No playlist (hls, concat, dash, …) and nothing that names another file.
_DEMUXERS: Final = (
    "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,matroska,mov,amr,ac3,eac3,asf,avi,flv,mpegts,mpeg,ape,wv,tta,dsf,aea,loas"
)
# Nothing is opened but the upload itself, which FFmpeg gets without a protocol.
CONTAINER_OPTIONS: Final = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}

_IN_MEMORY: Final = 4 * 2**20  # samples; 4 minutes at 16 kHz, 16 MiB
_GROUP: Final = 2**16  # samples that are resampled at a time


class _Gone(Exception):
    """Nobody waits for the result."""


def decode(source: BinaryIO, sample_rate: int, max_duration: float, gone: threading.Event) -> Waveform:
    """Decode the first audio stream of a file; blocking.

    Args:
        source: See ``domain.ports.audio_codec.AudioCodec.decode``, its errors too.
        sample_rate: Rate to resample to, in hertz.
        max_duration: Longest audio to take, in seconds.
        gone: Set when nobody waits any more; decoding then ends at the next packet.
    """
    size = source.seek(0, 2)
    if size == 0:
        raise AudioEmpty("the audio file is empty")
    header = read_header(source, size)
    source.seek(0)
    try:
        container = av.open(source, mode="r", metadata_errors="ignore", container_options=CONTAINER_OPTIONS)
    except (av.error.FFmpegError, UnicodeError) as err:
        if header.cut_off:
            raise AudioTruncated("the audio file breaks off before its index") from err
        raise AudioInvalid("the file is not audio of a known format") from err
    with container:
        return _Decoding(container, header, max_duration, gone).run(sample_rate)


class _Decoding:
    """The decoding of one file."""

    def __init__(self, container: InputContainer, header: Header, max_duration: float, gone: threading.Event) -> None:
        if not container.streams.audio:
            raise AudioInvalid("the file has no audio in it")
        self._container = container
        self._stream = container.streams.audio[0]
        self._max_duration = max_duration
        self._gone = gone
        self._cut_off = header.cut_off
        context = self._stream.codec_context
        if context is None:
            raise AudioInvalid("there is no decoder for the audio in the file")
        check_parameters(context.channels, context.sample_rate)
        self._stated = _stated_duration(container, self._stream, header)
        self._broken = False
        self._frames_seconds = 0.0
        self._reached = 0.0

    def run(self, sample_rate: int) -> Waveform:
        promised = self._stated
        if promised is None and self._container.format.name == "ogg":
            promised = _stream_duration(self._stream)  # the clock of the last page
        if promised is not None and promised > self._max_duration + 0.5:
            raise self._too_long()
        samples = _SampleStore(int(self._max_duration * sample_rate))
        with closing(samples):
            try:
                for piece in _resampled(self._frames(), sample_rate):
                    if not samples.append(piece):
                        raise self._too_long()
            except av.error.FFmpegError as err:
                raise AudioInvalid("the audio in the file cannot be decoded") from err
            self._check_whole(empty=samples.count == 0)
            return Waveform(samples=samples.finish(), sample_rate=sample_rate)

    def _frames(self) -> Iterator[AudioFrame]:
        """Decoded frames; what cannot be decoded is left out and noted."""
        packets = self._container.demux(self._stream)
        while not self._gone.is_set():
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                self._broken = True
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                # What follows the last frame of an MP3 file is often a tag or padding, and no frame.
                self._broken = self._container.format.name != "mp3"
                continue
            for frame in frames:
                self._broken = False
                self._note(frame)
                yield frame
        raise _Gone

    def _note(self, frame: AudioFrame) -> None:
        check_parameters(frame.layout.nb_channels, frame.sample_rate)
        seconds = frame.samples / frame.sample_rate
        self._frames_seconds += seconds
        if frame.pts is not None and frame.time_base is not None:
            # Speech codecs leave silence out: the clock goes on where there are no samples.
            begin = _seconds(self._stream.start_time or 0, self._stream.time_base)
            self._reached = max(self._reached, _seconds(frame.pts, frame.time_base) + seconds - begin)

    def _check_whole(self, *, empty: bool) -> None:
        heard = max(self._frames_seconds, self._reached)
        if self._stated is not None:
            truncated = heard < self._stated - max(0.5, 0.02 * self._stated)
        else:
            truncated = self._cut_off or (self._broken and not empty)
        if truncated:
            raise AudioTruncated(
                "the audio breaks off"
                if self._stated is None
                else f"the audio ends after {heard:.1f} s, but its header states {self._stated:.1f} s"
            )
        if empty and self._broken:
            raise AudioInvalid("the audio in the file cannot be decoded")
        if empty:
            raise AudioEmpty("there is no sound in the audio file")

    def _too_long(self) -> AudioTooLong:
        return AudioTooLong(f"the audio is longer than {self._max_duration:g} seconds")


def check_parameters(channels: int, sample_rate: int) -> None:
    """Refuse absurd audio with ``AudioInvalid``."""
    if not 1 <= channels <= 64 or not 1 <= sample_rate <= 768_000:
        raise AudioInvalid(f"audio of {channels} channels at {sample_rate} hertz is not taken")


def _stated_duration(container: InputContainer, stream: AudioStream, header: Header) -> float | None:
    """Seconds that the header states, not those that FFmpeg estimates or measures; ``None`` where it states none."""
    kind = container.format.name
    if kind == "wav":
        return header.wav_duration
    if kind == "mp3":
        return _stream_duration(stream) if header.counts_frames else None
    if kind in {"flac", "aiff"} or "mp4" in kind:
        return _stream_duration(stream)
    if "matroska" in kind:
        begin = _seconds(stream.start_time or 0, stream.time_base)
        if tag := stream.metadata.get("DURATION"):
            return _tagged_duration(tag, begin)
        # The length of the file is that of its longest stream, which may be a video.
        if len(container.streams) == 1 and container.duration:
            return container.duration / av.time_base - begin
    return None


def _tagged_duration(tag: str, begin: float) -> float | None:
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - begin
    except ValueError:
        return None


def _stream_duration(stream: AudioStream) -> float | None:
    return _seconds(stream.duration, stream.time_base) if stream.duration else None


def _seconds(ticks: int, time_base: Fraction | None) -> float:
    return float(ticks * time_base) if time_base else 0.0


def _resampled(frames: Iterator[AudioFrame], sample_rate: int) -> Iterator[NDArray[Any]]:
    """Mix and resample; a stream that changes its rate or channels on the way goes on with the new ones.

    Yields:
        Signed 16-bit mono samples, shape ``(n,)``, as ``faster_whisper.audio.decode_audio`` makes them.
    """
    current: tuple[str, str, int] | None = None
    fifo = AudioFifo()
    resampler = AudioResampler(format="s16", layout="mono", rate=sample_rate)

    def flush() -> Iterator[AudioFrame]:
        rest = fifo.read()
        if rest is not None:
            yield from resampler.resample(rest)
        yield from resampler.resample(None)

    for frame in frames:
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != current:
            if current is not None:
                yield from (out.to_ndarray()[0] for out in flush())
                fifo = AudioFifo()
                resampler = AudioResampler(format="s16", layout="mono", rate=sample_rate)
            current = setup
        frame.pts = None
        fifo.write(frame)
        if fifo.samples >= _GROUP and (group := fifo.read()) is not None:
            yield from (out.to_ndarray()[0] for out in resampler.resample(group))
    yield from (out.to_ndarray()[0] for out in flush())


class _SampleStore:
    """Float samples, in memory as long as they are few, then in an unnamed file."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self._limit = limit
        self._pieces: list[Samples] = []
        self._file: Any = None

    def append(self, piece: NDArray[Any]) -> bool:
        """Take signed 16-bit samples; False where that are more than the limit."""
        self.count += len(piece)
        if self.count > self._limit:
            return False
        samples = piece.astype(np.float32) / np.float32(32768.0)
        if self._file is None and self.count <= _IN_MEMORY:
            self._pieces.append(samples)
            return True
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="parlante-")  # noqa: SIM115 -- it lives as long as the samples
                for earlier in self._pieces:
                    self._file.write(earlier.data)
                self._pieces.clear()
            self._file.write(samples.data)
        except OSError as err:
            raise Unavailable("there is no room to decode long audio now") from err
        return True

    def finish(self) -> Samples:
        """All samples, shape ``(count,)``."""
        if self._file is None:
            return np.concatenate(self._pieces) if self._pieces else np.empty(0, np.float32)
        self._file.flush()
        return np.asarray(np.memmap(self._file, np.float32, mode="r", shape=(self.count,)))

    def close(self) -> None:
        """Let go of the file; the samples that are mapped from it keep it."""
        if self._file is not None:
            self._file.close()
