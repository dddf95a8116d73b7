"""What a live session tells."""

from __future__ import annotations

import msgspec

from domain.transcript import Transcript, Word


class SpeechStarted(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody began to speak."""

    time: float
    """Seconds from the start of the stream."""


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """The words of an utterance so far."""

    utterance: int
    """Number of the utterance, from 0."""
    start: float
    """Seconds from the start of the stream at which the utterance began."""
    text: str
    """What stands: every later text of this utterance begins with it."""
    unstable: str
    """What comes after it as heard now; it may change."""


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """An utterance that is over."""

    utterance: int
    """Number of the utterance, from 0."""
    start: float
    """Seconds from the start of the stream."""
    end: float
    """Seconds from the start of the stream."""
    text: str
    """What was said; begins with the text of every ``Partial`` of this utterance."""
    language: str
    """ISO 639-1 code of the speech."""
    words: tuple[Word, ...]
    """The words with their times in the stream; empty where the engine gives none."""


class SpeechStopped(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody speaks any more."""

    time: float
    """Seconds from the start of the stream at which speech ended."""


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """The service is behind."""

    seconds: float
    """Sound that has arrived and has not been heard yet."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The stream is over: the whole of it."""

    transcript: Transcript
    """Everything that was said."""


LiveEvent = SpeechStarted | Partial | Final | SpeechStopped | Lag | Finished
