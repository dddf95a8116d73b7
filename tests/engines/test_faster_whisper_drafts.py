"""Drafts of live streams: a short window instead of 30 s, the whole one where that fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters.faster_whisper import PLUGIN, FasterWhisperOptions
from adapters.faster_whisper.transcriber import FasterWhisper
from domain.ports.plugin import Host
from domain.transcript import TranscribeOptions
from tests.engines.recordings import RECORDINGS, WHISPER_MINI, hear, spoken, text_of

HOST = Host(models_dir=WHISPER_MINI.parent, device="cpu")
DRAFT = TranscribeOptions(draft=True, language="en", temperature=0.0, beam_size=1, word_timestamps=True)
WHOLE = TranscribeOptions(language="en", temperature=0.0, beam_size=1, word_timestamps=True)
NAMES = ["en-00", "en-01", "en-02", "en-03", "en-04"]


async def heard(
    monkeypatch: pytest.MonkeyPatch, options: TranscribeOptions, *, repetitive: bool = False, **settings: Any
) -> tuple[list[str], list[int]]:
    """The texts of some recordings, and how many frames of each was encoded at most."""
    frames: list[int] = []
    async with PLUGIN.open(FasterWhisperOptions(model="whisper-mini", **settings), HOST) as transcriber:
        assert isinstance(transcriber, FasterWhisper)
        model = transcriber._model.model

        class Counting:
            def __getattr__(self, name: str) -> Any:
                return getattr(model, name)

            def encode(self, features: Any, **how: Any) -> Any:
                frames.append(features.shape[-1])
                return model.encode(features, **how)

        monkeypatch.setattr(transcriber._model, "model", Counting())
        if repetitive:
            monkeypatch.setattr("adapters.faster_whisper.transcriber._REPETITIVE", 0.0)
        texts = [text_of((await hear(transcriber, RECORDINGS[name].waveform(), options))[1]) for name in NAMES]
    return texts, frames


async def test_a_draft_is_encoded_as_far_as_it_has_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, frames = await heard(monkeypatch, DRAFT)
    longest = max(RECORDINGS[name].waveform().duration for name in NAMES)
    assert max(frames) <= 100 * (longest + 2.6)
    right = [spoken(text) == spoken(RECORDINGS[name].text) for name, text in zip(NAMES, texts, strict=True)]
    assert sum(right) >= len(NAMES) - 1


async def test_what_is_no_draft_is_encoded_in_whole_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    _, frames = await heard(monkeypatch, WHOLE)
    assert set(frames) == {3000}


async def test_drafts_may_have_whole_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, frames = await heard(monkeypatch, DRAFT, short_drafts=False)
    assert set(frames) == {3000}
    assert texts == (await heard(monkeypatch, WHOLE))[0]


async def test_a_draft_that_repeats_itself_is_heard_again_in_a_whole_window(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, frames = await heard(monkeypatch, DRAFT, repetitive=True)
    assert 3000 in frames
    assert texts == (await heard(monkeypatch, WHOLE))[0]


async def test_a_draft_takes_the_longest_prompt_and_hotwords() -> None:
    async with PLUGIN.open(FasterWhisperOptions(model="whisper-mini"), HOST) as transcriber:
        options = TranscribeOptions(draft=True, language="en", prompt="The office. " * 500, hotwords="garage " * 80)
        await hear(transcriber, RECORDINGS["en-00"].waveform(), options)


async def test_a_draft_of_hardly_any_sound() -> None:
    async with PLUGIN.open(FasterWhisperOptions(model="whisper-mini"), HOST) as transcriber:
        sound = RECORDINGS["en-00"].waveform()
        for samples in (sound.samples[:1], sound.samples[:160], np.zeros(3200, np.float32)):
            _, segments = await hear(transcriber, type(sound)(samples=samples, sample_rate=16000), DRAFT)
            assert text_of(segments) == "" or len(segments) <= 1
