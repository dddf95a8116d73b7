"""Morse code to text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import groupby

import msgspec
import numpy as np

from domain.audio import Waveform
from domain.errors import UnsupportedLanguage
from domain.ports.plugin import Host, Plugin
from domain.ports.transcriber import Transcriber, TranscriberCapabilities
from domain.transcript import Segment, TranscribeOptions, TranscriptEvent, TranscriptionStarted
from parlante_morse.code import SIGNS

_RATE = 16000
_FRAME = 80


class ReceiverOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the receiver."""

    unit: float = 0.05
    """Length of a dot, in seconds."""


class MorseReceiver:
    """Measures beeps and pauses."""

    def __init__(self, options: ReceiverOptions) -> None:
        self._unit = options.unit * _RATE / _FRAME

    @property
    def capabilities(self) -> TranscriberCapabilities:
        return TranscriberCapabilities(
            engine="morse", model="itu-r-m.1677", device="cpu", compute_type="float32", sample_rate=_RATE,
            languages=("en",), features=frozenset(), parallel=8,
        )  # fmt: skip

    async def transcribe(self, audio: Waveform, options: TranscribeOptions) -> AsyncGenerator[TranscriptEvent, None]:
        if options.language not in {None, "en"}:
            raise UnsupportedLanguage(str(options.language), ["en"])
        yield TranscriptionStarted(language="en", language_probability=1.0, duration=audio.duration)
        text = self._read(audio)
        if text:
            yield Segment(start=0.0, end=audio.duration, text=text)

    def _read(self, audio: Waveform) -> str:
        frames = audio.samples[: len(audio.samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
        loud = np.abs(frames).max(axis=1) > 0.1
        text, sign = "", ""
        for on, run in groupby(loud):
            units = len(list(run)) / self._unit
            if on:
                sign += "." if units < 2 else "-"
            elif units >= 2:
                text += SIGNS.get(sign, "") + (" " if units >= 5 else "")
                sign = ""
        return (text + SIGNS.get(sign, "")).strip()


@asynccontextmanager
async def _open(options: ReceiverOptions, host: Host) -> AsyncGenerator[Transcriber, None]:
    yield MorseReceiver(options)


PLUGIN: Plugin[Transcriber] = Plugin(options=ReceiverOptions, open=_open)
