from __future__ import annotations

import asyncio
import hashlib
import tempfile
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain.admission import Admission
from domain.audio import AudioFormat
from domain.errors import (
    DeadlineExceeded,
    EngineFailed,
    Overloaded,
    StorageUnavailable,
    TextInvalid,
    TextTooLong,
    UnknownVoice,
    UnsupportedLanguage,
    UnsupportedOption,
)
from domain.ports.telemetry import Stage
from domain.speech import SpeechRequest, StoredSpeech, Voice
from domain.use_cases.synthesize import Synthesize
from tests.fakes.synthesizer import FakeSynthesizer
from tests.unit.domain.doubles import NOW, Measurements, MemoryStore, PlainCodec
from tests.unit.domain.waiting import let_others_run, until

HELLO = SpeechRequest(text="Hello there.", language="en")
ANNA = Voice(id="anna", language="en", model="m1", sample_rate=16_000)
BERT = Voice(id="bert", language="en", model="m2", sample_rate=16_000)
CARLA = Voice(id="carla", language="es", model="m3", sample_rate=16_000)


class House:
    """The use case and everything around it."""

    def __init__(self, **limits: Any) -> None:
        self.log: list[str] = []
        self.engine = FakeSynthesizer(available=(ANNA, BERT, CARLA))
        self.codec = PlainCodec(log=self.log)
        self.store = MemoryStore(self.log)
        self.admission = Admission(running=1, waiting=1, patience=30.0)
        self.measured = Measurements()
        self.synthesize = self.another_process(**limits)

    def another_process(self, **limits: Any) -> Synthesize:
        """The use case as a second process on the same store has it."""
        return Synthesize(
            self.engine,
            self.codec,
            self.store,
            self.admission,
            self.measured,
            **{"prefix": "dev/", "url_expiry": 600.0, "max_characters": 100, "time_limit": 30.0} | limits,
        )

    async def key(self, request: SpeechRequest, **limits: Any) -> str:
        return (await self.another_process(**limits)(request)).key

    async def held_up(self, request: SpeechRequest = HELLO) -> asyncio.Task[StoredSpeech]:
        """A request that the engine is busy with until ``self.engine.wait_for`` is set."""
        self.engine.wait_for = asyncio.Event()
        task = asyncio.create_task(self.synthesize(request))
        await until(lambda: self.engine.running)
        return task

    def go_on(self) -> None:
        assert self.engine.wait_for is not None
        self.engine.wait_for.set()


@asynccontextmanager
async def full(admission: Admission) -> AsyncGenerator[None, None]:
    """Every place is taken, at the engine and in the queue."""

    async def wait() -> None:
        async with admission.place():
            pass

    async with admission.place():
        waiting = asyncio.create_task(wait())
        await let_others_run()
        yield
    await waiting


@pytest.fixture
def house() -> House:
    return House()


# What it answers.


async def test_the_speech_is_stored_and_a_link_to_it_answered(house: House) -> None:
    speech = await house.synthesize(HELLO)
    stored, content = house.store.objects[speech.key]
    assert content.startswith(b"wav")
    assert (speech.size, speech.content_type) == (len(content), "audio/wav")
    assert stored.content_type == "audio/wav"
    assert speech.url == f"/files/{speech.key}?signature=x"
    assert speech.expires_at == NOW + timedelta(seconds=600)
    assert house.store.urls == [(speech.key, 600.0)]


async def test_the_answer_has_the_voice_and_the_duration(house: House) -> None:
    speech = await house.synthesize(HELLO)
    assert speech.voice == "anna"
    assert speech.duration == pytest.approx(0.05 * len(HELLO.text))


async def test_the_duration_is_kept_beside_the_object(house: House) -> None:
    speech = await house.synthesize(HELLO)
    assert house.store.objects[speech.key][0].metadata == {"duration": "0.600000"}


@pytest.mark.parametrize(
    ("audio_format", "content_type"),
    [
        (AudioFormat.WAV, "audio/wav"),
        (AudioFormat.MP3, "audio/mpeg"),
        (AudioFormat.OPUS, "audio/ogg"),
        (AudioFormat.FLAC, "audio/flac"),
    ],
)
async def test_each_format_is_encoded_and_named_as_such(
    house: House, audio_format: AudioFormat, content_type: str
) -> None:
    speech = await house.synthesize(msgspec.structs.replace(HELLO, format=audio_format))
    assert speech.content_type == content_type
    assert speech.key.endswith(f".{audio_format.value}")
    assert house.store.objects[speech.key][1].startswith(audio_format.value.encode())


async def test_text_and_manner_reach_the_engine(house: House) -> None:
    await house.synthesize(msgspec.structs.replace(HELLO, voice="bert", speed=1.5, pitch=0.5))
    ((text, options),) = house.engine.calls
    assert (text, options.voice, options.speed, options.pitch) == (HELLO.text, BERT, 1.5, 0.5)


async def test_everything_is_encoded_before_anything_is_stored(house: House) -> None:
    await house.synthesize(HELLO)
    assert house.log == ["encoded", "stored"]


async def test_its_stages_are_timed(house: House) -> None:
    await house.synthesize(HELLO)
    assert [stage for _, stage in house.measured.stages] == [Stage.STORE, Stage.QUEUE, Stage.INFERENCE, Stage.STORE]


async def test_a_store_that_tries_again_reads_the_whole_speech_again(house: House) -> None:
    house.store.retries = 2
    speech = await house.synthesize(HELLO)
    assert len(house.store.objects[speech.key][1]) == speech.size > len("wav")


# The key.


async def test_equal_requests_have_equal_keys_in_every_process(house: House) -> None:
    assert await house.key(HELLO) == await House().key(HELLO)


async def test_the_key_of_a_request_never_changes(house: House) -> None:
    shape = '["fake","m1","anna","Hello there.",1.0,1.0,"wav"]'
    digest = hashlib.sha256(shape.encode()).hexdigest()
    assert await house.key(HELLO) == f"dev/speech/{digest[:2]}/{digest}.wav"


@pytest.mark.parametrize(
    "change",
    [{"text": "Hello there!"}, {"voice": "bert"}, {"speed": 1.1}, {"pitch": 1.1}, {"format": AudioFormat.FLAC}],
    ids=str,
)
async def test_whatever_shapes_the_sound_changes_the_key(house: House, change: dict[str, Any]) -> None:
    keys = {await house.key(HELLO), await house.key(msgspec.structs.replace(HELLO, **change))}
    # The ending is part of the key, but the digest alone must differ too.
    assert len({key.rpartition("/")[2].partition(".")[0] for key in keys}) == 2


async def test_another_model_behind_the_same_voice_changes_the_key(house: House) -> None:
    before = await house.key(HELLO)
    house.engine.available = (msgspec.structs.replace(ANNA, model="m1-retrained"),)
    assert await house.key(HELLO) != before


async def test_another_engine_changes_the_key(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await house.key(HELLO)
    other = msgspec.structs.replace(house.engine.capabilities, engine="other")
    monkeypatch.setattr(FakeSynthesizer, "capabilities", other)
    assert await house.key(HELLO) != before


async def test_the_default_voice_and_the_same_voice_by_name_meet(house: House) -> None:
    assert await house.key(HELLO) == await house.key(msgspec.structs.replace(HELLO, voice="anna"))


async def test_the_key_stands_under_the_prefix(house: House) -> None:
    with_prefix, without = await house.key(HELLO, prefix="prod/"), await house.key(HELLO, prefix="")
    assert with_prefix == f"prod/{without}"
    assert without.startswith("speech/")


# Spoken once.


async def test_the_same_request_is_spoken_once_and_then_answered_from_the_store(house: House) -> None:
    first, second = await house.synthesize(HELLO), await house.synthesize(HELLO)
    assert (first.cached, second.cached) == (False, True)
    assert second == msgspec.structs.replace(first, cached=True)
    assert len(house.engine.calls) == 1
    assert house.measured.spoken_seconds == [(first.duration, False), (first.duration, True)]


async def test_another_process_answers_it_from_the_store_too(house: House) -> None:
    await house.synthesize(HELLO)
    assert (await house.another_process()(HELLO)).cached
    assert len(house.engine.calls) == 1


async def test_what_is_in_the_store_needs_no_place_at_the_engine(house: House) -> None:
    await house.synthesize(HELLO)
    async with full(house.admission):
        assert (await house.synthesize(HELLO)).cached


async def test_the_same_request_at_the_same_moment_is_spoken_once(house: House) -> None:
    answers = await asyncio.gather(*(house.synthesize(HELLO) for _ in range(5)))
    assert len(house.engine.calls) == len(house.store.puts) == 1
    assert sorted(answer.cached for answer in answers) == [False, True, True, True, True]
    assert len({answer.key for answer in answers}) == 1


async def test_a_store_that_answers_late_does_not_have_it_spoken_twice(house: House) -> None:
    late = asyncio.Event()
    house.store.late_answers = [asyncio.Event(), late]
    house.store.late_answers[0].set()
    first = asyncio.create_task(house.synthesize(HELLO))
    second = asyncio.create_task(house.synthesize(HELLO))
    await first
    late.set()  # only now a look at the store from before the first was stored could answer
    assert (await second).cached
    assert len(house.engine.calls) == 1


async def test_different_requests_at_the_same_moment_are_each_spoken(house: House) -> None:
    await asyncio.gather(house.synthesize(HELLO), house.synthesize(msgspec.structs.replace(HELLO, text="Bye.")))
    assert len(house.engine.calls) == 2


async def test_a_caller_who_leaves_leaves_the_speech_to_the_one_who_joined(house: House) -> None:
    first = await house.held_up()
    second = asyncio.create_task(house.synthesize(HELLO))
    await let_others_run()
    first.cancel()
    await asyncio.wait({first})
    assert house.engine.running == 1
    house.go_on()
    assert (await second).cached
    assert len(house.engine.calls) == 1


async def test_a_caller_who_joined_and_leaves_does_not_disturb_the_first(house: House) -> None:
    first = await house.held_up()
    second = asyncio.create_task(house.synthesize(HELLO))
    await let_others_run()
    second.cancel()
    await asyncio.wait({second})
    house.go_on()
    assert not (await first).cached


async def test_when_every_caller_has_left_the_work_stops_and_nothing_is_stored(house: House) -> None:
    callers = [await house.held_up(), asyncio.create_task(house.synthesize(HELLO))]
    await let_others_run()
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    assert (house.engine.running, house.admission.taken) == (0, 0)
    assert house.store.objects == {}


# Voices.


async def test_without_a_voice_the_languages_first_speaks(house: House) -> None:
    assert (await house.synthesize(HELLO)).voice == "anna"
    assert (await house.synthesize(SpeechRequest(text="Hola.", language="es"))).voice == "carla"


async def test_a_voice_is_chosen_by_its_id(house: House) -> None:
    assert (await house.synthesize(msgspec.structs.replace(HELLO, voice="bert"))).voice == "bert"


async def test_an_unknown_voice_is_refused_with_those_of_the_language(house: House) -> None:
    with pytest.raises(UnknownVoice, match=r"'zoe' in language 'en'; known: anna, bert$"):
        await house.synthesize(msgspec.structs.replace(HELLO, voice="zoe"))


async def test_a_voice_of_another_language_is_unknown(house: House) -> None:
    with pytest.raises(UnknownVoice):
        await house.synthesize(msgspec.structs.replace(HELLO, voice="carla"))


async def test_an_unknown_language_is_refused_with_the_known_ones(house: House) -> None:
    with pytest.raises(UnsupportedLanguage, match=r"'de'.*en, es"):
        await house.synthesize(msgspec.structs.replace(HELLO, language="de"))


async def test_pitch_needs_an_engine_that_can(house: House) -> None:
    house.engine.pitch = False
    with pytest.raises(UnsupportedOption, match=r"'pitch'.*fake"):
        await house.synthesize(msgspec.structs.replace(HELLO, pitch=1.2))
    assert (await house.synthesize(HELLO)).voice == "anna"


# Texts.


@pytest.mark.parametrize("text", ["", " \n\t", "...", "¿?!¡", "— «…»", "\x00\x01", "🙂🙂"])
async def test_a_text_with_nothing_to_say_is_refused_before_anyone_is_asked(house: House, text: str) -> None:
    with pytest.raises(TextInvalid):
        await house.synthesize(msgspec.structs.replace(HELLO, text=text))
    assert house.engine.calls == house.store.stats == []


@pytest.mark.parametrize("text", ["7", "ñ", "?7", "你好", "Ω"])
async def test_one_letter_or_digit_of_any_script_is_enough(house: House, text: str) -> None:
    assert (await house.synthesize(msgspec.structs.replace(HELLO, text=text))).size > 0


async def test_a_text_of_the_greatest_length_is_spoken_and_one_more_is_too_long(house: House) -> None:
    assert await house.synthesize(msgspec.structs.replace(HELLO, text="a" * 100))
    with pytest.raises(TextTooLong, match="101 characters; at most 100"):
        await house.synthesize(msgspec.structs.replace(HELLO, text="a" * 101))


async def test_accents_are_composed_before_the_text_is_measured_keyed_and_spoken(house: House) -> None:
    composed = "ñandú " * 16
    apart = unicodedata.normalize("NFD", composed)
    assert len(apart) > 100 > len(composed)
    requests = [msgspec.structs.replace(HELLO, text=text) for text in (composed, apart)]
    first, second = [await house.synthesize(request) for request in requests]
    assert first.key == second.key
    assert house.engine.calls[0][0] == composed.strip()


async def test_white_space_around_the_text_does_not_matter(house: House) -> None:
    assert await house.key(msgspec.structs.replace(HELLO, text="  Hello there.\n")) == await house.key(HELLO)


# What goes wrong.


async def test_an_engine_that_fails_half_way_leaves_nothing_behind(house: House) -> None:
    house.engine.fail_after = 1
    with pytest.raises(EngineFailed):
        await house.synthesize(msgspec.structs.replace(HELLO, text="One. Two. Three."))
    assert house.engine.pieces == 1
    assert (house.store.puts, house.admission.taken, house.engine.running) == ([], 0, 0)
    assert house.measured.spoken_seconds == []


async def test_after_an_engine_failed_the_same_request_is_spoken_anew(house: House) -> None:
    house.engine.fail_after = 0
    with pytest.raises(EngineFailed):
        await house.synthesize(HELLO)
    house.engine.fail_after = None
    assert not (await house.synthesize(HELLO)).cached


async def test_an_engine_that_fails_fails_everyone_who_joined(house: House) -> None:
    house.engine.fail_after = 1
    ends = await asyncio.gather(*(house.synthesize(HELLO) for _ in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [EngineFailed] * 3


async def test_a_store_that_is_down_is_said_before_the_engine_is_troubled(house: House) -> None:
    house.store.stat_error = StorageUnavailable("the store does not answer")
    with pytest.raises(StorageUnavailable):
        await house.synthesize(HELLO)
    assert house.engine.calls == []


async def test_a_store_that_goes_down_before_the_put_frees_everything(house: House) -> None:
    house.store.put_error = StorageUnavailable("the store does not answer")
    with pytest.raises(StorageUnavailable):
        await house.synthesize(HELLO)
    assert (house.admission.taken, house.engine.running) == (0, 0)
    house.store.put_error = None
    assert not (await house.synthesize(HELLO)).cached


async def test_speaking_past_the_time_limit_is_stopped() -> None:
    house = House(time_limit=0.02)
    house.engine.wait_for = asyncio.Event()
    with pytest.raises(DeadlineExceeded):
        await house.synthesize(HELLO)
    assert (house.engine.running, house.admission.taken, house.store.objects) == (0, 0, {})


async def test_storing_past_the_time_limit_is_stopped() -> None:
    house = House(time_limit=0.05)
    house.store.put_waits_for = asyncio.Event()
    with pytest.raises(DeadlineExceeded):
        await house.synthesize(HELLO)
    assert (house.admission.taken, house.store.objects) == (0, {})


async def test_without_a_place_it_is_an_overload(house: House) -> None:
    async with full(house.admission):
        with pytest.raises(Overloaded):
            await house.synthesize(HELLO)
    assert house.engine.calls == []


async def test_cancellation_while_it_is_stored_stores_nothing_and_frees_the_place(house: House) -> None:
    house.store.put_waits_for = asyncio.Event()
    task = asyncio.create_task(house.synthesize(HELLO))
    await until(lambda: house.store.puts)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (house.store.objects, house.admission.taken) == ({}, 0)


class TestTheTemporaryFile:
    """Encoded speech lies in one until it is stored."""

    @pytest.fixture
    def files(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        made: list[Any] = []
        original = tempfile.SpooledTemporaryFile

        def make(*args: Any, **kwargs: Any) -> Any:
            made.append(original(*args, **kwargs))
            return made[-1]

        monkeypatch.setattr("domain.use_cases.synthesize.tempfile.SpooledTemporaryFile", make)
        return made

    async def test_is_closed_when_the_speech_is_stored(self, house: House, files: list[Any]) -> None:
        await house.synthesize(HELLO)
        assert [file.closed for file in files] == [True]

    async def test_is_closed_when_the_engine_fails(self, house: House, files: list[Any]) -> None:
        house.engine.fail_after = 1
        with pytest.raises(EngineFailed):
            await house.synthesize(HELLO)
        assert [file.closed for file in files] == [True]

    async def test_is_closed_when_the_store_fails(self, house: House, files: list[Any]) -> None:
        house.store.put_error = StorageUnavailable("down")
        with pytest.raises(StorageUnavailable):
            await house.synthesize(HELLO)
        assert [file.closed for file in files] == [True]

    async def test_is_closed_when_the_caller_leaves(self, house: House, files: list[Any]) -> None:
        task = await house.held_up()
        task.cancel()
        await asyncio.wait({task})
        assert [file.closed for file in files] == [True]

    async def test_of_long_speech_is_on_disk_and_stored_whole(
        self, house: House, files: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("domain.use_cases.synthesize._IN_MEMORY", 1000)
        speech = await house.synthesize(msgspec.structs.replace(HELLO, text="a" * 100))
        assert [file._rolled for file in files] == [True]
        assert len(house.store.objects[speech.key][1]) == len("wav") + 5 * 16_000 * 4


# What others left behind.


async def test_an_engine_that_speaks_nothing_has_failed(house: House) -> None:
    house.engine.script = ()
    with pytest.raises(EngineFailed):
        await house.synthesize(HELLO)
    assert house.admission.taken == 0


async def test_an_object_that_is_no_speech_of_ours_is_spoken_over(house: House) -> None:
    async def strange() -> AsyncGenerator[bytes, None]:
        yield b"?"

    first = await house.synthesize(HELLO)
    await house.store.put(first.key, strange, "text/plain", {})
    again = await house.synthesize(HELLO)
    assert (again.cached, again.duration, again.size) == (False, first.duration, first.size)
