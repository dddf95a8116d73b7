"""Settings of the synthesizer ``coqui``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class CoquiVoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A voice, made of a Coqui model and a vocoder."""

    language: str
    """ISO 639-1 code of the language that it speaks."""
    model: str
    """Coqui's name of it, or a directory with ``model.pth`` and ``config.json``, absolute or in ``MODELS_DIR``."""
    vocoder: str | None = None
    """Likewise for the vocoder; ``None`` is the one that the model's makers recommend, else the model's own."""
    speaker: str | None = None
    """Name of the speaker, for a model of several."""
    description: str = ""
    """A few words for a person who chooses."""


def _default_voices() -> dict[str, CoquiVoice]:
    return {
        "en-ljspeech": CoquiVoice(language="en", model="tts_models/en/ljspeech/tacotron2-DDC"),
        "es-mai": CoquiVoice(language="es", model="tts_models/es/mai/tacotron2-DDC"),
    }


class CoquiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the synthesizer ``coqui``."""

    voices: dict[str, CoquiVoice] = msgspec.field(default_factory=_default_voices)
    """The voices by their ids, a language's default before its others."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Where to compute; ``None`` is the service's own setting."""
    parallel: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Texts spoken at once; every model is loaded as many times."""
    threads: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Threads that torch computes with on the CPU; ``None`` leaves it to torch."""
    models_file: str | None = None
    """A file in place of Coqui's ``.models.json``, for a mirror of the models; relative to ``MODELS_DIR``."""
