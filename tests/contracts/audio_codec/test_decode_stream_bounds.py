"""Audio that is still arriving and is no audio, breaks off, or is left: it ends soon and frees its thread."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterable

import numpy as np
import pytest

from domain.errors import AudioInvalid, EngineFailed
from domain.ports.audio_codec import AudioCodec
from tests.contracts.audio_codec.files import RATE, encoded
from tests.contracts.audio_codec.test_decode_stream import SAMPLE, STREAMABLE, arriving, decoded, file


def working(codec_threads: str = "pyav-stream") -> int:
    """Threads of the codec that are in the middle of a stream."""
    frames = sys._current_frames()
    count = 0
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        while thread.name.startswith(codec_threads) and frame is not None:
            if frame.f_code.co_name == "_decode":
                count += 1
                break
            frame = frame.f_back
    return count


async def idle(seconds: float = 2.0) -> bool:
    until = time.monotonic() + seconds
    while working() and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return working() == 0


class TestInvalid:
    @pytest.mark.parametrize(
        "garbage",
        [b"hello, this is text\n" * 100_000, bytes(2_000_000), np.random.default_rng(5).bytes(2_000_000), b"RIFFxxxx"],
        ids=["text", "zeros", "noise", "a beginning"],
    )
    async def test_garbage_is_refused_before_all_of_it_has_come(self, codec: AudioCodec, garbage: bytes) -> None:
        taken, begin = 0, time.monotonic()

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal taken
            async for chunk in arriving(garbage, 4096):
                taken += len(chunk)
                yield chunk

        with pytest.raises(AudioInvalid):
            await decoded(codec, chunks())
        assert taken <= 400_000
        assert time.monotonic() - begin < 5
        assert await idle()

    async def test_no_bytes_are_no_audio(self, codec: AudioCodec) -> None:
        with pytest.raises(AudioInvalid):
            await decoded(codec, arriving(b"", 1))

    async def test_an_mp4_with_its_index_at_the_end_is_refused_at_its_start_and_told_why(
        self, codec: AudioCodec
    ) -> None:
        data, taken = encoded("mp4", "aac", seconds=30.0), 0
        assert data.index(b"mdat") < data.index(b"moov")

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal taken
            async for chunk in arriving(data, 1024):
                taken += len(chunk)
                yield chunk
                await asyncio.sleep(0.001)

        with pytest.raises(AudioInvalid, match="index"):
            await decoded(codec, chunks())
        assert taken < len(data) // 2

    async def test_an_mp4_in_fragments_is_heard(self, codec: AudioCodec) -> None:
        data = encoded("mp4", "aac", movflags="frag_every_frame+empty_moov")
        assert data.index(b"moov") < data.index(b"mdat")
        assert len(await decoded(codec, arriving(data, 4096))) == pytest.approx(3.0 * RATE, abs=0.2 * RATE)

    async def test_a_picture_is_no_audio(self, codec: AudioCodec) -> None:
        png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0" + bytes(5000)
        with pytest.raises(AudioInvalid):
            await decoded(codec, arriving(png, 512))

    @pytest.mark.parametrize("name", STREAMABLE)
    async def test_bytes_that_are_damaged_on_the_way_end_in_sound_or_a_clear_no(
        self, codec: AudioCodec, name: str
    ) -> None:
        data = bytearray(file(name))
        damage = np.random.default_rng(6)
        for place in damage.integers(len(data) // 4, len(data), 200):
            data[place] = damage.integers(256)
        try:
            samples = await asyncio.wait_for(decoded(codec, arriving(bytes(data), 4096)), 20)
        except AudioInvalid:
            return
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1.0


class TestEnds:
    async def test_closing_it_frees_its_thread(self, codec: AudioCodec) -> None:
        forever = asyncio.Event()

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield file("flac.flac")[:20_000]
            await forever.wait()

        sound = codec.decode_stream(chunks(), sample_rate=RATE)
        await anext(sound)
        assert working() == 1
        await sound.aclose()
        assert await idle()

    async def test_closing_it_while_nobody_takes_its_samples_frees_its_thread(self, codec: AudioCodec) -> None:
        sound = codec.decode_stream(arriving(file("flac.flac"), 4096), sample_rate=RATE)
        await anext(sound)
        await asyncio.sleep(0.1)
        await sound.aclose()
        assert await idle()

    async def test_cancelling_it_before_the_first_sample_frees_its_thread(self, codec: AudioCodec) -> None:
        forever = asyncio.Event()

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield file("ogg-opus.ogg")[:60]
            await forever.wait()

        tasks = len(asyncio.all_tasks())
        listener = asyncio.create_task(decoded(codec, chunks()))
        await asyncio.sleep(0.1)
        assert working() == 1
        listener.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener
        assert await idle()
        assert len(asyncio.all_tasks()) == tasks

    async def test_a_slow_client_is_waited_for(self, codec: AudioCodec) -> None:
        data = file("ogg-opus.ogg")
        slow = await decoded(codec, arriving(data, len(data) // 15, pause=0.05))
        assert np.array_equal(slow, await decoded(codec, arriving(data, 4096)))

    @pytest.mark.parametrize("after", [0, 3, 5000, 30_000])
    @pytest.mark.parametrize("name", ["raw", "wav-s16-8k-mono.wav", "flac.flac"])
    async def test_an_error_of_the_client_comes_out_unchanged(self, codec: AudioCodec, name: str, after: int) -> None:
        async def chunks() -> AsyncGenerator[bytes, None]:
            async for chunk in arriving(file("flac.flac" if name == "raw" else name)[:after], 1000):
                yield chunk
            raise EngineFailed("the client broke off")

        with pytest.raises(EngineFailed, match="broke off"):
            await decoded(codec, chunks(), SAMPLE if name == "raw" else None)
        assert await idle()

    async def test_many_streams_are_decoded_at_once(self, codec: AudioCodec) -> None:
        files: Iterable[bytes] = [file(name) for name in STREAMABLE] * 3
        found = await asyncio.gather(*(decoded(codec, arriving(data, 2048, pause=0)) for data in files))
        assert all(abs(len(samples) / RATE - 2.98) < 0.1 for samples in found)
