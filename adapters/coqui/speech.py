"""Speaks a text with loaded engines, sentence by sentence. Imports no ``torch``."""

from __future__ import annotations

import queue
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Final, Protocol

import numpy as np

from adapters.bridge import Bridge
from adapters.coqui.options import CoquiOptions
from adapters.coqui.tempo import stretch
from domain.audio import Samples, Waveform
from domain.errors import TextInvalid, UnknownVoice, UnsupportedOption
from domain.ports.synthesizer import SynthesizerCapabilities
from domain.speech import SpeakOptions, Voice
from domain.text import require_speakable, sentences

_PAUSE_AFTER_SENTENCE: Final = 0.3  # seconds
_PAUSE_WITHIN_SENTENCE: Final = 0.1


class SentenceEngine(Protocol):
    """What ``adapters.coqui.engine.Engine`` is here: one copy of a model, for one thread at a time."""

    def speak(self, sentence: str, language: str, speaker: str | None) -> Samples | None:
        """The sound of one sentence, or ``None`` where the model knows none of its letters; blocks."""
        ...


Pool = queue.SimpleQueue[SentenceEngine]
"""The idle copies of one model; a thread takes one for a sentence and puts it back."""


class Coqui:
    """Speaks through Coqui models; see ``domain.ports.synthesizer.Synthesizer``."""

    def __init__(
        self,
        options: CoquiOptions,
        voices: dict[str, Voice],
        pools: dict[str, Pool],
        bridge: Bridge,
        device: str,
    ) -> None:
        self._options = options
        self._voices = voices
        self._pools = pools
        self._bridge = bridge
        self._capabilities = SynthesizerCapabilities(
            engine="coqui",
            device=device,
            languages=tuple(dict.fromkeys(voice.language for voice in voices.values())),
            pitch=False,
            parallel=options.parallel,
        )

    @property
    def capabilities(self) -> SynthesizerCapabilities:
        """What it is and can do."""
        return self._capabilities

    def voices(self) -> tuple[Voice, ...]:
        """The configured voices, in the order of the configuration."""
        return tuple(self._voices.values())

    async def synthesize(self, text: str, options: SpeakOptions) -> AsyncGenerator[Waveform, None]:
        """Speak ``text`` sentence by sentence, each a piece."""
        if self._voices.get(options.voice.id) != options.voice:
            raise UnknownVoice(f"coqui has no voice {options.voice.id!r}")
        if options.pitch != 1.0:
            raise UnsupportedOption("pitch", "coqui")
        require_speakable(text)
        async with aclosing(self._bridge.iterate(lambda: self._speak(text, options))) as pieces:
            async for piece in pieces:
                yield piece

    def _speak(self, text: str, options: SpeakOptions) -> Iterator[Waveform]:
        voice = self._options.voices[options.voice.id]
        pool = self._pools[options.voice.id]
        rate = options.voice.sample_rate
        speed = min(max(options.speed, 0.5), 2.0)
        pause = 0.0
        said = False
        for sentence in sentences(text):
            engine = pool.get()
            try:
                samples = engine.speak(sentence, voice.language, voice.speaker)
            finally:
                pool.put(engine)
            if samples is None or not len(samples):
                continue
            quiet = np.zeros(round(pause / speed * rate), dtype=np.float32)
            yield Waveform(samples=np.concatenate([quiet, stretch(samples, rate, speed)]), sample_rate=rate)
            said = True
            ended = sentence.rstrip("\"'»”’)]").endswith((".", "!", "?", "…", "。", "！", "？"))
            pause = _PAUSE_AFTER_SENTENCE if ended else _PAUSE_WITHIN_SENTENCE
        if not said:
            raise TextInvalid("the text has no letter that the voice knows")
