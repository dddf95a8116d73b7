"""Port: text to speech."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol, runtime_checkable

import msgspec

from domain.audio import Waveform
from domain.speech import SpeakOptions, Voice


class SynthesizerCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an opened synthesizer is and can do, as data."""

    engine: str
    """Name of the engine, as configured."""
    device: str
    """Where it runs: ``cpu`` or ``cuda``."""
    languages: tuple[str, ...]
    """ISO 639-1 codes that it speaks."""
    pitch: bool
    """Whether ``SpeakOptions.pitch`` other than 1.0 is possible."""
    parallel: int
    """Texts that are spoken at once without waiting on each other, at least 1."""


@runtime_checkable
class Synthesizer(Protocol):
    """Turns text into sound.

    One instance is shared by all requests of a process: every method may be called while others run.
    """

    @property
    def capabilities(self) -> SynthesizerCapabilities:
        """What it is and can do; constant while it is open."""
        ...

    def voices(self) -> tuple[Voice, ...]:
        """All voices, a language's default before its others; at least one for each of its languages."""
        ...

    def synthesize(self, text: str, options: SpeakOptions) -> AsyncGenerator[Waveform, None]:
        """Speak ``text``, yielding pieces of sound as soon as they exist.

        All pieces have ``options.voice.sample_rate``; in order and put together they are the whole speech. The first
        leaves when the first sentence is spoken, or sooner. No piece is empty.

        Closing the generator (``aclose``) or cancelling the task that iterates stops the work within one sentence;
        the synthesizer stays usable.

        Args:
            text: Unicode text, any length, in the voice's language.
            options: Voice (one of ``voices()``) and manner.

        Raises:
            TextInvalid: nothing in ``text`` can be spoken (empty, white space, only punctuation); before any piece.
            UnknownVoice: ``options.voice`` is not one of ``voices()``; before any piece.
            UnsupportedOption: ``pitch`` other than 1.0 where ``capabilities.pitch`` is false; before any piece.
            EngineFailed: the engine broke; at any piece.
        """
        ...
