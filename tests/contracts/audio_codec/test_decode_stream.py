"""Audio that is still arriving: the part of the contract of ``domain.ports.audio_codec`` on ``decode_stream``."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from domain.audio import RawFormat, Samples
from domain.errors import AudioInvalid
from domain.ports.audio_codec import AudioCodec
from tests.contracts.audio_codec.files import RATE, RECORDINGS, tone, wav

STREAMABLE = [
    "wav-s16-8k-mono.wav",
    "wav-s16-44k-stereo.wav",
    "wav-float32.wav",
    "wav-streaming-header.wav",
    "mp3.mp3",
    "flac.flac",
    "ogg-opus.ogg",
    "ogg-vorbis.ogg",
    "webm-opus-live.webm",
]
SAMPLE = RawFormat(encoding="pcm_s16le", sample_rate=RATE)


def file(name: str) -> bytes:
    return (RECORDINGS / name).read_bytes()


async def arriving(data: bytes, size: int, pause: float | None = None) -> AsyncGenerator[bytes, None]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]
        if pause is not None:
            await asyncio.sleep(pause)


async def decoded(
    codec: AudioCodec, chunks: AsyncIterator[bytes], raw: RawFormat | None = None, rate: int = RATE
) -> Samples:
    pieces = [np.zeros(0, np.float32)]
    async with aclosing(codec.decode_stream(chunks, sample_rate=rate, raw=raw)) as sound:
        async for piece in sound:
            assert piece.sample_rate == rate
            assert piece.samples.dtype == np.float32
            assert piece.samples.ndim == 1
            pieces.append(piece.samples)
    return np.concatenate(pieces)


async def whole(codec: AudioCodec, data: bytes) -> Samples:
    return (await codec.decode(io.BytesIO(data), sample_rate=RATE, max_duration=60.0)).samples


def alike(streamed: Samples, expected: Samples, *, shift: int = 0) -> bool:
    """Whether they are the same sound: as long as each other to 50 ms, and to a hundredth of its loudness."""
    if abs(len(streamed) - len(expected)) > 0.05 * RATE:
        return False
    count = min(len(streamed), len(expected)) - shift
    error = np.sqrt(np.mean((streamed[shift : shift + count] - expected[:count]) ** 2))
    return bool(error <= 0.01 * np.sqrt(np.mean(expected**2)))


def best_alike(streamed: Samples, expected: Samples) -> bool:
    """The same, where the streams may begin some samples apart (the priming of a lossy codec)."""
    return any(alike(streamed, expected, shift=s) or alike(expected, streamed, shift=s) for s in range(0, 800))


class TestContainers:
    @pytest.mark.parametrize("size", [1024, 65536])
    @pytest.mark.parametrize("name", STREAMABLE)
    async def test_a_stream_is_the_sound_of_the_file(self, codec: AudioCodec, name: str, size: int) -> None:
        assert best_alike(await decoded(codec, arriving(file(name), size)), await whole(codec, file(name)))

    @pytest.mark.parametrize("name", ["ogg-opus.ogg", "webm-opus-live.webm", "wav-s16-8k-mono.wav"])
    async def test_pieces_may_be_single_bytes(self, codec: AudioCodec, name: str) -> None:
        data = file(name)[:16_000]
        assert np.array_equal(await decoded(codec, arriving(data, 1)), await decoded(codec, arriving(data, 4096)))

    @pytest.mark.parametrize("name", STREAMABLE)
    async def test_samples_leave_before_the_stream_ends(self, codec: AudioCodec, name: str) -> None:
        data, got = file(name), asyncio.Event()

        async def chunks() -> AsyncGenerator[bytes, None]:
            for begin in range(0, len(data) * 3 // 4, 512):
                yield data[begin : begin + 512]
            async with asyncio.timeout(5):
                await got.wait()  # the rest comes only after the first samples
            yield data[len(data) * 3 // 4 :]

        async with aclosing(codec.decode_stream(chunks(), sample_rate=RATE)) as sound:
            async for piece in sound:
                assert len(piece.samples)
                got.set()
        assert got.is_set()

    async def test_a_wav_is_heard_within_a_tenth_of_a_second(self, codec: AudioCodec) -> None:
        data, count = file("wav-streaming-header.wav"), 0
        more = asyncio.Semaphore(1)

        async def chunks() -> AsyncGenerator[bytes, None]:
            for begin in range(0, 32_000, 1600):
                await more.acquire()
                yield data[begin : begin + 1600]

        async with asyncio.timeout(5), aclosing(codec.decode_stream(chunks(), sample_rate=RATE)) as sound:
            sent = 1
            more.release()
            async for piece in sound:
                count += len(piece.samples)
                assert count >= (sent - 2) * 800 - 800
                sent += 1
                more.release()

    async def test_a_stream_that_breaks_off_ends_there(self, codec: AudioCodec) -> None:
        for name in STREAMABLE:
            data = file(name)
            samples = await decoded(codec, arriving(data[: len(data) * 2 // 3], 1000))
            assert 0.9 * RATE < len(samples) < 2.9 * RATE

    async def test_an_mp3_may_begin_with_a_picture(self, codec: AudioCodec) -> None:
        size = 300_000
        tag = b"ID3\x04\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + bytes(size)
        data = file("mp3.mp3")
        plain = data[10 + (data[8] << 7 | data[9]) :] if data[:3] == b"ID3" else data
        samples = await decoded(codec, arriving(tag + plain, 4096))
        assert len(samples) / RATE == pytest.approx(2.98, abs=0.1)

    @pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
    async def test_resamples_to_any_rate(self, codec: AudioCodec, rate: int) -> None:
        samples = await decoded(codec, arriving(file("wav-s16-44k-stereo.wav"), 4096), rate=rate)
        assert len(samples) / rate == pytest.approx(2.98, abs=0.05)

    async def test_a_long_stream_holds_a_bounded_amount_of_bytes(self, codec: AudioCodec) -> None:
        taken = 0

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal taken
            yield wav(b"", declared=0xFFFF_FFFF - 36, bits=24)
            for _ in range(1000):
                taken += 64 * 1024
                yield bytes(64 * 1024)

        async with aclosing(codec.decode_stream(chunks(), sample_rate=RATE)) as sound:
            await anext(sound)
            await asyncio.sleep(0.2)
            assert taken <= 2 * 2**20


class TestRawSamples:
    @pytest.mark.parametrize("size", [1, 3, 1000, 65536])
    @pytest.mark.parametrize("channels", [1, 2, 3])
    @pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le"])
    async def test_pieces_may_split_a_sample(self, codec: AudioCodec, encoding: str, channels: int, size: int) -> None:
        sound = tone(0.25 if size == 1 else 1.0, RATE, channels)
        raw = RawFormat(encoding=encoding, sample_rate=RATE, channels=channels)  # type: ignore[arg-type]
        data = sound.T.astype("<f4") if raw.encoding == "pcm_f32le" else (sound.T * 32767).astype("<i2")
        samples = await decoded(codec, arriving(data.tobytes(), size), raw)
        assert len(samples) == sound.shape[1]
        assert np.allclose(samples, sound.mean(axis=0), atol=2e-4)

    @pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
    async def test_comes_at_any_rate(self, codec: AudioCodec, rate: int) -> None:
        t = np.arange(2 * rate) / rate
        data = (0.5 * np.sin(2 * np.pi * 440 * t) * 32767).astype("<i2").tobytes()
        raw = RawFormat(encoding="pcm_s16le", sample_rate=rate)
        samples = await decoded(codec, arriving(data, 777), raw)
        assert len(samples) / RATE == pytest.approx(2.0, abs=0.01)
        strongest = np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples)
        assert strongest == pytest.approx(440, abs=2)

    async def test_what_is_no_number_or_too_loud_is_bounded(self, codec: AudioCodec) -> None:
        data = np.array([np.nan, np.inf, -np.inf, 3e38, -7.0, 0.5] * 100, "<f4")
        for channels in (1, 2):
            raw = RawFormat(encoding="pcm_f32le", sample_rate=RATE, channels=channels)
            samples = await decoded(codec, arriving(data.tobytes(), 64), raw)
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 1.0

    async def test_half_a_sample_at_the_end_is_left_out(self, codec: AudioCodec) -> None:
        assert len(await decoded(codec, arriving(bytes(3201), 100), SAMPLE)) == 1600

    async def test_a_stream_of_nothing_has_no_samples(self, codec: AudioCodec) -> None:
        assert len(await decoded(codec, arriving(b"", 1), SAMPLE)) == 0

    @pytest.mark.parametrize(("rate", "channels"), [(0, 1), (10**7, 1), (16000, 0), (16000, 1000)])
    async def test_refuses_absurd_formats(self, codec: AudioCodec, rate: int, channels: int) -> None:
        raw = RawFormat(encoding="pcm_s16le", sample_rate=rate, channels=channels)
        with pytest.raises(AudioInvalid):
            await decoded(codec, arriving(bytes(1000), 100), raw)


class TestMarks:
    """A piece of no bytes comes out as a piece of no samples, after all that came before it."""

    @pytest.mark.parametrize("name", ["raw", "wav-s16-44k-stereo.wav", "flac.flac", "webm-opus-live.webm", "mp3.mp3"])
    async def test_comes_out_after_the_sound_before_it(self, codec: AudioCodec, name: str) -> None:
        raw = SAMPLE if name == "raw" else None
        data = (tone(2.98)[0] * 32767).astype("<i2").tobytes() if raw else file(name)
        half = len(data) // 2

        async def chunks() -> AsyncGenerator[bytes, None]:
            for piece in (data[:half], b"", data[half:], b""):
                yield piece

        before, marks, count = [], 0, 0
        async with aclosing(codec.decode_stream(chunks(), sample_rate=RATE, raw=raw)) as sound:
            async for piece in sound:
                count += len(piece.samples)
                if not len(piece.samples):
                    marks += 1
                    before.append(count / RATE)
        assert marks == 2
        held = 0.9 if name == "flac.flac" else 0.35  # FFmpeg looks ten frames ahead for where a FLAC frame ends
        assert 1.49 - held <= before[0] <= 1.49 + 0.35
        assert 2.98 - held <= before[1] <= 2.98 + 0.35

    async def test_may_come_before_any_byte(self, codec: AudioCodec) -> None:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b""
            yield file("ogg-opus.ogg")

        assert len(await decoded(codec, chunks())) > 2.9 * RATE
