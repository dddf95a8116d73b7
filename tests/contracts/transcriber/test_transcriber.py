"""What holds for every transcriber: the contract of ``domain.ports.transcriber``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from domain.audio import Waveform
from domain.errors import UnsupportedLanguage
from domain.ports.transcriber import Feature, Transcriber
from domain.transcript import Segment, TranscribeOptions, TranscriptionStarted
from tests.engines.recordings import RECORDINGS, SAMPLE_RATE, hear, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCE = RECORDINGS["en-02"].waveform()  # two seconds, by a voice that all engines understand
LONG = Waveform(samples=RECORDINGS["en-40s"].waveform().samples[: 20 * SAMPLE_RATE], sample_rate=SAMPLE_RATE)


def silence(seconds: float) -> Waveform:
    return Waveform(samples=np.zeros(int(seconds * SAMPLE_RATE), np.float32), sample_rate=SAMPLE_RATE)


async def test_is_a_transcriber_with_constant_capabilities(transcriber: Transcriber) -> None:
    assert isinstance(transcriber, Transcriber)
    capabilities = transcriber.capabilities
    assert capabilities == transcriber.capabilities
    assert capabilities.device in {"cpu", "cuda"}
    assert capabilities.parallel >= 1
    assert capabilities.sample_rate == SAMPLE_RATE
    assert capabilities.languages[0] == "en"
    assert len(set(capabilities.languages)) == len(capabilities.languages)
    assert capabilities.features <= set(Feature)


async def test_tells_language_and_duration_before_it_says_a_segment(transcriber: Transcriber) -> None:
    events = [event async for event in transcriber.transcribe(SENTENCE, TranscribeOptions(language="en"))]
    assert events[0] == TranscriptionStarted(language="en", language_probability=1.0, duration=SENTENCE.duration)
    assert all(isinstance(event, Segment) for event in events[1:])
    assert len(events) >= 2


async def test_finds_a_language_of_its_own_where_none_is_given(transcriber: Transcriber) -> None:
    started, _ = await hear(transcriber, SENTENCE)
    assert started.language == "en"
    assert 0.0 < started.language_probability <= 1.0
    if len(transcriber.capabilities.languages) == 1:
        assert started.language_probability == 1.0


@pytest.mark.parametrize("word_timestamps", [False, True])
async def test_segments_are_in_order_and_inside_the_audio(transcriber: Transcriber, word_timestamps: bool) -> None:
    options = TranscribeOptions(word_timestamps=word_timestamps)
    _, segments = await hear(transcriber, LONG, options)
    assert len(segments) >= 2
    for segment in segments:
        assert segment.text == segment.text.strip() != ""
        assert 0.0 <= segment.start <= segment.end <= LONG.duration + 0.5
    assert all(before.start <= after.start for before, after in pairwise(segments))


async def test_segments_have_words_where_they_were_asked_for(transcriber: Transcriber) -> None:
    assert Feature.WORD_TIMESTAMPS in transcriber.capabilities.features
    _, segments = await hear(transcriber, LONG, TranscribeOptions(word_timestamps=True))
    for segment in segments:
        assert segment.words
        # Whisper gives "o'clock" as two words.
        assert "".join(word.word for word in segment.words) == segment.text.replace(" ", "")
        for word in segment.words:
            assert 0.0 <= word.start <= word.end <= LONG.duration + 0.5
            assert 0.0 <= word.probability <= 1.0
        assert all(before.start <= after.start for before, after in pairwise(segment.words))


async def test_segments_have_no_words_where_they_were_not_asked_for(transcriber: Transcriber) -> None:
    _, segments = await hear(transcriber, SENTENCE)
    assert [segment.words for segment in segments] == [None] * len(segments)


async def test_silence_says_nothing(transcriber: Transcriber) -> None:
    started, segments = await hear(transcriber, silence(5))
    assert started.duration == 5.0
    assert segments == []


@pytest.mark.parametrize("samples", [1, 100, 8_000])
async def test_a_moment_of_silence_says_nothing(transcriber: Transcriber, samples: int) -> None:
    started, segments = await hear(transcriber, silence(samples / SAMPLE_RATE))
    assert started.duration == samples / SAMPLE_RATE
    assert segments == []


@pytest.mark.parametrize("language", [None, "en"])
async def test_empty_audio_has_duration_zero_and_says_nothing(transcriber: Transcriber, language: str | None) -> None:
    started, segments = await hear(transcriber, silence(0), TranscribeOptions(language=language))
    assert started.duration == 0.0
    assert started.language == "en"
    assert segments == []


async def test_refuses_a_language_that_it_does_not_hear_at_the_first_event(transcriber: Transcriber) -> None:
    events = transcriber.transcribe(SENTENCE, TranscribeOptions(language="xx"))
    with pytest.raises(UnsupportedLanguage, match="'xx' is not supported"):
        await anext(events)


async def test_hears_the_same_again(transcriber: Transcriber) -> None:
    options = TranscribeOptions(language="en", word_timestamps=True)
    assert await hear(transcriber, SENTENCE, options) == await hear(transcriber, SENTENCE, options)


async def test_hears_the_same_while_others_are_heard(transcriber: Transcriber) -> None:
    alone = [text_of((await hear(transcriber, audio))[1]) for audio in (SENTENCE, LONG)]
    together = await asyncio.gather(*(hear(transcriber, audio) for audio in (SENTENCE, LONG, SENTENCE)))
    assert [text_of(segments) for _, segments in together] == [alone[0], alone[1], alone[0]]


async def test_takes_samples_that_are_mapped_from_a_file(transcriber: Transcriber, tmp_path: Path) -> None:
    SENTENCE.samples.tofile(tmp_path / "samples")
    mapped = np.memmap(tmp_path / "samples", np.float32, mode="r")
    audio = Waveform(samples=np.asarray(mapped), sample_rate=SAMPLE_RATE)
    assert await hear(transcriber, audio) == await hear(transcriber, SENTENCE)


async def test_stays_usable_when_a_stream_is_closed_before_its_end(transcriber: Transcriber) -> None:
    async with aclosing(transcriber.transcribe(LONG, TranscribeOptions(language="en"))) as events:
        assert isinstance(await anext(events), TranscriptionStarted)
        assert isinstance(await anext(events), Segment)
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    _, segments = await hear(transcriber, SENTENCE)
    assert segments


async def test_stays_usable_when_a_listener_is_cancelled(transcriber: Transcriber) -> None:
    for delay in (0.0, 0.05, 0.3):
        listener = asyncio.create_task(hear(transcriber, LONG))
        await asyncio.sleep(delay)
        listener.cancel()
        await asyncio.wait([listener], timeout=1)
        assert listener.done()
    _, segments = await hear(transcriber, SENTENCE)
    assert segments
