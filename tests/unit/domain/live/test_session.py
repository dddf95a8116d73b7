"""One stream, from sound to events, with an engine that reads words off the samples."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from domain.audio import Waveform
from domain.errors import AudioTooLong
from domain.live.events import Final, Finished, Partial, SpeechStarted, SpeechStopped
from domain.live.options import LiveLimits, LiveOptions
from domain.ports.telemetry import Stage
from domain.transcript import Task
from tests.unit.domain.doubles import Measurements
from tests.unit.domain.live.doubles import (
    RATE,
    LoudnessDetector,
    ReadingTranscriber,
    kinds,
    of_kind,
    pieces,
    session,
    silence,
    speech,
    told,
)

TWO = (silence(0.5), speech("one two three four"), silence(1.0), speech("five six"), silence(1.0))


async def test_where_nobody_speaks_nothing_is_said_and_the_engine_is_not_asked() -> None:
    engine = ReadingTranscriber()
    events = await told(session(engine), pieces(silence(30.0), of=1.0))
    assert kinds(events) == ["Finished"]
    assert events[-1].transcript.text == ""
    assert events[-1].transcript.duration == 30.0
    assert engine.calls == []


async def test_each_utterance_is_started_said_and_stopped_in_that_order() -> None:
    events = await told(session(ReadingTranscriber()), pieces(*TWO))
    utterance = ["SpeechStarted", "Final", "SpeechStopped"]
    assert [kind for kind in kinds(events) if kind != "Partial"] == [*utterance, *utterance, "Finished"]
    numbers = [event.utterance for event in events if isinstance(event, Partial | Final)]
    assert numbers == sorted(numbers)


async def test_finals_have_words_at_their_times_in_the_stream() -> None:
    first, second = of_kind(await told(session(ReadingTranscriber()), pieces(*TWO)), Final)
    assert (first.text, second.text) == ("one two three four", "five six")
    assert [round(word.start, 1) for word in first.words] == [0.5, 1.0, 1.5, 2.0]
    assert [round(word.start, 1) for word in second.words] == [3.5, 4.0]
    assert first.start <= 0.5 < 2.4 <= first.end <= second.start <= 3.5 < 4.4 <= second.end
    assert (first.utterance, second.utterance) == (0, 1)


async def test_the_ends_of_speech_are_those_of_the_sound() -> None:
    events = await told(session(ReadingTranscriber()), pieces(*TWO))
    assert [event.time for event in of_kind(events, SpeechStarted)] == pytest.approx([0.5, 3.5], abs=0.04)
    assert [event.time for event in of_kind(events, SpeechStopped)] == pytest.approx([2.5, 4.5], abs=0.1)


async def test_the_whole_comes_last() -> None:
    finished = (await told(session(ReadingTranscriber()), pieces(*TWO)))[-1]
    assert isinstance(finished, Finished)
    whole = finished.transcript
    assert whole.text == "one two three four five six"
    assert [segment.text for segment in whole.segments] == ["one two three four", "five six"]
    assert (whole.language, whole.language_probability, whole.model) == ("en", 0.9, "reader")
    assert whole.duration == pytest.approx(5.5)


async def test_words_come_while_somebody_speaks_and_those_that_stand_are_never_taken_back() -> None:
    words = "one two three four five six seven eight nine ten eleven twelve"
    events = await told(session(ReadingTranscriber()), pieces(speech(words), silence(1.0)))
    partials = of_kind(events, Partial)
    assert len(partials) > 10
    assert any(partial.text for partial in partials)
    assert any(partial.unstable for partial in partials)
    texts = [*(partial.text for partial in partials), of_kind(events, Final)[0].text]
    assert texts[-1] == words
    assert all(after.startswith(before) for before, after in pairwise(texts))


async def test_no_partial_comes_twice_or_after_the_final() -> None:
    events = await told(session(ReadingTranscriber()), pieces(*TWO))
    partials = of_kind(events, Partial)
    assert all(a != b for a, b in pairwise(partials))
    assert kinds(events).index("Final") > max(
        n for n, event in enumerate(events) if isinstance(event, Partial) and event.utterance == 0
    )


async def test_words_that_are_heard_no_more_are_taken_from_the_unstable_ones() -> None:
    class Forgetful(ReadingTranscriber):
        def transcribe(self, audio, options):
            forgets = options.draft and len(self.drafts) >= 3
            return super().transcribe(
                Waveform(samples=np.zeros_like(audio.samples), sample_rate=RATE) if forgets else audio, options
            )

    events = await told(session(Forgetful()), pieces(speech("one"), silence(0.4), of=0.05, pause=0.003))
    unstable = [partial.unstable for partial in of_kind(events, Partial)]
    assert "" in unstable[1:]


async def test_the_stages_of_finals_are_timed() -> None:
    measured = Measurements()
    await told(session(ReadingTranscriber(), telemetry=measured), pieces(*TWO))
    assert measured.stages == 2 * [("listen", Stage.QUEUE), ("listen", Stage.INFERENCE)]


async def test_without_partials_an_utterance_is_heard_once() -> None:
    engine = ReadingTranscriber()
    events = await told(session(engine, LiveOptions(partials=False)), pieces(*TWO))
    assert [call for call in engine.calls if call[1].draft] == []
    assert len(engine.calls) == 2
    assert events[-1].transcript.text == "one two three four five six"


async def test_partials_keep_their_interval() -> None:
    engine = ReadingTranscriber()
    await told(session(engine, LiveOptions(partial_interval=0.2)), pieces(speech("one " * 8), of=0.1, pause=0.02))
    assert 2 <= len(engine.drafts) <= 5


async def test_a_busy_engine_has_time_for_others_between_partials() -> None:
    engine = ReadingTranscriber(takes=0.1)
    begin = asyncio.get_running_loop().time()
    await told(session(engine), pieces(speech("one two three four"), of=0.1, pause=0.05))
    lasted = asyncio.get_running_loop().time() - begin
    assert len(engine.drafts) <= 0.8 * lasted / 0.1 + 1


async def test_a_final_is_decoded_with_all_that_the_engine_can_do_and_a_partial_in_haste() -> None:
    engine = ReadingTranscriber()
    await told(session(engine), pieces(*TWO))
    assert all((o.temperature, o.beam_size) == (0.0, 1) for _, o in engine.drafts)
    assert all((o.temperature, o.beam_size, o.word_timestamps) == (None, None, True) for _, o in engine.finals)


async def test_an_engine_is_asked_for_nothing_that_it_cannot_do() -> None:
    engine = ReadingTranscriber(features=frozenset(), languages=("en",))
    events = await told(session(engine), pieces(*TWO))
    for _, options in engine.calls:
        assert not options.word_timestamps
        assert (options.prompt, options.temperature, options.beam_size) == (None, None, None)
    assert all(final.words == () for final in of_kind(events, Final))
    assert events[-1].transcript.text == "one two three four five six"


async def test_it_passes_on_what_the_client_asked_for() -> None:
    engine = ReadingTranscriber()
    options = LiveOptions(language="es", task=Task.TRANSLATE, hotwords="seven", partial_interval=0.0)
    events = await told(session(engine, options), pieces(*TWO))
    assert {(o.language, o.task, o.hotwords) for _, o in engine.calls} == {("es", Task.TRANSLATE, "seven")}
    assert events[-1].transcript.language == "es"
    assert events[-1].transcript.language_probability == 1.0


async def test_a_language_that_is_surely_detected_holds_for_the_rest() -> None:
    sure, unsure = ReadingTranscriber(language_probability=0.7), ReadingTranscriber(language_probability=0.5)
    for engine, second in ((sure, "en"), (unsure, None)):
        await told(session(engine), pieces(*TWO))
        assert [options.language for _, options in engine.finals] == [None, second]


async def test_what_was_said_is_context_for_what_follows() -> None:
    engine = ReadingTranscriber()
    options = LiveOptions(prompt="Numbers:", partial_interval=0.0)
    await told(session(engine, options), pieces(*TWO))
    assert [o.prompt for _, o in engine.finals] == ["Numbers:", "Numbers: one two three four"]


async def test_the_context_stays_short_however_long_the_stream_is() -> None:
    engine = ReadingTranscriber()
    utterance = (speech("seven eleven"), silence(0.7))
    await told(session(engine, LiveOptions(partials=False)), pieces(*(40 * utterance), of=1.0, pause=0))
    prompts = [o.prompt or "" for _, o in engine.finals]
    assert max(map(len, prompts)) <= 200
    assert set(prompts[-1].split()) == {"seven", "eleven"}


async def test_an_empty_piece_ends_the_utterance_there() -> None:
    events = await told(session(ReadingTranscriber()), pieces(speech("one two"), silence(0.0), speech("three four")))
    assert [final.text for final in of_kind(events, Final)] == ["one two", "three four"]


async def test_and_does_nothing_where_nobody_speaks() -> None:
    nothing = silence(0.0)
    events = await told(session(ReadingTranscriber()), pieces(nothing, silence(1.0), nothing, nothing, *TWO, nothing))
    assert [final.text for final in of_kind(events, Final)] == ["one two three four", "five six"]


async def test_the_end_of_the_stream_ends_the_utterance() -> None:
    events = await told(session(ReadingTranscriber()), pieces(speech("one two")[:-1]))
    assert events[-1].transcript.text == "one two"
    assert kinds(events)[-3:] == ["Final", "SpeechStopped", "Finished"]


async def test_pieces_may_have_any_size() -> None:
    sound = np.concatenate(TWO)
    for of in (0.003, 0.0321, 5.5):
        events = await told(session(ReadingTranscriber()), pieces(sound, of=of, pause=0))
        assert events[-1].transcript.text == "one two three four five six"
        assert events[-1].transcript.duration == pytest.approx(len(sound) / RATE)


async def test_a_long_piece_goes_to_the_detector_a_second_at_a_time() -> None:
    detector = LoudnessDetector()
    listening = session(ReadingTranscriber())
    listening._activity = detector
    await told(listening, pieces(silence(60.0), of=60.0))
    assert detector.longest <= RATE + 512


async def test_speech_without_a_pause_is_cut_and_goes_on() -> None:
    words = " ".join(["one two three four five six seven eight"] * 4)
    limits = LiveLimits(max_duration=600.0, lag_threshold=1e9, max_behind=1e9, max_utterance=5.0)
    engine = ReadingTranscriber()
    events = await told(session(engine, limits=limits), pieces(speech(words), silence(1.0)))
    assert len(of_kind(events, SpeechStarted)) == len(of_kind(events, SpeechStopped)) == 1
    assert len(of_kind(events, Final)) >= 4
    assert max(audio.duration for audio, _ in engine.calls) <= 5.1
    heard, said = events[-1].transcript.text.split(), words.split()
    assert abs(len(heard) - len(said)) <= len(of_kind(events, Final))  # a cut may go through a word


async def test_a_long_utterance_is_not_decoded_from_its_start_each_time() -> None:
    words = " ".join(["one two three four five six seven eight nine"] * 4)
    engine = ReadingTranscriber()
    events = await told(session(engine), pieces(speech(words), silence(1.0), pause=0.005))
    assert of_kind(events, Final)[0].text == words
    assert max(audio.duration for audio, _ in engine.drafts) < 15.0
    assert any("one two three four" in (options.prompt or "") for _, options in engine.drafts)


async def test_a_stream_may_be_longer_than_an_utterance_and_no_longer_than_its_limit() -> None:
    limits = LiveLimits(max_duration=10.0, lag_threshold=1e9, max_behind=1e9, max_utterance=5.0)
    exactly = await told(session(ReadingTranscriber(), limits=limits), pieces(silence(10.0)))
    assert kinds(exactly) == ["Finished"]
    with pytest.raises(AudioTooLong, match="10 s"):
        await told(session(ReadingTranscriber(), limits=limits), pieces(silence(10.2)))


async def test_hours_of_silence_take_no_room() -> None:
    limits = LiveLimits(max_duration=1e9, lag_threshold=1e9, max_behind=1e9, max_utterance=20.0)
    listening = session(ReadingTranscriber(), limits=limits)
    events = await told(listening, pieces(*[silence(60.0)] * 60, of=10.0, pause=0))
    assert events[-1].transcript.duration == 3600.0
    assert len(listening._sound._buffer) <= 1 << 17


async def test_samples_that_are_no_numbers_are_no_speech() -> None:
    events = await told(
        session(ReadingTranscriber()), pieces(np.full(RATE, np.nan, np.float32), silence(1.0), speech("one two"))
    )
    assert events[-1].transcript.text == "one two"
