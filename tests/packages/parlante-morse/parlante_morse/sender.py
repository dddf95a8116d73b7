"""Text to Morse code."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import numpy as np

from domain.audio import Samples, Waveform
from domain.errors import TextInvalid, UnknownVoice, UnsupportedOption
from domain.ports.plugin import Host, Plugin
from domain.ports.synthesizer import Synthesizer, SynthesizerCapabilities
from domain.speech import SpeakOptions, Voice
from parlante_morse.code import LETTERS

_RATE = 16000
_VOICE = Voice(id="key", language="en", model="morse", sample_rate=_RATE, description="A telegraph key")


class SenderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the sender."""

    unit: float = 0.05
    """Length of a dot, in seconds."""
    tone: float = 600.0
    """Frequency of the tone, in hertz."""


class MorseSender:
    """Beeps."""

    def __init__(self, options: SenderOptions) -> None:
        self._options = options

    @property
    def capabilities(self) -> SynthesizerCapabilities:
        return SynthesizerCapabilities(engine="morse", device="cpu", languages=("en",), pitch=False, parallel=8)

    def voices(self) -> tuple[Voice, ...]:
        return (_VOICE,)

    async def synthesize(self, text: str, options: SpeakOptions) -> AsyncGenerator[Waveform, None]:
        if options.voice != _VOICE:
            raise UnknownVoice("the only voice is 'key'")
        if options.pitch != 1.0:
            raise UnsupportedOption("pitch", "morse")
        words = ["".join(c for c in word if c in LETTERS) for word in text.upper().split()]
        if not any(words):
            raise TextInvalid("there is no letter or digit in the text")
        unit = self._options.unit / options.speed
        for word in filter(None, words):
            letters = (self._letter(LETTERS[letter], unit) for letter in word)
            samples = np.concatenate([*letters, self._silence(4 * unit)])
            yield Waveform(samples=samples, sample_rate=_RATE)

    def _letter(self, code: str, unit: float) -> Samples:
        parts = [part for sign in code for part in (self._beep(unit if sign == "." else 3 * unit), self._silence(unit))]
        return np.concatenate([*parts, self._silence(2 * unit)])

    def _beep(self, seconds: float) -> Samples:
        time = np.arange(round(seconds * _RATE)) / _RATE
        return (0.5 * np.sin(2 * np.pi * self._options.tone * time)).astype(np.float32)

    @staticmethod
    def _silence(seconds: float) -> Samples:
        return np.zeros(round(seconds * _RATE), np.float32)


@asynccontextmanager
async def _open(options: SenderOptions, host: Host) -> AsyncGenerator[Synthesizer, None]:
    yield MorseSender(options)


PLUGIN: Plugin[Synthesizer] = Plugin(options=SenderOptions, open=_open)
