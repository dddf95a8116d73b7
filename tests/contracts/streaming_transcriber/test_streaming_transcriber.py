"""What holds for every transcriber that streams by itself: the contract of ``domain.ports.streaming_transcriber``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from itertools import pairwise

import numpy as np
import pytest

from domain.audio import Samples, Waveform
from domain.errors import UnsupportedLanguage
from domain.ports.streaming_transcriber import StreamedUtterance, StreamingTranscriber
from domain.transcript import Segment, TranscribeOptions
from tests.engines.recordings import RECORDINGS, SAMPLE_RATE, hear, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCE = RECORDINGS["en-02"].waveform().samples  # by a voice that all engines understand
LONG = RECORDINGS["en-40s"].waveform().samples[: 8 * SAMPLE_RATE]
WORDS = TranscribeOptions(word_timestamps=True)


def waveform(samples: Samples) -> Waveform:
    return Waveform(samples=samples, sample_rate=SAMPLE_RATE)


async def feed(utterance: StreamedUtterance, samples: Samples, seconds: float = 0.4) -> AsyncIterator[list[str]]:
    """Give it the samples in pieces of ``seconds``; what it answers that is new."""
    size = round(seconds * SAMPLE_RATE)
    for begin in range(0, len(samples), size):
        words = await utterance.hear(waveform(samples[begin : begin + size]))
        if words is not None:
            yield list(words)


async def heard(
    transcriber: StreamingTranscriber,
    samples: Samples,
    options: TranscribeOptions = WORDS,
    seconds: float = 0.4,
) -> tuple[list[list[str]], Sequence[Segment]]:
    async with transcriber.utterance(options) as utterance:
        hypotheses = [words async for words in feed(utterance, samples, seconds)]
        return hypotheses, await utterance.finish()


def words_in(segments: Sequence[Segment]) -> list[str]:
    return text_of(list(segments)).split()


async def test_says_that_it_streams(transcriber: StreamingTranscriber) -> None:
    assert isinstance(transcriber, StreamingTranscriber)


async def test_words_come_while_sound_comes_and_grow(transcriber: StreamingTranscriber) -> None:
    hypotheses, segments = await heard(transcriber, SENTENCE)
    assert len(hypotheses) >= 2
    assert len(hypotheses[0]) < len(hypotheses[-1]) <= len(words_in(segments)) + 1


async def test_the_end_has_words_in_order_inside_the_sound(transcriber: StreamingTranscriber) -> None:
    _, segments = await heard(transcriber, LONG)
    assert segments
    for segment in segments:
        assert segment.text == segment.text.strip() != ""
        assert segment.words is not None
        assert [word.word for word in segment.words] == segment.text.split()
        assert all(0.0 <= word.start <= word.end <= 8.5 for word in segment.words)
        assert all(0.0 <= word.probability <= 1.0 for word in segment.words)
    assert all(before.end <= after.start for before, after in pairwise(segments))


async def test_words_have_times_only_where_they_were_asked_for(transcriber: StreamingTranscriber) -> None:
    _, segments = await heard(transcriber, SENTENCE, TranscribeOptions())
    assert segments
    assert all(segment.words is None for segment in segments)


async def test_what_it_says_at_the_end_is_about_what_it_said_last(transcriber: StreamingTranscriber) -> None:
    hypotheses, segments = await heard(transcriber, SENTENCE)
    last, said = hypotheses[-1], words_in(segments)
    assert sum(a == b for a, b in zip(last, said, strict=False)) >= 0.7 * len(said)


@pytest.mark.parametrize("seconds", [0.01, 0.25, 5.0])
async def test_pieces_may_have_any_length(transcriber: StreamingTranscriber, seconds: float) -> None:
    _, expected = await heard(transcriber, SENTENCE)
    _, segments = await heard(transcriber, SENTENCE, seconds=seconds)
    assert words_in(segments) == words_in(expected)


async def test_a_piece_of_no_samples_says_nothing_new(transcriber: StreamingTranscriber) -> None:
    async with transcriber.utterance(WORDS) as utterance:
        assert await utterance.hear(waveform(SENTENCE[:0])) is None
        async for _ in feed(utterance, SENTENCE):
            pass
        assert await utterance.hear(waveform(SENTENCE[:0])) is None
        assert await utterance.finish()


@pytest.mark.parametrize("seconds", [0.0, 0.005, 3.0])
async def test_silence_says_nothing(transcriber: StreamingTranscriber, seconds: float) -> None:
    silence = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    hypotheses, segments = await heard(transcriber, silence)
    assert not any(hypotheses)
    assert segments == []


async def test_an_utterance_may_end_before_it_is_long_enough_for_words(transcriber: StreamingTranscriber) -> None:
    _, segments = await heard(transcriber, SENTENCE[: SAMPLE_RATE // 10])
    assert len(segments) <= 1


async def test_what_was_heard_before_changes_nothing(transcriber: StreamingTranscriber) -> None:
    before = await heard(transcriber, SENTENCE)
    await heard(transcriber, LONG)
    assert await heard(transcriber, SENTENCE) == before


async def test_any_number_may_be_open_and_each_hears_its_own_sound(transcriber: StreamingTranscriber) -> None:
    expected = words_in((await heard(transcriber, SENTENCE))[1])
    async with AsyncExitStack() as stack:
        utterances = [await stack.enter_async_context(transcriber.utterance(WORDS)) for _ in range(4)]
        for begin in range(0, len(SENTENCE), 6400):
            for utterance in utterances:
                await utterance.hear(waveform(SENTENCE[begin : begin + 6400]))
        for utterance in utterances:
            said = words_in(await utterance.finish())
            assert sum(a == b for a, b in zip(said, expected, strict=False)) >= 0.7 * len(expected)


async def test_one_that_says_nothing_more_holds_up_nobody(transcriber: StreamingTranscriber) -> None:
    async with transcriber.utterance(WORDS) as stalled:
        async for _ in feed(stalled, SENTENCE):
            pass
        _, segments = await asyncio.wait_for(hear(transcriber, waveform(SENTENCE)), 20)
        assert segments
        assert (await asyncio.wait_for(heard(transcriber, SENTENCE), 20))[1]
        assert await stalled.hear(waveform(SENTENCE[:0])) is None
        assert words_in(await asyncio.wait_for(stalled.finish(), 20))


async def test_one_that_is_left_before_its_end_leaves_the_engine_usable(transcriber: StreamingTranscriber) -> None:
    before = await heard(transcriber, SENTENCE)
    for seconds in (0.0, 0.5, 2.0):
        async with transcriber.utterance(WORDS) as utterance:
            async for _ in feed(utterance, LONG[: round(seconds * SAMPLE_RATE)]):
                pass
    assert await heard(transcriber, SENTENCE) == before


async def test_one_that_is_cancelled_while_it_hears_ends_at_once(transcriber: StreamingTranscriber) -> None:
    before = await heard(transcriber, SENTENCE)
    listening = asyncio.create_task(heard(transcriber, LONG, seconds=8.0))
    await asyncio.sleep(0.2)
    begin = time.monotonic()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert time.monotonic() - begin < 0.5
    async with asyncio.timeout(20):
        while (await heard(transcriber, SENTENCE))[0] != before[0]:  # until there is an engine with nothing to do
            pass


async def test_transcriptions_and_utterances_share_the_engine(transcriber: StreamingTranscriber) -> None:
    transcribing = asyncio.create_task(hear(transcriber, waveform(LONG)))
    await asyncio.sleep(0.05)
    _, segments = await asyncio.wait_for(heard(transcriber, SENTENCE), 30)
    assert segments
    assert (await transcribing)[1]


async def test_refuses_a_language_that_it_does_not_hear(transcriber: StreamingTranscriber) -> None:
    with pytest.raises(UnsupportedLanguage):
        async with transcriber.utterance(TranscribeOptions(language="xx")):
            pass


async def test_hearing_never_waits_for_others(transcriber: StreamingTranscriber) -> None:
    async with aclosing(transcriber.transcribe(waveform(LONG), TranscribeOptions())) as events:
        await anext(events)
        rest = asyncio.create_task(anext(events))
        await asyncio.sleep(0.05)
        async with transcriber.utterance(WORDS) as utterance:
            begin = time.monotonic()
            async for _ in feed(utterance, SENTENCE):
                pass
            assert rest.done() or time.monotonic() - begin < 0.2
        rest.cancel()
        await asyncio.gather(rest, return_exceptions=True)
