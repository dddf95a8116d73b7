from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest

from domain.admission import Admission
from domain.errors import (
    AudioInvalid,
    AudioTooLong,
    DeadlineExceeded,
    EngineFailed,
    EngineUnavailable,
    Overloaded,
    ParlanteError,
    UnsupportedLanguage,
    UnsupportedOption,
)
from domain.ports.telemetry import Stage
from domain.ports.transcriber import Feature
from domain.transcript import Segment, Task, TranscribeOptions, TranscriptionStarted
from domain.use_cases.transcribe import Transcribe
from tests.unit.domain.doubles import GOOD, MORNING, STARTED, Measurements, PlainCodec, ScriptedTranscriber
from tests.unit.domain.waiting import let_others_run, until

PLAIN = TranscribeOptions()
NEEDS = {
    Feature.TRANSLATION: TranscribeOptions(task=Task.TRANSLATE),
    Feature.WORD_TIMESTAMPS: TranscribeOptions(word_timestamps=True),
    Feature.PROMPT: TranscribeOptions(prompt="Dear Sir"),
    Feature.HOTWORDS: TranscribeOptions(hotwords="Parlante"),
    Feature.VAD: TranscribeOptions(vad=True),
    Feature.TEMPERATURE: TranscribeOptions(temperature=0.0),
    Feature.BEAM_SIZE: TranscribeOptions(beam_size=1),
}


@pytest.fixture
def engine() -> ScriptedTranscriber:
    return ScriptedTranscriber()


@pytest.fixture
def codec() -> PlainCodec:
    return PlainCodec()


@pytest.fixture
def admission() -> Admission:
    return Admission(running=1, waiting=1, patience=30.0)


@pytest.fixture
def measured() -> Measurements:
    return Measurements()


@pytest.fixture
def transcribe(
    engine: ScriptedTranscriber, codec: PlainCodec, admission: Admission, measured: Measurements
) -> Transcribe:
    return Transcribe(engine, codec, admission, measured, max_duration=60.0, time_limit=30.0)


def recording() -> io.BytesIO:
    return io.BytesIO(b"sound")


async def test_a_transcript_has_the_texts_joined_and_the_segments(transcribe: Transcribe) -> None:
    transcript = await transcribe(recording(), PLAIN)
    assert transcript.text == "good morning"
    assert transcript.segments == (GOOD, MORNING)


async def test_a_transcript_has_what_the_engine_said_of_the_recording(transcribe: Transcribe) -> None:
    transcript = await transcribe(recording(), PLAIN)
    assert (transcript.language, transcript.language_probability, transcript.duration) == ("en", 0.75, 2.0)
    assert transcript.model == "script"


async def test_silence_is_an_empty_transcript(transcribe: Transcribe, engine: ScriptedTranscriber) -> None:
    engine.script = (STARTED,)
    transcript = await transcribe(recording(), PLAIN)
    assert (transcript.text, transcript.segments) == ("", ())


async def test_the_options_reach_the_engine_unchanged(transcribe: Transcribe, engine: ScriptedTranscriber) -> None:
    options = TranscribeOptions(
        language="es",
        task=Task.TRANSLATE,
        word_timestamps=True,
        prompt="p",
        hotwords="h",
        vad=False,
        temperature=0.5,
        beam_size=3,
    )
    await transcribe(recording(), options)
    assert engine.calls[0][1] == options


async def test_the_recording_is_decoded_at_the_engines_rate_and_under_the_limit(
    transcribe: Transcribe, engine: ScriptedTranscriber, codec: PlainCodec
) -> None:
    await transcribe(recording(), PLAIN)
    assert codec.decoded == [(b"sound", 16_000, 60.0)]
    assert engine.calls[0][0].sample_rate == 16_000
    assert np.array_equal(engine.calls[0][0].samples, np.zeros(32_000, np.float32))


async def test_the_recording_stays_open(transcribe: Transcribe) -> None:
    source = recording()
    await transcribe(source, PLAIN)
    assert not source.closed


async def test_its_stages_are_timed_and_its_seconds_counted(transcribe: Transcribe, measured: Measurements) -> None:
    await transcribe(recording(), PLAIN)
    assert measured.stages == [("transcribe", stage) for stage in (Stage.QUEUE, Stage.DECODE, Stage.INFERENCE)]
    assert measured.heard_seconds == [2.0]


async def test_a_failed_transcription_counts_no_seconds(
    transcribe: Transcribe, engine: ScriptedTranscriber, measured: Measurements
) -> None:
    engine.script = (STARTED, EngineFailed("broken"))
    with pytest.raises(EngineFailed):
        await transcribe(recording(), PLAIN)
    assert measured.heard_seconds == []
    assert ("transcribe", Stage.INFERENCE) in measured.stages


# What the engine cannot do.


@pytest.mark.parametrize("feature", NEEDS)
def test_an_option_needs_its_feature(transcribe: Transcribe, engine: ScriptedTranscriber, feature: Feature) -> None:
    engine.features = frozenset(Feature) - {feature}
    with pytest.raises(UnsupportedOption, match=f"'{feature.value}'.*scripted"):
        transcribe.check(NEEDS[feature])


@pytest.mark.parametrize("feature", NEEDS)
def test_an_option_needs_no_other_feature(
    transcribe: Transcribe, engine: ScriptedTranscriber, feature: Feature
) -> None:
    engine.features = frozenset({feature})
    assert transcribe.check(NEEDS[feature]) is None


def test_every_feature_but_detection_is_asked_for_by_some_option() -> None:
    assert set(NEEDS) == set(Feature) - {Feature.LANGUAGE_DETECTION}


@pytest.mark.parametrize("options", [PLAIN, TranscribeOptions(vad=False), TranscribeOptions(language="es")])
def test_what_needs_no_feature_is_taken_by_an_engine_without_any(
    transcribe: Transcribe, engine: ScriptedTranscriber, options: TranscribeOptions
) -> None:
    engine.features = frozenset()
    assert transcribe.check(options) is None


def test_an_unknown_language_is_refused_with_the_known_ones(transcribe: Transcribe) -> None:
    with pytest.raises(UnsupportedLanguage, match=r"'de'.*en, es"):
        transcribe.check(TranscribeOptions(language="de"))


@pytest.mark.parametrize(
    ("options", "error"),
    [(TranscribeOptions(language="de"), UnsupportedLanguage), (TranscribeOptions(beam_size=2), UnsupportedOption)],
)
async def test_what_the_engine_cannot_do_is_refused_before_anything_is_decoded_or_queued(
    transcribe: Transcribe,
    engine: ScriptedTranscriber,
    codec: PlainCodec,
    measured: Measurements,
    options: TranscribeOptions,
    error: type[ParlanteError],
) -> None:
    engine.features = frozenset()
    with pytest.raises(error):
        await transcribe(recording(), options)
    assert codec.decoded == []
    assert measured.stages == []


# What goes wrong.


@pytest.mark.parametrize("error", [AudioInvalid("not audio"), AudioTooLong("too long")])
async def test_an_error_of_decoding_comes_out_and_the_engine_is_not_asked(
    transcribe: Transcribe, engine: ScriptedTranscriber, codec: PlainCodec, admission: Admission, error: ParlanteError
) -> None:
    codec.error = error
    with pytest.raises(type(error)):
        await transcribe(recording(), PLAIN)
    assert engine.calls == []
    assert admission.taken == 0


@pytest.mark.parametrize(
    "script", [(EngineUnavailable("restarting"),), (STARTED, GOOD, EngineFailed("broken"))], ids=["at once", "half-way"]
)
async def test_an_engine_that_fails_gives_its_error_and_the_place_is_free(
    transcribe: Transcribe, engine: ScriptedTranscriber, admission: Admission, script: tuple[object, ...]
) -> None:
    engine.script = script  # type: ignore[assignment]
    with pytest.raises((EngineUnavailable, EngineFailed)):
        await transcribe(recording(), PLAIN)
    assert (admission.taken, engine.running) == (0, 0)


async def test_after_an_engine_failed_the_next_recording_is_transcribed(
    transcribe: Transcribe, engine: ScriptedTranscriber
) -> None:
    engine.script = (STARTED, EngineFailed("broken"))
    with pytest.raises(EngineFailed):
        await transcribe(recording(), PLAIN)
    engine.script = (STARTED, GOOD)
    assert (await transcribe(recording(), PLAIN)).text == "good"


@pytest.mark.parametrize("script", [(), (GOOD, STARTED)], ids=["nothing", "words first"])
async def test_an_engine_that_does_not_say_that_it_started_has_failed(
    transcribe: Transcribe, engine: ScriptedTranscriber, script: tuple[TranscriptionStarted | Segment, ...]
) -> None:
    engine.script = script
    with pytest.raises(EngineFailed):
        await transcribe(recording(), PLAIN)
    assert engine.running == 0


@pytest.mark.parametrize("slow", ["codec", "engine"])
async def test_work_past_the_time_limit_is_stopped_and_its_place_free(
    engine: ScriptedTranscriber, codec: PlainCodec, admission: Admission, measured: Measurements, slow: str
) -> None:
    never = asyncio.Event()
    if slow == "codec":
        codec.wait_for = never
    else:
        engine.wait_for = never
    transcribe = Transcribe(engine, codec, admission, measured, max_duration=60.0, time_limit=0.02)
    with pytest.raises(DeadlineExceeded):
        await transcribe(recording(), PLAIN)
    assert (admission.taken, engine.running) == (0, 0)


async def test_the_time_limit_does_not_count_the_wait_for_a_place(
    engine: ScriptedTranscriber, codec: PlainCodec, admission: Admission, measured: Measurements
) -> None:
    transcribe = Transcribe(engine, codec, admission, measured, max_duration=60.0, time_limit=0.05)
    async with admission.place():
        waiting = asyncio.create_task(transcribe(recording(), PLAIN))
        await asyncio.sleep(0.1)
        assert codec.decoded == []
    assert (await waiting).text == "good morning"


async def test_no_place_is_an_overload_before_anything_is_decoded(
    transcribe: Transcribe, codec: PlainCodec, admission: Admission
) -> None:
    async with admission.place():
        waiting = asyncio.create_task(transcribe(recording(), PLAIN))
        await let_others_run()
        with pytest.raises(Overloaded):
            await transcribe(recording(), PLAIN)
        assert codec.decoded == []
    await waiting


async def test_cancellation_closes_the_engines_stream_and_frees_the_place(
    transcribe: Transcribe, engine: ScriptedTranscriber, admission: Admission
) -> None:
    engine.wait_for = asyncio.Event()
    task = asyncio.create_task(transcribe(recording(), PLAIN))
    await until(lambda: engine.running)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (engine.running, admission.taken) == (0, 0)


async def test_cancellation_in_the_queue_frees_the_place(transcribe: Transcribe, admission: Admission) -> None:
    async with admission.place():
        task = asyncio.create_task(transcribe(recording(), PLAIN))
        await let_others_run()
        assert admission.taken == 2
        task.cancel()
        await asyncio.wait({task})
        assert admission.taken == 1
