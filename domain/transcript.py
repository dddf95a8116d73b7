"""What was said: options for a transcription, the events of one being made, and the whole."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Task(StrEnum):
    """What to write down."""

    TRANSCRIBE = "transcribe"
    """The words that were said, in their own language."""
    TRANSLATE = "translate"
    """The words that were said, in English."""


class TranscribeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to transcribe. ``None`` leaves the choice to the engine."""

    language: str | None = None
    """ISO 639-1 code of the speech, such as ``en``; ``None`` detects it."""
    task: Task = Task.TRANSCRIBE
    """Write the words down as said, or translated to English."""
    word_timestamps: bool = False
    """Give the start, end and probability of every word."""
    prompt: str | None = None
    """Text that came before the audio: sets context, spelling and style."""
    hotwords: str | None = None
    """Words that are likely in the audio, separated by spaces."""
    vad: bool | None = None
    """Leave out parts without speech before decoding."""
    temperature: float | None = None
    """One sampling temperature, 0.0 to 1.0, instead of the engine's fallback ladder."""
    beam_size: int | None = None
    """Beams of the search, at least 1."""
    draft: bool = False
    """The same sound, and more, is heard again in a moment: an engine may trade some accuracy for speed."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One word and when it was said."""

    start: float
    """Seconds from the start of the audio."""
    end: float
    """Seconds from the start of the audio; never before ``start``."""
    word: str
    """The word, without surrounding white space."""
    probability: float
    """The engine's confidence, 0.0 to 1.0."""


class Segment(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="segment"):
    """A stretch of speech that the engine decoded as one piece."""

    start: float
    """Seconds from the start of the audio."""
    end: float
    """Seconds from the start of the audio; never before ``start``."""
    text: str
    """What was said, without surrounding white space."""
    words: tuple[Word, ...] | None = None
    """The words with their times, where they were asked for."""


class TranscriptionStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="started"):
    """First event of a transcription: what is known before any words are."""

    language: str
    """ISO 639-1 code of the speech, given or detected."""
    language_probability: float
    """Confidence of the detection, 0.0 to 1.0; 1.0 where the language was given or is the only one."""
    duration: float
    """Length of the audio in seconds."""


TranscriptEvent = TranscriptionStarted | Segment
"""What a transcriber yields: one ``TranscriptionStarted``, then segments in order of their start."""


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of what was said in one recording."""

    text: str
    """The segments' texts, joined by spaces; empty where nothing was said."""
    language: str
    """ISO 639-1 code of the speech."""
    language_probability: float
    """Confidence of the language detection, 0.0 to 1.0."""
    duration: float
    """Length of the audio in seconds."""
    model: str
    """The model that heard it."""
    segments: tuple[Segment, ...]
    """The segments in order of their start."""
