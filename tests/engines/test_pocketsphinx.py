"""What holds for the adapter of PocketSphinx beside the contract: its words, and the life of its processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio
from faster_whisper.audio import decode_audio
from pocketsphinx import Decoder

from adapters.pocketsphinx import PLUGIN, PocketSphinxOptions, process
from domain.audio import Waveform
from domain.errors import EngineFailed, EngineUnavailable, StartError
from domain.ports.plugin import Host
from domain.ports.transcriber import Feature, Transcriber
from domain.transcript import Segment, TranscribeOptions
from tests.engines.recordings import RECORDINGS, SAMPLE_RATE, hear, spoken, text_of, word_error_rate

HOST = Host(models_dir=Path(os.devnull))
SAMPLES = Path(__file__).parents[2] / "samples"
LISTED = json.loads((SAMPLES / "samples.json").read_text())


def waveform(path: Path) -> Waveform:
    return Waveform(samples=decode_audio(str(path)), sample_rate=SAMPLE_RATE)


def decoders() -> list[psutil.Process]:
    """The decoder processes of this process."""
    return [child for child in psutil.Process().children() if any("worker.py" in part for part in child.cmdline())]


async def gone(processes: list[psutil.Process]) -> bool:
    """Whether all end within two seconds."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        if not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            return True
        await asyncio.sleep(0.02)
    return False


@pytest_asyncio.fixture
async def transcriber() -> AsyncIterator[Transcriber]:
    async with PLUGIN.open(PocketSphinxOptions(), HOST) as opened:
        yield opened


@pytest.fixture
def long() -> Waveform:
    return RECORDINGS["en-40s"].waveform()


class TestWords:
    @pytest.mark.parametrize("sample", LISTED, ids=lambda sample: sample["file"])
    async def test_hears_every_word_of_the_demo_s_recordings(self, transcriber: Transcriber, sample: dict) -> None:
        _, segments = await hear(transcriber, waveform(SAMPLES / sample["file"]))
        assert text_of(segments) == spoken(sample["text"])

    async def test_hears_a_short_recording_as_the_bare_engine_hears_it_whole(self, transcriber: Transcriber) -> None:
        for name in ("en-02", "en-05"):
            audio = RECORDINGS[name].waveform()
            bare = Decoder(loglevel="FATAL")
            bare.start_utt()
            bare.process_raw((audio.samples * 32768).astype("<i2").tobytes(), full_utt=True)
            bare.end_utt()
            _, segments = await hear(transcriber, audio)
            assert text_of(segments) == bare.hyp().hypstr

    async def test_what_was_heard_before_changes_nothing(self, transcriber: Transcriber) -> None:
        audio = RECORDINGS["en-02"].waveform()
        options = TranscribeOptions(word_timestamps=True)
        before = await hear(transcriber, audio, options)
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * 0.3
        await hear(transcriber, Waveform(samples=noise, sample_rate=SAMPLE_RATE))
        assert await hear(transcriber, audio, options) == before

    async def test_words_have_times_and_confidences_and_no_fillers(self, transcriber: Transcriber) -> None:
        sample = next(sample for sample in LISTED if sample["file"] == "train.mp3")
        _, segments = await hear(
            transcriber, waveform(SAMPLES / sample["file"]), TranscribeOptions(word_timestamps=True)
        )
        words = [word for segment in segments for word in segment.words or ()]
        assert [word.word for word in words] == spoken(sample["text"]).split()
        assert all(0.05 < word.end - word.start < 1.0 for word in words)
        assert 0.5 < sum(word.probability for word in words) / len(words) <= 1.0
        assert len({word.probability for word in words}) > 3

    async def test_cuts_long_sound_at_pauses_and_hears_about_the_same(self, transcriber: Transcriber) -> None:
        pause = np.zeros(SAMPLE_RATE // 2, np.float32)
        recordings = [waveform(SAMPLES / sample["file"]).samples for sample in LISTED]
        samples = np.concatenate([part for recording in recordings for part in (recording, pause)])
        assert len(samples) / SAMPLE_RATE > 15
        _, segments = await hear(transcriber, Waveform(samples=samples, sample_rate=SAMPLE_RATE))
        assert word_error_rate([" ".join(sample["text"] for sample in LISTED)], [text_of(segments)]) < 0.1
        assert len(segments) >= len(LISTED)

    async def test_a_pause_ends_a_segment(self, transcriber: Transcriber) -> None:
        recordings = [waveform(SAMPLES / LISTED[i]["file"]).samples for i in (0, 1)]
        pause = np.zeros(SAMPLE_RATE, np.float32)
        audio = Waveform(samples=np.concatenate([recordings[0], pause, recordings[1]]), sample_rate=SAMPLE_RATE)
        _, segments = await hear(transcriber, audio)
        first = len(recordings[0]) / SAMPLE_RATE
        assert any(abs(segment.end - first) < 0.4 for segment in segments)
        assert any(abs(segment.start - first - 1) < 0.4 for segment in segments)

    @pytest.mark.parametrize("name", ["silence", "noise-white", "noise-pink", "noise-brown"])
    async def test_noise_says_nothing(self, transcriber: Transcriber, name: str) -> None:
        _, segments = await hear(transcriber, RECORDINGS[name].waveform())
        assert segments == []

    async def test_has_words_and_nothing_else_to_offer(self, transcriber: Transcriber) -> None:
        assert transcriber.capabilities.features == {Feature.WORD_TIMESTAMPS}
        assert transcriber.capabilities.languages == ("en",)


class TestProcesses:
    async def test_is_ready_soon(self) -> None:
        begin = time.monotonic()
        async with PLUGIN.open(PocketSphinxOptions(), HOST):
            assert time.monotonic() - begin < 3  # 0.5 s on a machine with nothing else to do

    async def test_loads_nothing_of_the_service_into_its_processes(self, transcriber: Transcriber) -> None:
        mapped = [entry.path for entry in decoders()[0].memory_maps()]
        assert any("_pocketsphinx" in path for path in mapped)
        assert not any("numpy" in path or "msgspec" in path for path in mapped)

    async def test_the_event_loop_goes_on_while_it_decodes(self, transcriber: Transcriber, long: Waveform) -> None:
        listener = asyncio.create_task(hear(transcriber, long))
        waits = []
        while not listener.done() and len(waits) < 100:
            begin = time.monotonic()
            await asyncio.sleep(0.01)
            waits.append(time.monotonic() - begin)
        listener.cancel()
        assert len(waits) == 100
        assert max(waits) < 0.5  # one call of the decoder takes seconds

    async def test_segments_leave_while_the_rest_is_decoded(self, transcriber: Transcriber, long: Waveform) -> None:
        begin = time.monotonic()
        first = None
        async for event in transcriber.transcribe(long, TranscribeOptions()):
            if isinstance(event, Segment) and first is None:
                first = time.monotonic() - begin
        assert first is not None
        assert first < 0.7 * (time.monotonic() - begin)

    async def test_a_long_recording_lets_others_in_between(self, transcriber: Transcriber, long: Waveform) -> None:
        listener = asyncio.create_task(hear(transcriber, long))
        await asyncio.sleep(0.1)
        _, segments = await hear(transcriber, RECORDINGS["en-02"].waveform())
        assert segments
        assert not listener.done()
        listener.cancel()

    async def test_a_killed_process_fails_its_request_and_no_later_one(
        self, transcriber: Transcriber, long: Waveform
    ) -> None:
        listener = asyncio.create_task(hear(transcriber, long))
        await asyncio.sleep(0.5)
        decoders()[0].kill()
        with pytest.raises(EngineFailed):
            await asyncio.wait_for(listener, 5)
        _, segments = await hear(transcriber, RECORDINGS["en-02"].waveform())
        assert segments

    async def test_a_process_killed_between_requests_is_not_noticed(self, transcriber: Transcriber) -> None:
        killed = decoders()
        killed[0].kill()
        assert await gone(killed)
        await asyncio.sleep(0.05)
        _, segments = await hear(transcriber, RECORDINGS["en-02"].waveform())
        assert segments
        assert [process.pid for process in decoders()] != [killed[0].pid]

    async def test_cancelling_ends_the_work_at_once(self, transcriber: Transcriber, long: Waveform) -> None:
        listener = asyncio.create_task(hear(transcriber, long))
        await asyncio.sleep(0.5)
        working = decoders()
        listener.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await listener
        assert time.monotonic() - begin < 0.2
        assert await gone(working)

    async def test_cancelling_one_leaves_the_other_alone(self, long: Waveform) -> None:
        async with PLUGIN.open(PocketSphinxOptions(parallel=2), HOST) as transcriber:
            cancelled = asyncio.create_task(hear(transcriber, long))
            other = asyncio.create_task(hear(transcriber, RECORDINGS["en-05"].waveform()))
            await asyncio.sleep(0.3)
            cancelled.cancel()
            _, segments = await other
            assert segments

    async def test_says_so_while_no_process_can_be_started(
        self, transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        works = process._PROGRAM
        monkeypatch.setattr(process, "_PROGRAM", tmp_path / "absent.py")
        killed = decoders()
        killed[0].kill()
        assert await gone(killed)
        await asyncio.sleep(0.05)
        for _ in range(2):
            with pytest.raises(EngineUnavailable):
                await hear(transcriber, RECORDINGS["en-02"].waveform())
        monkeypatch.setattr(process, "_PROGRAM", works)
        _, segments = await hear(transcriber, RECORDINGS["en-02"].waveform())
        assert segments

    async def test_does_not_start_without_its_engine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(process, "_PROGRAM", tmp_path / "absent.py")
        with pytest.raises(StartError, match="pip install"):
            async with PLUGIN.open(PocketSphinxOptions(parallel=2), HOST):
                pass
        assert decoders() == []

    async def test_closing_leaves_no_process(self, long: Waveform) -> None:
        async with PLUGIN.open(PocketSphinxOptions(parallel=2), HOST) as transcriber:
            processes = decoders()
            assert len(processes) == 2
            listener = asyncio.create_task(hear(transcriber, long))
            await asyncio.sleep(0.3)
        assert await gone(processes)
        with pytest.raises(EngineFailed):
            await listener
        assert decoders() == []

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    async def test_its_processes_end_with_their_parent(self, number: signal.Signals) -> None:
        program = (
            "import asyncio, pathlib\n"
            "from adapters.pocketsphinx import PLUGIN, PocketSphinxOptions\n"
            "from domain.ports.plugin import Host\n"
            "async def main():\n"
            "    async with PLUGIN.open(PocketSphinxOptions(), Host(models_dir=pathlib.Path('/'))):\n"
            "        print('ready', flush=True)\n"
            "        await asyncio.sleep(60)\n"
            "asyncio.run(main())\n"
        )
        parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
        assert parent.stdout is not None
        assert await parent.stdout.readline() == b"ready\n"
        children = psutil.Process(parent.pid).children()
        assert len(children) == 1
        parent.send_signal(number)
        await asyncio.wait_for(parent.wait(), 5)
        assert await gone(children)

    def test_refuses_a_pool_of_none(self) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            PocketSphinxOptions(parallel=0)
