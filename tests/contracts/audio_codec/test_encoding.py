"""What holds for every audio codec when it encodes: the contract of ``domain.ports.audio_codec``."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest

from domain.audio import AudioFormat, Waveform
from domain.errors import AudioEmpty, EngineFailed
from domain.ports.audio_codec import AudioCodec
from tests.contracts.audio_codec.files import tone

RATE = 22_050
SOUND = tone(3.0, RATE)[0]


async def pieces(samples: object = SOUND, *, rate: int = RATE, size: int = 5_000) -> AsyncIterator[Waveform]:
    array = np.asarray(samples, np.float32)
    for i in range(0, len(array), size):
        await asyncio.sleep(0)
        yield Waveform(samples=array[i : i + size], sample_rate=rate)


async def encode(codec: AudioCodec, audio_format: AudioFormat, chunks: AsyncIterator[Waveform]) -> tuple[float, bytes]:
    sink = io.BytesIO()
    duration = await codec.encode(chunks, audio_format, sink)
    assert not sink.closed
    return duration, sink.getvalue()


@pytest.mark.parametrize("audio_format", AudioFormat)
async def test_makes_a_complete_file_of_its_format(codec: AudioCodec, audio_format: AudioFormat) -> None:
    duration, file = await encode(codec, audio_format, pieces())
    assert duration == pytest.approx(3.0)
    with av.open(io.BytesIO(file)) as container:
        stream = container.streams.audio[0]
        assert container.format.name == {"opus": "ogg"}.get(audio_format, audio_format)
        expected = {"wav": "pcm_s16le", "mp3": "mp3float", "opus": ("opus", "libopus"), "flac": "flac"}[audio_format]
        assert stream.codec_context.name in expected
        assert stream.codec_context.channels == 1
        assert container.duration / av.time_base == pytest.approx(3.0, abs=0.1)  # the header states it


@pytest.mark.parametrize("audio_format", AudioFormat)
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
async def test_what_is_encoded_is_what_is_decoded(codec: AudioCodec, audio_format: AudioFormat, rate: int) -> None:
    t = np.arange(2 * rate) / rate
    sound = (0.4 * np.sin(2 * np.pi * 440 * t) * np.sin(np.pi * t / 2)).astype(np.float32)
    _, file = await encode(codec, audio_format, pieces(sound, rate=rate))
    audio = await codec.decode(io.BytesIO(file), sample_rate=rate, max_duration=10)
    assert audio.duration == pytest.approx(2.0, abs=0.05)
    lossless = audio_format in {AudioFormat.WAV, AudioFormat.FLAC}
    same = min(len(sound), len(audio.samples))
    assert np.abs(audio.samples[:same] - sound[:same]).max() < (1 / 32768 if lossless else 0.05)


async def test_a_wav_file_is_plain_16_bit_and_sounds_past_full_scale_are_clipped(codec: AudioCodec) -> None:
    _, file = await encode(codec, AudioFormat.WAV, pieces(np.array([0.0, 2.0, -2.0, 0.5])))
    with wave.open(io.BytesIO(file)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, RATE)
        samples = np.frombuffer(reader.readframes(10), "<i2")
    assert samples.tolist() == [0, 32767, -32768, 16384]


@pytest.mark.parametrize("audio_format", AudioFormat)
async def test_the_same_sound_makes_the_same_bytes(codec: AudioCodec, audio_format: AudioFormat) -> None:
    once = await encode(codec, audio_format, pieces())
    assert await encode(codec, audio_format, pieces()) == once


@pytest.mark.parametrize("audio_format", AudioFormat)
@pytest.mark.parametrize("samples", [1, 100])
async def test_a_moment_makes_a_file_too(codec: AudioCodec, audio_format: AudioFormat, samples: int) -> None:
    duration, file = await encode(codec, audio_format, pieces(SOUND[:samples]))
    assert duration == pytest.approx(samples / RATE)
    assert (await codec.decode(io.BytesIO(file), sample_rate=RATE, max_duration=10)).duration > 0


@pytest.mark.parametrize("audio_format", [AudioFormat.MP3, AudioFormat.OPUS])
async def test_rates_that_a_codec_lacks_are_resampled(codec: AudioCodec, audio_format: AudioFormat) -> None:
    sound = tone(1.0, 17_000)[0]
    duration, file = await encode(codec, audio_format, pieces(sound, rate=17_000))
    assert duration == pytest.approx(1.0)
    audio = await codec.decode(io.BytesIO(file), sample_rate=16_000, max_duration=10)
    assert audio.duration == pytest.approx(1.0, abs=0.06)


async def test_is_written_while_pieces_come(codec: AudioCodec, tmp_path: Path) -> None:
    sizes = []

    async def slowly(path: Path) -> AsyncIterator[Waveform]:
        for _ in range(20):
            sizes.append(path.stat().st_size)  # noqa: ASYNC240
            yield Waveform(samples=SOUND, sample_rate=RATE)

    with (tmp_path / "speech.wav").open("wb") as sink:
        assert await codec.encode(slowly(tmp_path / "speech.wav"), AudioFormat.WAV, sink) == pytest.approx(60.0)
    assert sizes[-1] > 15 * len(SOUND) * 2


@pytest.mark.parametrize("empty", [[], [np.empty(0, np.float32)]])
async def test_no_sample_is_refused_and_nothing_written(codec: AudioCodec, empty: list[np.ndarray]) -> None:
    async def nothing() -> AsyncIterator[Waveform]:
        for samples in empty:
            yield Waveform(samples=samples, sample_rate=RATE)

    sink = io.BytesIO()
    with pytest.raises(AudioEmpty):
        await codec.encode(nothing(), AudioFormat.WAV, sink)
    assert sink.getvalue() == b""


@pytest.mark.parametrize("audio_format", AudioFormat)
async def test_an_error_of_the_pieces_comes_out_unchanged(codec: AudioCodec, audio_format: AudioFormat) -> None:
    failure = EngineFailed("the voice broke")

    async def broken() -> AsyncIterator[Waveform]:
        yield Waveform(samples=SOUND, sample_rate=RATE)
        raise failure

    with pytest.raises(EngineFailed) as raised:
        await codec.encode(broken(), audio_format, io.BytesIO())
    assert raised.value is failure


@pytest.mark.parametrize("audio_format", AudioFormat)
async def test_a_cancelled_file_is_written_no_further(codec: AudioCodec, audio_format: AudioFormat) -> None:
    async def endless() -> AsyncIterator[Waveform]:
        while True:
            yield Waveform(samples=SOUND, sample_rate=RATE)

    sink = io.BytesIO()
    work = asyncio.create_task(codec.encode(endless(), audio_format, sink))
    async with asyncio.timeout(10):
        while not sink.getvalue():  # noqa: ASYNC110 -- encoders keep some to themselves at first
            await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    sink.close()
    await asyncio.sleep(0.1)
    assert len((await encode(codec, audio_format, pieces()))[1]) > 1000


async def test_many_are_encoded_at_once(codec: AudioCodec) -> None:
    alone = await encode(codec, AudioFormat.MP3, pieces())
    assert await asyncio.gather(*(encode(codec, AudioFormat.MP3, pieces()) for _ in range(8))) == [alone] * 8
