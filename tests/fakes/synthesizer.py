"""A synthesizer that needs no engine: speaks scripted pieces, remembers what it was asked, fails or waits when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.audio import Waveform
from domain.errors import EngineFailed, UnknownVoice, UnsupportedOption
from domain.ports.synthesizer import SynthesizerCapabilities
from domain.speech import SpeakOptions, Voice
from domain.text import require_speakable, sentences

VOICES = (
    Voice(id="fake-en", language="en", model="fake", sample_rate=22_050),
    Voice(id="fake-es", language="es", model="fake", sample_rate=22_050),
)


@dataclass
class FakeSynthesizer:
    """Speaks a hum as long as each sentence, or the pieces of ``script``."""

    available: tuple[Voice, ...] = VOICES
    """Its voices."""
    pitch: bool = True
    """Whether it can change the pitch."""
    parallel: int = 2
    """What its capabilities say."""
    script: Sequence[Waveform] | None = None
    """The pieces to speak, whatever the text; ``None``: a hum of 0.05 s a character for each sentence."""
    fail_after: int | None = None
    """Pieces after which it raises ``error``."""
    error: Exception | None = None
    """What it raises then; ``None`` is an ``EngineFailed``."""
    wait_for: asyncio.Event | None = None
    """What it waits for before its second piece (or its end)."""
    calls: list[tuple[str, SpeakOptions]] = field(default_factory=list)
    """What it was asked to speak, in order."""
    pieces: int = 0
    """Pieces that it has spoken in all."""
    running: int = 0
    """Texts that it speaks now."""

    @property
    def capabilities(self) -> SynthesizerCapabilities:
        return SynthesizerCapabilities(
            engine="fake",
            device="cpu",
            languages=tuple(dict.fromkeys(voice.language for voice in self.available)),
            pitch=self.pitch,
            parallel=self.parallel,
        )

    def voices(self) -> tuple[Voice, ...]:
        return self.available

    async def synthesize(self, text: str, options: SpeakOptions) -> AsyncGenerator[Waveform, None]:
        self.calls.append((text, options))
        if options.voice not in self.available:
            raise UnknownVoice(f"there is no voice {options.voice.id!r}")
        if options.pitch != 1.0 and not self.pitch:
            raise UnsupportedOption("pitch", "fake")
        require_speakable(text)
        self.running += 1
        try:
            script = [_hum(s, options) for s in sentences(text)] if self.script is None else self.script
            for i, piece in enumerate(script):
                if i == self.fail_after:
                    break
                if i == 1:
                    await self._wait()
                await asyncio.sleep(0)
                self.pieces += 1
                yield piece
            if len(script) < 2:
                await self._wait()
            if self.fail_after is not None:
                raise self.error or EngineFailed("the fake engine broke, as it was told")
        finally:
            self.running -= 1

    async def _wait(self) -> None:
        if self.wait_for is not None:
            await self.wait_for.wait()


def _hum(sentence: str, options: SpeakOptions) -> Waveform:
    rate = options.voice.sample_rate
    times = np.arange(round(0.05 * len(sentence) / options.speed * rate)) / rate
    samples = 0.3 * np.sin(2 * np.pi * 120 * options.pitch * times)
    return Waveform(samples=samples.astype(np.float32), sample_rate=rate)
