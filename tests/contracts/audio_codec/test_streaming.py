"""What holds for every audio codec when it decodes audio that is still arriving."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
import pytest

from domain.audio import RawFormat, Samples
from domain.errors import AudioInvalid
from domain.ports.audio_codec import AudioCodec
from tests.contracts.audio_codec.files import LISTED, RATE, RECORDINGS, decode, pcm, wav

LATE_INDEX = {"m4a-aac.m4a", "mp4-video-aac.mp4"}
AS_IT_COMES = sorted(file["file"] for file in LISTED["files"] if file["file"] not in LATE_INDEX)


class Arriving:
    """Bytes in pieces, and how many have been taken."""

    def __init__(self, data: bytes, size: int) -> None:
        self.taken = 0
        self._data, self._size = data, size

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._data), self._size):
            piece = self._data[start : start + self._size]
            self.taken += len(piece)
            yield piece
            await asyncio.sleep(0)


async def decode_stream(codec: AudioCodec, data: bytes, size: int = 500, raw: RawFormat | None = None) -> Samples:
    pieces = [
        piece.samples async for piece in codec.decode_stream(Arriving(data, size).pieces(), sample_rate=RATE, raw=raw)
    ]
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)


@pytest.mark.parametrize("name", AS_IT_COMES)
@pytest.mark.parametrize("size", [1, 500, 1 << 20])
async def test_a_file_is_heard_whole_however_it_arrives(codec: AudioCodec, name: str, size: int) -> None:
    file = (RECORDINGS / name).read_bytes()
    if size == 1:
        file = file[:20_000]
        whole = await decode_stream(codec, file, 1 << 20)
    else:
        whole = (await decode(codec, file)).samples
    came = await decode_stream(codec, file, size)
    if name == "mp3.mp3":  # padding of the encoder, which only the end of the file tells
        assert 0 <= len(came) - len(whole) <= 0.05 * RATE
        return
    assert len(came) == len(whole)
    assert np.abs(came - whole).max() <= 2**-14


@pytest.mark.parametrize("name", AS_IT_COMES)
async def test_sound_comes_while_the_file_still_arrives(codec: AudioCodec, name: str) -> None:
    arriving = Arriving((RECORDINGS / name).read_bytes(), 500)
    slowly = 0.0 if name.startswith("wav") else 0.002

    async def paced() -> AsyncGenerator[bytes, None]:
        async for piece in arriving.pieces():
            yield piece
            await asyncio.sleep(slowly)

    async with aclosing(codec.decode_stream(paced(), sample_rate=RATE)) as decoded:
        await anext(decoded)
    whole = (RECORDINGS / name).stat().st_size
    assert arriving.taken <= (1500 if name.startswith("wav") else 0.6 * whole)


async def test_raw_samples_are_what_they_are(codec: AudioCodec) -> None:
    sound = pcm(1.0)
    heard = await decode_stream(codec, sound, 333, RawFormat(encoding="pcm_s16le", sample_rate=RATE))
    assert np.array_equal(heard, np.frombuffer(sound, "<i2") / np.float32(32768))


async def test_what_follows_the_samples_of_a_wav_is_not_heard(codec: AudioCodec) -> None:
    sound = pcm(0.5)
    tagged = wav(sound, declared=len(sound)) + b"LIST" + (5000).to_bytes(4, "little") + bytes(range(250)) * 20
    assert len(await decode_stream(codec, tagged)) == RATE // 2


async def test_a_wav_that_breaks_off_is_heard_to_there(codec: AudioCodec) -> None:
    assert len(await decode_stream(codec, wav(pcm(2.0))[: 44 + RATE])) == RATE // 2


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", os.urandom(100_000), b"OggS" + bytes(100_000), wav(pcm(1.0))[:20], b"\0" * 100_000]
)
async def test_what_is_no_audio_is_refused(codec: AudioCodec, data: bytes) -> None:
    with pytest.raises(AudioInvalid):
        await decode_stream(codec, data, 5000)


@pytest.mark.parametrize("name", ["webm-opus-live.webm", "wav-streaming-header.wav"])
async def test_closing_ends_the_work(codec: AudioCodec, name: str) -> None:
    arriving = Arriving((RECORDINGS / name).read_bytes(), 3000)

    async def then_nothing() -> AsyncGenerator[bytes, None]:
        async for piece in arriving.pieces():
            yield piece
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with aclosing(codec.decode_stream(then_nothing(), sample_rate=RATE)) as decoded:
            await anext(decoded)


async def test_an_error_of_the_source_comes_out(codec: AudioCodec) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield (RECORDINGS / "flac.flac").read_bytes()[:30_000]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async for _ in codec.decode_stream(broken(), sample_rate=RATE):
            pass
