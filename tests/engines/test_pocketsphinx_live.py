"""What holds for PocketSphinx as an engine that streams, beside the contract: its processes, and live streams on it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio
from faster_whisper.audio import decode_audio

from adapters.pocketsphinx import PLUGIN, PocketSphinxOptions
from adapters.silero import PLUGIN as SILERO
from domain.audio import Samples, Waveform
from domain.errors import EngineFailed
from domain.live.events import Final, Finished, LiveEvent, Partial
from domain.live.options import LiveLimits, LiveOptions
from domain.live.session import LiveSession
from domain.live.turns import Turns
from domain.ports.plugin import Host, NoOptions
from domain.ports.streaming_transcriber import StreamedUtterance, StreamingTranscriber
from domain.transcript import TranscribeOptions
from tests.engines.recordings import SAMPLE_RATE, hear, spoken, text_of, word_error_rate
from tests.unit.domain.doubles import Measurements

HOST = Host(models_dir=Path(os.devnull))
SAMPLES = Path(__file__).parents[2] / "samples"
LIBRARY = "the library is open from nine in the morning until six in the evening"
LIMITS = LiveLimits(max_duration=600.0, lag_threshold=1e9, max_behind=1e9, max_utterance=20.0)


def sample(name: str) -> Samples:
    return np.asarray(decode_audio(str(SAMPLES / name)), np.float32)


def waveform(samples: Samples) -> Waveform:
    return Waveform(samples=samples, sample_rate=SAMPLE_RATE)


def decoders() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if any("worker.py" in part for part in child.cmdline())]


@pytest_asyncio.fixture
async def transcriber() -> AsyncIterator[StreamingTranscriber]:
    async with PLUGIN.open(PocketSphinxOptions(), HOST) as opened:
        assert isinstance(opened, StreamingTranscriber)
        yield opened


async def feed(utterance: StreamedUtterance, samples: Samples) -> list[list[str]]:
    heard = [await utterance.hear(waveform(samples[n : n + 6400])) for n in range(0, len(samples), 6400)]
    return [list(words) for words in heard if words is not None]


class TestUtterances:
    async def test_hears_about_what_it_hears_in_a_whole_recording(self, transcriber: StreamingTranscriber) -> None:
        for name in ("library.ogg", "train.mp3", "letter.flac", "privacy.wav", "meeting.mp3"):
            _, whole = await hear(transcriber, waveform(sample(name)))
            async with transcriber.utterance(TranscribeOptions()) as utterance:
                await feed(utterance, sample(name))
                streamed = list(await utterance.finish())
            assert word_error_rate([text_of(whole)], [text_of(streamed)]) <= 0.1

    async def test_each_piece_is_heard_faster_than_it_is_said(self, transcriber: StreamingTranscriber) -> None:
        samples = sample("meeting.mp3")
        begin = time.monotonic()
        async with transcriber.utterance(TranscribeOptions()) as utterance:
            assert len(await feed(utterance, samples)) > 15
            await utterance.finish()
        assert time.monotonic() - begin < len(samples) / SAMPLE_RATE

    async def test_words_have_no_fillers_or_variants(self, transcriber: StreamingTranscriber) -> None:
        samples = np.concatenate([np.zeros(8000, np.float32), sample("library.ogg"), np.zeros(16000, np.float32)])
        async with transcriber.utterance(TranscribeOptions()) as utterance:
            hypotheses = await feed(utterance, samples)
            segments = list(await utterance.finish())
        assert text_of(segments) == LIBRARY
        assert all(word.replace("'", "").isalpha() for words in hypotheses for word in words)

    async def test_a_process_that_dies_while_it_hears_fails_that_utterance_and_no_later_one(
        self, transcriber: StreamingTranscriber
    ) -> None:
        async with transcriber.utterance(TranscribeOptions()) as utterance:
            await feed(utterance, sample("library.ogg")[:32000])
            hearing = asyncio.ensure_future(utterance.hear(waveform(np.tile(sample("meeting.mp3"), 3))))
            await asyncio.sleep(0.2)
            decoders()[0].kill()
            with pytest.raises(EngineFailed):
                await asyncio.wait_for(hearing, 5)
        async with transcriber.utterance(TranscribeOptions()) as utterance:
            await feed(utterance, sample("library.ogg"))
            assert text_of(list(await utterance.finish())) == LIBRARY

    async def test_one_that_dies_between_two_pieces_is_not_missed_at_the_end(
        self, transcriber: StreamingTranscriber
    ) -> None:
        samples = sample("library.ogg")
        async with transcriber.utterance(TranscribeOptions()) as utterance:
            await feed(utterance, samples[:32000])
            decoders()[0].kill()
            await asyncio.sleep(0.2)
            assert await feed(utterance, samples[32000:]) == []
            assert text_of(list(await utterance.finish())) == LIBRARY

    async def test_a_recording_takes_the_process_between_two_pieces(self, transcriber: StreamingTranscriber) -> None:
        samples = sample("library.ogg")
        async with transcriber.utterance(TranscribeOptions()) as utterance:
            assert await feed(utterance, samples[:32000])
            assert text_of((await hear(transcriber, waveform(sample("library.ogg"))))[1]) == LIBRARY
            assert await feed(utterance, samples[32000:]) == []  # heard in whole when it is over
            assert text_of(list(await utterance.finish())) == LIBRARY

    async def test_one_that_found_no_process_at_first_takes_one_when_it_is_free(
        self, transcriber: StreamingTranscriber
    ) -> None:
        samples = sample("meeting.mp3")
        async with transcriber.utterance(TranscribeOptions()) as second:
            async with transcriber.utterance(TranscribeOptions()) as first:
                await feed(first, samples[:48000])
                assert await feed(second, samples[:48000]) == []
            assert len(await feed(second, samples[48000:96000])) == 8
            assert len(text_of(list(await second.finish())).split()) >= 12


@asynccontextmanager
async def _streams(parallel: int) -> AsyncGenerator[list[LiveSession], None]:
    async with (
        PLUGIN.open(PocketSphinxOptions(parallel=parallel), HOST) as transcriber,
        SILERO.open(NoOptions(), HOST) as detector,
    ):
        turns = Turns(parallel)
        yield [LiveSession(transcriber, detector, turns, LiveOptions(), LIMITS, Measurements()) for _ in range(3)]


async def _spoken(*names: str, pace: float = 4.0) -> AsyncGenerator[Waveform, None]:
    pause = np.zeros(SAMPLE_RATE, np.float32)
    samples = np.concatenate([part for name in names for part in (sample(name), pause)])
    for begin in range(0, len(samples), 1600):
        yield waveform(samples[begin : begin + 1600])
        await asyncio.sleep(0.1 / pace)


def never_retracted(events: list[LiveEvent]) -> bool:
    texts: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, Partial | Final):
            texts.setdefault(event.utterance, []).append(event.text)
    return all(after.startswith(before) for said in texts.values() for before, after in pairwise(said))


class TestLiveStreams:
    async def test_words_come_while_somebody_speaks_and_the_finals_are_right(self) -> None:
        async with _streams(1) as (session, *_):
            events = [event async for event in session.events(_spoken("library.ogg", "train.mp3", pace=1.0))]
        assert any(isinstance(event, Partial) and event.text for event in events)
        assert never_retracted(events)
        (finished,) = [event for event in events if isinstance(event, Finished)]
        said = [LIBRARY, "the train to boston leaves at seven in the evening"]
        assert word_error_rate(said, [event.text for event in events if isinstance(event, Final)]) <= 0.1
        assert spoken(finished.transcript.text).startswith("the library is")
        for segment in finished.transcript.segments:
            assert segment.words is not None
            assert len(segment.words) == len(segment.text.split())

    @pytest.mark.parametrize("parallel", [1, 2])
    async def test_streams_that_share_its_processes_are_all_heard(self, parallel: int) -> None:
        async def listen(session: LiveSession) -> list[LiveEvent]:
            return [event async for event in session.events(_spoken("library.ogg", "letter.flac"))]

        async with _streams(parallel) as sessions, asyncio.timeout(60):
            streams = await asyncio.gather(*map(listen, sessions))
        for events in streams:
            finals = [event.text for event in events if isinstance(event, Final)]
            assert word_error_rate([LIBRARY, "could you please read this letter to me"], finals) <= 0.15
            assert never_retracted(events)

    async def test_a_stream_that_is_left_in_the_middle_leaves_the_engine_to_others(self) -> None:
        async with _streams(1) as (left, other, _), asyncio.timeout(60):
            events = left.events(_spoken("meeting.mp3"))
            async for event in events:
                if isinstance(event, Partial):
                    break
            await events.aclose()
            finals = [e.text async for e in other.events(_spoken("library.ogg")) if isinstance(e, Final)]
        assert word_error_rate([LIBRARY], finals) <= 0.1
