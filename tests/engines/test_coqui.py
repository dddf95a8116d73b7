"""Coqui: what is heard of it, what it costs to stop it, and what it must not tell."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from adapters.coqui import PLUGIN, CoquiOptions
from domain.audio import Waveform
from domain.errors import EngineFailed, TextInvalid
from domain.ports.plugin import Host
from domain.ports.synthesizer import Synthesizer
from domain.speech import SpeakOptions
from tests.engines.coqui_models import TRAINED, require_coqui
from tests.engines.listening import SENTENCES, hear, joined, word_error_rate

TACOTRON2 = {
    "en": {"language": "en", "model": "tacotron2-en", "vocoder": "hifigan"},
    "es": {"language": "es", "model": "tacotron2-es", "vocoder": "melgan"},
}
SEVERAL = "Turn on the light. Open the door. Close the window. " * 10


def opened(models: Path, voices: dict[str, Any], **options: Any) -> AbstractAsyncContextManager[Synthesizer]:
    given = {"voices": voices, "threads": 1, "device": "cpu", **options}
    return PLUGIN.open(msgspec.convert(given, CoquiOptions), Host(models_dir=models))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def coqui() -> AsyncIterator[Synthesizer]:
    """The two trained voices."""
    require_coqui()
    async with opened(TRAINED, {lang: {"language": lang, "model": lang} for lang in ("en", "es")}) as synthesizer:
        yield synthesizer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tacotron2(untrained: Path) -> AsyncIterator[Synthesizer]:
    """Tacotron 2 with HiFi-GAN and with MelGAN, untrained, two copies of each."""
    async with opened(untrained, TACOTRON2, parallel=2) as synthesizer:
        yield synthesizer


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sentences that engines have spoken, in order."""
    from adapters.coqui.engine import Engine  # noqa: PLC0415 - needs TTS

    sentences: list[str] = []
    speak = Engine.speak

    def recorded(self: Engine, sentence: str, *rest: Any) -> Any:
        sentences.append(sentence)
        return speak(self, sentence, *rest)

    monkeypatch.setattr(Engine, "speak", recorded)
    return sentences


def options(synthesizer: Synthesizer, voice: str, **manner: float) -> SpeakOptions:
    return SpeakOptions(voice=next(v for v in synthesizer.voices() if v.id == voice), **manner)


async def speak(synthesizer: Synthesizer, text: str, voice: str = "en", **manner: float) -> list[Waveform]:
    return [piece async for piece in synthesizer.synthesize(text, options(synthesizer, voice, **manner))]


@pytest.mark.slow
@pytest.mark.parametrize(("language", "at_most"), [("en", 0.15), ("es", 0.06)])
async def test_whisper_reads_back_what_it_spoke(coqui: Synthesizer, language: str, at_most: float) -> None:
    said = list(SENTENCES[language])
    heard = [hear(await speak(coqui, sentence, language)) for sentence in said]
    assert word_error_rate(said, [text for text, _ in heard]) <= at_most
    assert [detected for _, detected in heard] == [language] * len(said)


@pytest.mark.slow
async def test_words_survive_a_change_of_speed(coqui: Synthesizer) -> None:
    said = list(SENTENCES["es"][:4])
    for speed in (0.8, 1.25):
        heard = [hear(await speak(coqui, sentence, "es", speed=speed))[0] for sentence in said]
        assert word_error_rate(said, heard) <= 0.1


async def test_a_voice_has_the_sample_rate_of_its_model(coqui: Synthesizer, tacotron2: Synthesizer) -> None:
    assert {voice.sample_rate for voice in coqui.voices()} == {22_050}
    assert {voice.sample_rate for voice in tacotron2.voices()} == {16_000}


async def test_callers_see_the_name_of_a_model_and_not_where_it_lies(coqui: Synthesizer) -> None:
    assert [voice.model for voice in coqui.voices()] == ["en", "es"]


async def test_the_first_sentence_leaves_before_the_second_is_begun(coqui: Synthesizer, spoken: list[str]) -> None:
    async with aclosing(coqui.synthesize("Turn on the light. Open the door.", options(coqui, "en"))) as pieces:
        await anext(pieces)
        assert spoken == ["Turn on the light."]
        await anext(pieces)
        assert spoken == ["Turn on the light.", "Open the door."]


async def test_a_short_pause_parts_two_sentences(coqui: Synthesizer) -> None:
    first, second = await speak(coqui, "Turn on the light. Open the door.")
    assert np.abs(second.samples[: round(0.3 * 22_050)]).max() == 0
    assert np.abs(first.samples[: round(0.3 * 22_050)]).max() > 0.01
    alone = await speak(coqui, "Open the door.")
    assert second.duration == pytest.approx(alone[0].duration + 0.3, abs=0.02)


async def test_closing_stops_within_one_sentence(coqui: Synthesizer, spoken: list[str]) -> None:
    async with aclosing(coqui.synthesize(SEVERAL, options(coqui, "en"))) as pieces:
        await anext(pieces)
        await anext(pieces)
    await asyncio.sleep(1.0)
    assert len(spoken) == 2


async def test_cancelling_stops_within_one_sentence(coqui: Synthesizer, spoken: list[str]) -> None:
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(coqui.synthesize(SEVERAL, options(coqui, "en"))) as pieces:
            async for _ in pieces:
                begun.set()

    task = asyncio.create_task(listen())
    await begun.wait()
    await asyncio.sleep(0.05)  # into the second sentence
    task.cancel()
    start = time.perf_counter()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.perf_counter() - start < 0.2
    await asyncio.sleep(1.0)
    assert len(spoken) <= 3
    assert await speak(coqui, "Open the door.")


async def test_texts_at_once_sound_as_they_do_alone(tacotron2: Synthesizer) -> None:
    wanted = [("Turn on the light. Open it!", "en"), ("Enciende la luz.", "es"), ("Close the window.", "en")] * 2
    alone = [joined(await speak(tacotron2, *one)) for one in wanted]
    assert not np.array_equal(alone[0][: len(alone[2])], alone[2])
    together = await asyncio.gather(*(speak(tacotron2, *one) for one in wanted))
    for expected, pieces in zip(alone, together, strict=True):
        assert joined(pieces) == pytest.approx(expected, abs=1e-5)


async def test_as_many_texts_are_spoken_at_once_as_it_says(
    tacotron2: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.coqui.engine import Engine  # noqa: PLC0415 - needs TTS

    met = threading.Barrier(tacotron2.capabilities.parallel)
    used: list[int] = []

    def rendezvous(self: Engine, sentence: str, *_: object) -> Any:
        used.append(id(self))
        met.wait(timeout=5)
        return np.zeros(160, dtype=np.float32)

    monkeypatch.setattr(Engine, "speak", rendezvous)
    await asyncio.gather(speak(tacotron2, "Open the door."), speak(tacotron2, "Close the window."))
    assert len(set(used)) == 2


async def test_a_copy_of_a_model_is_never_used_by_two_threads_at_once(
    tacotron2: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.coqui.engine import Engine  # noqa: PLC0415 - needs TTS

    busy: set[int] = set()
    clashes: list[int] = []

    def watched(self: Engine, sentence: str, *_: object) -> Any:
        if id(self) in busy:
            clashes.append(id(self))
        busy.add(id(self))
        time.sleep(0.03 if "door" in sentence else 0.005)
        busy.discard(id(self))
        return np.zeros(160, dtype=np.float32)

    monkeypatch.setattr(Engine, "speak", watched)
    await asyncio.gather(*(speak(tacotron2, SEVERAL) for _ in range(4)))
    assert clashes == []


async def test_letters_that_the_model_lacks_are_passed_over(coqui: Synthesizer) -> None:
    assert await speak(coqui, "Turn on the Москва light 日本.")
    assert len(await speak(coqui, "Привет! Open the door. 你好。")) == 1


@pytest.mark.parametrize("text", ["Привет, мир!", "你好。", "12 345", "😀 1"])
async def test_a_text_without_a_letter_of_the_model_is_refused(coqui: Synthesizer, text: str) -> None:
    with pytest.raises(TextInvalid, match="no letter that the voice knows"):
        await speak(coqui, text)


async def test_accents_count_however_they_are_encoded(coqui: Synthesizer) -> None:
    composed, decomposed = "Mañana, ¿sí?", "Man\N{COMBINING TILDE}ana, ¿si\N{COMBINING ACUTE ACCENT}?"
    spoken = [(await speak(coqui, text, "es"))[0].duration for text in (composed, decomposed)]
    assert spoken[0] == spoken[1]


async def test_one_letter_is_spoken_though_its_convolutions_want_more(coqui: Synthesizer) -> None:
    assert 0.2 < sum(piece.duration for piece in await speak(coqui, "a")) < 5


async def test_decoding_that_runs_away_is_bounded_by_the_sentence(untrained: Path, tmp_path: Path) -> None:
    config = json.loads((untrained / "tacotron2-en" / "config.json").read_text())
    config["max_decoder_steps"] = 10_000  # 320 s, and this model never stops by itself
    (tmp_path / "restless").mkdir()
    (tmp_path / "restless" / "config.json").write_text(json.dumps(config))
    (tmp_path / "restless" / "model.pth").symlink_to(untrained / "tacotron2-en" / "model.pth")
    voices = {"en": {"language": "en", "model": "restless", "vocoder": str(untrained / "hifigan")}}
    async with opened(tmp_path, voices) as synthesizer:
        assert 3 < (await speak(synthesizer, "Hello."))[0].duration < 5


async def test_an_engine_that_breaks_half_way_ends_the_speech_and_no_more(
    coqui: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from TTS.utils.synthesizer import Synthesizer as CoquiSynthesizer  # noqa: PLC0415

    tts = CoquiSynthesizer.tts

    def break_on_doors(self: Any, text: str, **rest: Any) -> Any:
        if "door" in text:
            raise ValueError(text)
        return tts(self, text, **rest)

    monkeypatch.setattr(CoquiSynthesizer, "tts", break_on_doors)
    async with aclosing(coqui.synthesize("Turn on the light. Open the door.", options(coqui, "en"))) as pieces:
        assert (await anext(pieces)).duration > 0.5
        with pytest.raises(EngineFailed) as failure:
            await anext(pieces)
    assert "door" not in failure.value.message
    assert await speak(coqui, "Turn on the light.")


async def test_no_text_reaches_the_terminal_or_the_log(
    coqui: Synthesizer,
    tacotron2: Synthesizer,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    for synthesizer in (coqui, tacotron2):
        await speak(synthesizer, "Zanzibar ñandú Ωmega. Zanzibar?")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert not any("zanzibar" in record.getMessage().lower() or "Ω" in record.getMessage() for record in caplog.records)
