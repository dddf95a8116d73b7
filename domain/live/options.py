"""How to listen to a stream."""

from __future__ import annotations

import msgspec

from domain.transcript import Task


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may ask for."""

    language: str | None = None
    """ISO 639-1 code of the speech; ``None`` detects it."""
    task: Task = Task.TRANSCRIBE
    """Write the words down as said, or translated to English."""
    prompt: str | None = None
    """Text that came before the stream."""
    hotwords: str | None = None
    """Words that are likely, separated by spaces."""
    endpointing_silence: float = 0.6
    """Seconds of silence that end an utterance."""
    partial_interval: float = 0.4
    """Seconds between two partials at the least; more when the engine is busy."""
    partials: bool = True
    """Whether words are wanted while an utterance is open."""
    word_timestamps: bool = True
    """Whether finals give the time of each word, where the engine can."""


class LiveLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the service bounds."""

    max_duration: float
    """Longest stream, in seconds of sound."""
    lag_threshold: float
    """Seconds behind from which the client is told."""
    max_behind: float
    """Seconds of sound that may wait to be heard before the client is made to wait."""
    max_utterance: float
    """Longest utterance, in seconds; a longer one is cut where speech is least likely."""
