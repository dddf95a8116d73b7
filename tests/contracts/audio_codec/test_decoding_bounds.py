"""What hostile and very long uploads may cost, whatever the codec: the contract of ``domain.ports.audio_codec``."""

from __future__ import annotations

import asyncio
import io
import itertools
import resource
import socket
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from adapters.pyav import decoding
from domain.errors import AudioInvalid, AudioTooLong
from domain.ports.audio_codec import AudioCodec
from tests.contracts.audio_codec.files import (
    RATE,
    decode,
    encoded,
    flac_stating,
    hours_of_silence,
    made,
    pcm,
    wav,
)

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="a" '
        'bandwidth="1"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    ),
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
    "imf": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">{url}',
}


class TestHostileUploads:
    @pytest.mark.parametrize("kind", PLAYLISTS)
    @pytest.mark.parametrize("scheme", ["file", "path", "http"])
    async def test_an_upload_never_opens_another_file_or_address(
        self, codec: AudioCodec, kind: str, scheme: str, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.wav"
        secret.write_bytes(wav(pcm(3)))
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.1)
            port = server.getsockname()[1]
            url = {"file": f"file://{secret}", "path": str(secret), "http": f"http://127.0.0.1:{port}/a.wav"}[scheme]
            with pytest.raises(AudioInvalid):
                await decode(codec, PLAYLISTS[kind].format(url=url, port=port).encode())
            with pytest.raises(TimeoutError):
                server.accept()

    async def test_a_header_that_promises_hours_is_refused_at_once(self, codec: AudioCodec) -> None:
        begin = time.monotonic()
        with pytest.raises(AudioTooLong):
            await decode(codec, wav(pcm(1), declared=RATE * 2 * 36_000), max_duration=3600)
        assert time.monotonic() - begin < 0.5

    @pytest.mark.parametrize("stated", [True, False])
    @pytest.mark.parametrize(("container", "codec_name"), [("flac", "flac"), ("ogg", "libopus")])
    async def test_hours_in_a_few_bytes_are_refused_soon_and_in_little_memory(
        self, codec: AudioCodec, container: str, codec_name: str, stated: bool
    ) -> None:
        file = hours_of_silence(container, codec_name, hours=3)
        assert len(file) < 3_000_000
        if container == "flac":
            file = flac_stating(file, 3 * 3600 * 8000 if stated else 0)
        elif not stated:  # a short stream that follows, so that the clock of the last page says little
            file += encoded("ogg", "libopus", seconds=1, rate=48_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.monotonic()
        with pytest.raises(AudioTooLong):
            await decode(codec, file, max_duration=1800)
        assert time.monotonic() - begin < (15 if not stated else 1)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; 1800 s are 112,500


class TestLongAudio:
    async def test_lies_in_an_unnamed_file_that_goes_with_it(
        self, codec: AudioCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        long = flac_stating(hours_of_silence("flac", "flac", hours=0.25), 0)
        audio = await decode(codec, long, max_duration=3600)
        assert abs(audio.duration - 900) < 1
        assert _named(tmp_path) == []
        assert _mapped(tmp_path) == 1
        assert not audio.samples.any()
        del audio
        await asyncio.sleep(0)  # the future that it came by goes too
        assert _mapped(tmp_path) == 0

    async def test_leaves_nothing_when_it_is_refused(
        self, codec: AudioCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        long = flac_stating(hours_of_silence("flac", "flac", hours=0.25), 0)
        with pytest.raises(AudioTooLong):
            await decode(codec, long, max_duration=600)
        assert _named(tmp_path) == []
        assert _mapped(tmp_path) == 0

    async def test_is_the_same_as_in_memory(self, codec: AudioCodec, monkeypatch: pytest.MonkeyPatch) -> None:
        file = made("flac-96k-stereo")
        in_memory = await decode(codec, file)
        monkeypatch.setattr(decoding, "_IN_MEMORY", 10_000)
        assert np.array_equal((await decode(codec, file)).samples, in_memory.samples)

    async def test_cancelling_stops_the_work(self, codec: AudioCodec) -> None:
        class Watched(io.BytesIO):
            reads = itertools.count()

            def read(self, size: int | None = -1) -> bytes:
                next(self.reads)
                return super().read(size)

        source = Watched(flac_stating(hours_of_silence("flac", "flac", hours=3), 0))
        work = asyncio.create_task(codec.decode(source, sample_rate=RATE, max_duration=1e6))
        await asyncio.sleep(0.3)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(work, 0.5)
        await asyncio.sleep(0.2)
        at = source.tell()
        assert 0 < at < len(source.getvalue())
        await asyncio.sleep(0.2)
        assert source.tell() == at

    async def test_the_event_loop_goes_on_meanwhile(self, codec: AudioCodec) -> None:
        work = asyncio.create_task(decode(codec, hours_of_silence("flac", "flac", hours=0.5), max_duration=3600))
        longest = 0.0
        while not work.done():
            begin = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - begin)
        assert longest < 0.3


def _named(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def _mapped(directory: Path) -> int:
    return sum(str(directory) in line for line in Path("/proc/self/maps").read_text().splitlines())
