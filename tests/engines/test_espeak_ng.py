"""espeak-ng: what is heard of it, and what its C library must not do to a service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

import msgspec
import pytest

from adapters.espeak_ng import PLUGIN, EspeakNgOptions
from domain.audio import Waveform
from domain.errors import ConfigurationInvalid
from domain.ports.plugin import Host
from domain.ports.synthesizer import Synthesizer
from domain.speech import SpeakOptions
from tests.engines.listening import SENTENCES, fundamental, hear, joined, word_error_rate

FOX = "The quick brown fox jumps over the lazy dog."


def opened(tmp_path: Path, **options: object) -> AbstractAsyncContextManager[Synthesizer]:
    return PLUGIN.open(msgspec.convert(options, EspeakNgOptions), Host(models_dir=tmp_path))


@pytest.fixture
async def espeak(tmp_path: Path) -> AsyncIterator[Synthesizer]:
    async with opened(tmp_path) as synthesizer:
        yield synthesizer


def options(synthesizer: Synthesizer, voice: str = "en-us", **manner: float) -> SpeakOptions:
    return SpeakOptions(voice=next(v for v in synthesizer.voices() if v.id == voice), **manner)


async def speak(synthesizer: Synthesizer, text: str, voice: str = "en-us", **manner: float) -> list[Waveform]:
    return [piece async for piece in synthesizer.synthesize(text, options(synthesizer, voice, **manner))]


async def seconds(synthesizer: Synthesizer, text: str, **manner: float) -> float:
    return sum(piece.duration for piece in await speak(synthesizer, text, **manner))


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "language"), [("en-us", "en"), ("es", "es"), ("es-419", "es")])
async def test_whisper_reads_back_what_it_spoke(espeak: Synthesizer, voice: str, language: str) -> None:
    said = list(SENTENCES[language])
    heard = [hear(await speak(espeak, sentence, voice)) for sentence in said]
    assert word_error_rate(said, [text for text, _ in heard]) <= 0.05
    assert [detected for _, detected in heard] == [language] * len(said)


async def test_offers_english_and_spanish_with_their_defaults_first(espeak: Synthesizer) -> None:
    voices = espeak.voices()
    assert next(v.id for v in voices if v.language == "en") == "en-us"
    assert next(v.id for v in voices if v.language == "es") == "es"
    assert len(voices) == len({(await speak(espeak, FOX, v.id))[0].samples.tobytes() for v in voices})
    assert {v.sample_rate for v in voices} == {22_050}


async def test_the_first_piece_comes_while_the_rest_is_still_spoken(espeak: Synthesizer) -> None:
    text = "hello " * 16_000
    start = time.perf_counter()
    async with aclosing(espeak.synthesize(text, options(espeak))) as pieces:
        first = await anext(pieces)
        waited = time.perf_counter() - start
    assert 0 < first.duration <= 0.25
    assert waited < 0.5


async def test_speed_one_is_175_words_a_minute_and_others_scale_with_it(espeak: Synthesizer) -> None:
    usual = await seconds(espeak, FOX)
    assert usual == pytest.approx(9 / 175 * 60, rel=0.2)
    assert await seconds(espeak, FOX, speed=2.0) == pytest.approx(usual / 2, rel=0.05)
    assert await seconds(espeak, FOX, speed=0.5) == pytest.approx(usual * 2, rel=0.05)


async def test_a_speed_past_what_espeak_knows_is_its_nearest(espeak: Synthesizer) -> None:
    # espeak carries a little state from text to text, so that durations differ by some milliseconds.
    assert await seconds(espeak, FOX, speed=9.0) == pytest.approx(await seconds(espeak, FOX, speed=450 / 175), abs=0.04)
    assert await seconds(espeak, FOX, speed=0.01) == pytest.approx(await seconds(espeak, FOX, speed=80 / 175), abs=0.04)


@pytest.mark.parametrize("pitch", [0.8, 1.2, 1.6])
async def test_pitch_multiplies_the_fundamental(espeak: Synthesizer, pitch: float) -> None:
    text = "Mary may knew all our names."
    usual = fundamental(joined(await speak(espeak, text)), 22_050)
    changed = fundamental(joined(await speak(espeak, text, pitch=pitch)), 22_050)
    assert 80 < usual < 160
    assert changed / usual == pytest.approx(pitch, rel=0.05)


async def test_double_brackets_do_not_switch_to_phonemes(espeak: Synthesizer) -> None:
    # As phonemes, "[[h@l'oU]]" would be the word "hello".
    assert await seconds(espeak, "[[h@l'oU]]") > 2.5 * await seconds(espeak, "hello")
    assert await seconds(espeak, "[[ unclosed") > 0.5


async def test_markup_is_text(espeak: Synthesizer) -> None:
    plain = await seconds(espeak, "hello world")
    marked = await seconds(espeak, "<speak>hello <break time='30s'/> world</speak>")
    assert plain < marked < 15


async def test_control_characters_are_spaces_and_no_commands(espeak: Synthesizer) -> None:
    # SOH introduces commands of espeak's own, which 80S, a slow speed, would be; NUL would end the text.
    for control in ("\x01", "\x00", "\x1b"):
        assert await seconds(espeak, f"one {control}80S two three four") == pytest.approx(
            await seconds(espeak, "one  80S two three four"), abs=0.04
        )


async def test_a_hostile_text_is_left_at_once(espeak: Synthesizer) -> None:
    for hostile in ("hello " * 16_667, "a" * 100_000, "9" * 100_000, "[[<" * 33_333 + "a", "a, " * 33_333):
        async with aclosing(espeak.synthesize(hostile, options(espeak))) as pieces:
            await anext(pieces)
            start = time.perf_counter()
        assert sum(p.duration for p in await speak(espeak, "hello")) == pytest.approx(0.45, abs=0.1)
        assert time.perf_counter() - start < 1.0


async def test_a_listener_that_does_not_listen_holds_up_nobody(espeak: Synthesizer) -> None:
    async with aclosing(espeak.synthesize(FOX * 10, options(espeak))) as slow:
        await anext(slow)
        assert await asyncio.wait_for(seconds(espeak, FOX), timeout=3) > 1


async def test_texts_at_once_are_spoken_as_they_are_alone(tmp_path: Path) -> None:
    wanted = [(FOX, "en-us"), ("Enciende la luz de la cocina.", "es"), (FOX, "en-us+f3"), ("Hola.", "es-419")] * 3
    async with opened(tmp_path) as first, opened(tmp_path) as second:
        alone = [len(joined(await speak(first, *one))) for one in wanted]
        assert len({round(samples, -3) for samples in alone[:4]}) == 4
        both = [asyncio.gather(*(speak(engine, *one) for one in wanted)) for engine in (first, second)]
        for together in await asyncio.gather(*both):
            assert [len(joined(pieces)) for pieces in together] == pytest.approx(alone, abs=900)


async def test_opens_again_after_it_was_closed(tmp_path: Path) -> None:
    for _ in range(3):
        async with opened(tmp_path) as synthesizer:
            assert await seconds(synthesizer, FOX) == pytest.approx(2.61, abs=0.05)


@pytest.mark.parametrize("voice", ["atlantean", "en-us+nobody", "", "en-us+"])
async def test_a_voice_that_espeak_lacks_stops_the_start(tmp_path: Path, voice: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"espeak-ng has no voice"):
        async with opened(tmp_path, voices={"es": "es", voice: "en"}):
            pass


async def test_other_languages_are_a_matter_of_configuration(tmp_path: Path) -> None:
    async with opened(tmp_path, voices={"fr": "fr", "it": "it"}) as synthesizer:
        assert synthesizer.capabilities.languages == ("fr", "it")
        assert await speak(synthesizer, "Bonjour.", "fr")


async def test_says_no_text_to_the_terminal_or_the_log(
    espeak: Synthesizer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    await speak(espeak, "Zanzibar \N{GRINNING FACE} [[Zanzibar]] <Zanzibar>")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert "Zanzibar" not in caplog.text
