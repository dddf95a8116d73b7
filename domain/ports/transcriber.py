"""Port: speech to text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from domain.audio import Waveform
from domain.transcript import TranscribeOptions, TranscriptEvent


class Feature(StrEnum):
    """A power that not every engine has; the values are the names of the options that need it."""

    LANGUAGE_DETECTION = "language_detection"
    TRANSLATION = "translation"
    WORD_TIMESTAMPS = "word_timestamps"
    PROMPT = "prompt"
    HOTWORDS = "hotwords"
    VAD = "vad"
    TEMPERATURE = "temperature"
    BEAM_SIZE = "beam_size"


class TranscriberCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an opened transcriber is and can do, as data."""

    engine: str
    """Name of the engine, as configured."""
    model: str
    """Name of the loaded model."""
    device: str
    """Where it runs: ``cpu`` or ``cuda``."""
    compute_type: str
    """Number format of its arithmetic, for example ``int8`` or ``float16``."""
    sample_rate: int
    """The only sample rate that ``transcribe`` takes, in hertz."""
    languages: tuple[str, ...]
    """ISO 639-1 codes that it hears, the default first."""
    features: frozenset[Feature]
    """Powers that it has."""
    parallel: int
    """Transcriptions that run at once without waiting on each other, at least 1."""


@runtime_checkable
class Transcriber(Protocol):
    """Turns sound into words.

    One instance is shared by all requests of a process: every method may be called while others run.
    """

    @property
    def capabilities(self) -> TranscriberCapabilities:
        """What it is and can do; constant while it is open."""
        ...

    def transcribe(self, audio: Waveform, options: TranscribeOptions) -> AsyncGenerator[TranscriptEvent, None]:
        """Transcribe ``audio``, yielding each segment as soon as it is decoded.

        The first event is one ``TranscriptionStarted``; then ``Segment``s, ordered by start, with times in seconds
        from the start of ``audio`` and never past its end by more than 0.5 s. Silence yields no segment; so does empty
        audio (0 samples), after its ``TranscriptionStarted`` with duration 0. Segments never have empty text. With
        ``word_timestamps`` every segment has ``words``; without, ``words`` is ``None``.

        Closing the generator (``aclose``) or cancelling the task that iterates stops the work within one decoding
        step; nothing is yielded afterwards, and the transcriber stays usable.

        Args:
            audio: Mono float32 at ``capabilities.sample_rate``.
            options: Only options whose ``Feature`` is in ``capabilities.features``, and a language in
                ``capabilities.languages`` or ``None``; the use case has checked that.

        Raises:
            UnsupportedLanguage: ``options.language`` is not in ``capabilities.languages``; at the first event.
            InvalidRequest: a value that the model cannot take, for example more hotwords than its context holds; at
                the first event.
            EngineFailed: the engine broke; at any event.
            EngineUnavailable: the engine is not there; at the first event.
        """
        ...
