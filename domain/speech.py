"""What to say and how: voices, options, and speech that has been stored."""

from __future__ import annotations

from datetime import datetime

import msgspec

from domain.audio import AudioFormat


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice that a synthesizer can speak with."""

    id: str
    """Name to ask for it by; unique within the engine."""
    language: str
    """ISO 639-1 code of the language that it speaks."""
    model: str
    """The model behind it, for example ``tts_models/en/ljspeech/tacotron2-DDC``."""
    sample_rate: int
    """Samples per second of its audio, in hertz."""
    description: str = ""
    """A few words for a person who chooses."""


class SpeakOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to speak a text."""

    voice: Voice
    """One of the synthesizer's own voices."""
    speed: float = 1.0
    """Rate of speech, 1.0 is the voice's own; 2.0 takes half the time."""
    pitch: float = 1.0
    """Height of the voice, 1.0 is its own; higher is higher."""


class SpeechRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text to speak, as a caller asks for it."""

    text: str
    """What to say."""
    language: str
    """ISO 639-1 code of the text."""
    voice: str | None = None
    """A voice's id; ``None`` takes the language's first voice."""
    speed: float = 1.0
    """Rate of speech, 0.5 to 2.0."""
    pitch: float = 1.0
    """Height of the voice, 0.5 to 2.0."""
    format: AudioFormat = AudioFormat.WAV
    """Format of the audio."""


class StoredSpeech(msgspec.Struct, frozen=True, kw_only=True):
    """Speech in the object store, and a link to it."""

    key: str
    """Key in the object store, derived from what was asked for."""
    url: str
    """Signed link to the audio: absolute, or a path of this service that starts with ``/``."""
    expires_at: datetime
    """When the link stops working, in UTC."""
    content_type: str
    """Media type of the audio."""
    duration: float
    """Length of the audio in seconds."""
    size: int
    """Size of the audio in bytes."""
    voice: str
    """Id of the voice that spoke."""
    cached: bool
    """True where the same request had been spoken before and was answered from the store."""
