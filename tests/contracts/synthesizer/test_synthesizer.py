"""What holds for every synthesizer: the contract of ``domain.ports.synthesizer``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import msgspec
import numpy as np
import pytest

from domain.audio import Waveform
from domain.errors import TextInvalid, UnknownVoice, UnsupportedOption
from domain.ports.synthesizer import Synthesizer
from domain.speech import SpeakOptions, Voice

SENTENCE = {"en": "Turn on the light in the kitchen.", "es": "Enciende la luz de la cocina."}
LONG = {
    "en": "Turn on the light. Where is the hospital? The system is ready to listen!",
    "es": "Enciende la luz. ¿Dónde está el hospital? ¡El sistema está listo para escuchar!",
}


async def speak(synthesizer: Synthesizer, text: str, voice: Voice, **manner: float) -> list[Waveform]:
    return [piece async for piece in synthesizer.synthesize(text, SpeakOptions(voice=voice, **manner))]


def seconds(pieces: list[Waveform]) -> float:
    return sum(piece.duration for piece in pieces)


def test_is_a_synthesizer_with_constant_capabilities(synthesizer: Synthesizer) -> None:
    assert isinstance(synthesizer, Synthesizer)
    assert synthesizer.capabilities == synthesizer.capabilities
    assert synthesizer.capabilities.device in {"cpu", "cuda"}
    assert synthesizer.capabilities.parallel >= 1


def test_every_language_has_a_voice_and_every_voice_a_language_of_the_capabilities(synthesizer: Synthesizer) -> None:
    voices = synthesizer.voices()
    assert {voice.language for voice in voices} == set(synthesizer.capabilities.languages)
    assert {"en", "es"} <= set(synthesizer.capabilities.languages)
    assert all(len(voice.language) == 2 for voice in voices)
    assert all(voice.sample_rate >= 8_000 for voice in voices)
    assert len({voice.id for voice in voices}) == len(voices)


async def test_speaks_with_every_voice_in_its_sample_rate(synthesizer: Synthesizer) -> None:
    for voice in synthesizer.voices():
        pieces = await speak(synthesizer, SENTENCE[voice.language], voice)
        assert 0.5 < seconds(pieces) < 10
        assert np.abs(np.concatenate([piece.samples for piece in pieces])).max() > 1e-3


async def test_pieces_are_mono_float_within_full_scale_and_never_empty(synthesizer: Synthesizer) -> None:
    voice = synthesizer.voices()[0]
    for piece in await speak(synthesizer, LONG[voice.language], voice):
        assert piece.sample_rate == voice.sample_rate
        assert piece.samples.dtype == np.float32
        assert piece.samples.ndim == 1
        assert len(piece.samples) > 0
        assert np.isfinite(piece.samples).all()
        assert np.abs(piece.samples).max() <= 1.0


async def test_the_first_piece_leaves_before_the_whole_is_spoken(synthesizer: Synthesizer) -> None:
    voice = synthesizer.voices()[0]
    pieces = await speak(synthesizer, LONG[voice.language], voice)
    assert len(pieces) >= 3
    assert pieces[0].duration < seconds(pieces) / 2


async def test_pieces_outlive_the_step_that_made_them(synthesizer: Synthesizer) -> None:
    voice = synthesizer.voices()[0]
    kept = []
    async for piece in synthesizer.synthesize(LONG[voice.language], SpeakOptions(voice=voice)):
        kept.append((piece.samples, piece.samples.copy()))
    assert all(np.array_equal(samples, copy) for samples, copy in kept)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t ", "...", "¿?", "¡!", "— …", "\x00\x01", "\ud800", "\N{ZERO WIDTH SPACE}"]
)
async def test_a_text_with_nothing_to_say_is_refused_before_any_piece(synthesizer: Synthesizer, text: str) -> None:
    voice = synthesizer.voices()[0]
    with pytest.raises(TextInvalid):
        await anext(synthesizer.synthesize(text, SpeakOptions(voice=voice)))


async def test_an_unknown_voice_is_refused_before_any_piece(synthesizer: Synthesizer) -> None:
    known = synthesizer.voices()[0]
    for stranger in (
        Voice(id="nobody", language="en", model="none", sample_rate=22_050),
        msgspec.structs.replace(known, sample_rate=known.sample_rate + 1),
    ):
        with pytest.raises(UnknownVoice):
            await speak(synthesizer, SENTENCE["en"], stranger)


async def test_pitch_changes_where_the_capabilities_say_so_and_is_refused_elsewhere(synthesizer: Synthesizer) -> None:
    voice = synthesizer.voices()[0]
    if synthesizer.capabilities.pitch:
        usual = await speak(synthesizer, SENTENCE["en"], voice)
        high = await speak(synthesizer, SENTENCE["en"], voice, pitch=1.5)
        assert not np.array_equal(high[0].samples[:4000], usual[0].samples[:4000])
    else:
        with pytest.raises(UnsupportedOption):
            await speak(synthesizer, SENTENCE["en"], voice, pitch=1.5)


async def test_speed_divides_the_duration(synthesizer: Synthesizer) -> None:
    voice = synthesizer.voices()[0]
    usual, slow, fast = [
        seconds(await speak(synthesizer, SENTENCE["en"], voice, speed=speed)) for speed in (1.0, 0.5, 2.0)
    ]
    assert slow == pytest.approx(2 * usual, rel=0.15)
    assert fast == pytest.approx(usual / 2, rel=0.15)


async def test_is_usable_after_it_was_closed_half_way(synthesizer: Synthesizer) -> None:
    voice = synthesizer.voices()[0]
    whole = seconds(await speak(synthesizer, SENTENCE["en"], voice))
    for _ in range(3):
        async with aclosing(synthesizer.synthesize(LONG["en"] * 20, SpeakOptions(voice=voice))) as pieces:
            await anext(pieces)
    assert seconds(await speak(synthesizer, SENTENCE["en"], voice)) == pytest.approx(whole, rel=0.02)


async def test_is_usable_after_the_listener_was_cancelled(synthesizer: Synthesizer) -> None:
    voice = synthesizer.voices()[0]
    whole = seconds(await speak(synthesizer, SENTENCE["en"], voice))
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(synthesizer.synthesize(LONG["en"] * 100, SpeakOptions(voice=voice))) as pieces:
            async for _ in pieces:
                begun.set()

    listener = asyncio.create_task(listen())
    await begun.wait()
    listener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(listener, timeout=5)
    assert seconds(await speak(synthesizer, SENTENCE["en"], voice)) == pytest.approx(whole, rel=0.02)


async def test_texts_spoken_at_once_do_not_mix(synthesizer: Synthesizer) -> None:
    english = next(voice for voice in synthesizer.voices() if voice.language == "en")
    spanish = next(voice for voice in synthesizer.voices() if voice.language == "es")
    wanted = [(LONG["en"], english), (LONG["es"], spanish), (SENTENCE["en"], english), (SENTENCE["es"], spanish)]
    alone = [seconds(await speak(synthesizer, text, voice)) for text, voice in wanted]
    together = await asyncio.gather(*(speak(synthesizer, text, voice) for text, voice in wanted))
    assert [seconds(pieces) for pieces in together] == pytest.approx(alone, rel=0.02)


@pytest.mark.parametrize(
    "text",
    [
        "[[h@l'oU]] and [[",
        "<speak>hello <break time='60s'/></speak> & <b>bold",
        "hello\x00 world\x01 50P \x1b[31m",
        "broken \ud800 surrogate \udfff here",
        "e\N{COMBINING ACUTE ACCENT}cole \N{RIGHT-TO-LEFT OVERRIDE}olleh \N{GRINNING FACE} ok",
        "a" * 300,
        "a",
        "3.5 %s {} $HOME \\n ../../etc/passwd x",
    ],
)
async def test_a_strange_text_is_spoken_or_refused_and_nothing_else(synthesizer: Synthesizer, text: str) -> None:
    voice = synthesizer.voices()[0]
    with suppress(TextInvalid):
        assert 0 < seconds(await speak(synthesizer, text, voice)) < 60
