"""What holds for every audio codec when it decodes: the contract of ``domain.ports.audio_codec``."""

from __future__ import annotations

import asyncio
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from domain.errors import AudioEmpty, AudioInvalid, AudioTooLong, AudioTruncated
from domain.ports.audio_codec import AudioCodec
from tests.contracts.audio_codec.files import (
    LISTED,
    MADE,
    RATE,
    RECORDINGS,
    decode,
    flac_stating,
    index_first,
    made,
    pcm,
    tone,
    wav,
)


class TestSamples:
    def test_is_a_codec(self, codec: AudioCodec) -> None:
        assert isinstance(codec, AudioCodec)

    @pytest.mark.parametrize("name", MADE)
    async def test_are_those_of_faster_whisper(self, codec: AudioCodec, name: str) -> None:
        file = made(name)
        audio = await decode(codec, file)
        assert audio.sample_rate == RATE
        assert (audio.samples.dtype, audio.samples.ndim) == (np.float32, 1)
        assert np.array_equal(audio.samples, decode_audio(io.BytesIO(file)))
        assert abs(audio.duration - 3.0) < 0.1

    @pytest.mark.parametrize("file", LISTED["files"], ids=lambda file: file["file"])
    async def test_of_recordings_are_those_of_faster_whisper(self, codec: AudioCodec, file: dict[str, Any]) -> None:
        content = (RECORDINGS / file["file"]).read_bytes()
        audio = await decode(codec, content)
        assert np.array_equal(audio.samples, decode_audio(io.BytesIO(content)))
        assert abs(audio.duration - LISTED["seconds"]) < 0.3

    async def test_are_exact_where_nothing_is_converted(self, codec: AudioCodec) -> None:
        audio = await decode(codec, wav(pcm(1)))
        assert np.array_equal(audio.samples, np.frombuffer(pcm(1), "<i2") / np.float32(32768))

    @pytest.mark.parametrize("sample_rate", [8_000, 24_000, 48_000])
    async def test_come_at_the_rate_that_is_asked_for(self, codec: AudioCodec, sample_rate: int) -> None:
        audio = await decode(codec, made("flac-96k-stereo"), sample_rate=sample_rate)
        assert audio.sample_rate == sample_rate
        assert abs(audio.duration - 3.0) < 0.01

    async def test_channels_are_mixed(self, codec: AudioCodec) -> None:
        left = (tone(1)[0] * 32767).astype("<i2")
        stereo = np.stack([left, np.zeros_like(left)], axis=1).tobytes()
        audio = await decode(codec, wav(stereo, channels=2))
        assert np.abs(audio.samples - left / 65536).max() < 2e-4

    async def test_the_first_audio_of_a_video_is_taken(self, codec: AudioCodec) -> None:
        content = (RECORDINGS / "mp4-video-aac.mp4").read_bytes()
        assert b"vide" in content
        assert np.abs((await decode(codec, content)).samples).max() > 0.05

    async def test_a_file_is_read_from_its_start_and_left_open(self, codec: AudioCodec, tmp_path: Path) -> None:
        (tmp_path / "audio").write_bytes(wav(pcm(1)))
        with (tmp_path / "audio").open("rb") as source:
            source.seek(1000)
            audio = await codec.decode(source, sample_rate=RATE, max_duration=60)
            assert audio.duration == 1.0
            assert not source.closed

    async def test_others_are_decoded_meanwhile(self, codec: AudioCodec) -> None:
        files = [made(name) for name in ("mp3-16k", "flac-96k-stereo", "ogg-opus-stereo")] * 3
        decoded = await asyncio.gather(*(decode(codec, file) for file in files))
        for file, audio in zip(files, decoded, strict=True):
            assert np.array_equal(audio.samples, decode_audio(io.BytesIO(file)))


class TestRefusals:
    async def test_no_bytes_are_empty(self, codec: AudioCodec) -> None:
        with pytest.raises(AudioEmpty, match="empty"):
            await decode(codec, b"")

    async def test_a_header_without_samples_is_empty(self, codec: AudioCodec) -> None:
        with pytest.raises(AudioEmpty, match="no sound"):
            await decode(codec, wav(b""))

    @pytest.mark.parametrize(
        "file",
        [
            b"hello world\n" * 1000,
            b"\x89PNG\r\n\x1a\n" + bytes(5000),
            os.urandom(100_000),
            bytes(100_000),
            b"R",
            b"RIFF",
        ],
        ids=["text", "picture", "random", "zeros", "one-byte", "riff"],
    )
    async def test_what_is_no_audio_is_invalid(self, codec: AudioCodec, file: bytes) -> None:
        with pytest.raises(AudioInvalid):
            await decode(codec, file)

    async def test_a_film_without_sound_is_invalid(self, codec: AudioCodec) -> None:
        file = io.BytesIO()
        output = av.open(file, "w", format="mp4")
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(stream.encode(None))
        output.close()
        with pytest.raises(AudioInvalid, match="no audio"):
            await decode(codec, file.getvalue())

    @pytest.mark.parametrize(
        "parameters",
        [{"channels": 0}, {"channels": 65}, {"rate": 0}, {"rate": 1_000_000}, {"bits": 0}],
        ids=lambda parameters: "-".join(f"{key}-{value}" for key, value in parameters.items()),
    )
    async def test_absurd_parameters_are_invalid(self, codec: AudioCodec, parameters: dict[str, int]) -> None:
        with pytest.raises(AudioInvalid):
            await decode(codec, wav(pcm(10), **parameters))

    @pytest.mark.parametrize("name", MADE)
    @pytest.mark.parametrize("part", [0.7, 0.5, 0.1])
    async def test_a_file_that_breaks_off_is_truncated(self, codec: AudioCodec, name: str, part: float) -> None:
        file = made(name)
        with pytest.raises(AudioTruncated):
            await decode(codec, file[: int(len(file) * part)])

    @pytest.mark.parametrize("name", ["mp4-aac-stereo", "m4a-aac"])
    async def test_a_film_with_its_index_in_front_is_truncated_too(self, codec: AudioCodec, name: str) -> None:
        file = index_first(made(name))
        assert file.index(b"moov") < file.index(b"mdat")
        assert (await decode(codec, file)).duration > 2.9
        with pytest.raises(AudioTruncated):
            await decode(codec, file[: len(file) // 2])

    async def test_a_few_samples_less_than_stated_are_taken(self, codec: AudioCodec) -> None:
        assert (await decode(codec, wav(pcm(2.7), declared=len(pcm(3))))).duration == 2.7

    @pytest.mark.parametrize("declared", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36])
    async def test_the_header_of_a_stream_states_nothing(self, codec: AudioCodec, declared: int) -> None:
        audio = await decode(codec, wav(pcm(2), declared=declared))
        assert audio.duration == 2.0

    async def test_an_estimate_is_no_statement(self, codec: AudioCodec) -> None:
        """Without its first frame nothing in an MP3 file says how long it is."""
        frames = made("mp3-44k-stereo", write_xing="0", id3v2_version="0")
        assert b"Info" not in frames
        assert b"Xing" not in frames
        for content in (frames, frames[: len(frames) // 2], frames + b"TAG" + bytes(125), frames + bytes(5000)):
            assert (await decode(codec, content)).duration > 1.4

    async def test_damage_in_the_middle_costs_only_what_was_there(self, codec: AudioCodec) -> None:
        file = made("mp3-44k-stereo")
        damaged = file[:20_000] + os.urandom(2_000) + file[22_000:]
        assert 2.5 < (await decode(codec, damaged)).duration <= 3.0

    @pytest.mark.parametrize(
        "name", ["wav-s16-44k-stereo", "mp3-16k", "flac-96k-stereo", "ogg-opus-stereo", "webm-opus"]
    )
    async def test_more_than_the_longest_is_too_long(self, codec: AudioCodec, name: str) -> None:
        with pytest.raises(AudioTooLong, match="longer than 2 seconds"):
            await decode(codec, made(name), max_duration=2)
        assert (await decode(codec, made(name), max_duration=3.2)).duration > 2.9

    async def test_without_a_stated_length_what_is_decoded_counts(self, codec: AudioCodec) -> None:
        for file in (wav(pcm(3), declared=0xFFFFFFFF), flac_stating(made("flac-96k-stereo"), 0)):
            with pytest.raises(AudioTooLong):
                await decode(codec, file, max_duration=2)


async def test_says_nothing_on_the_terminal(codec: AudioCodec, capfd: pytest.CaptureFixture[str]) -> None:
    for file in (made("mp3-16k")[:5000], os.urandom(5000), wav(pcm(1), declared=99), b"#EXTM3U\n"):
        with suppress(AudioInvalid):
            await decode(codec, file)
    assert capfd.readouterr() == ("", "")
