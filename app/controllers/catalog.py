"""``GET /api/v1/voices`` and ``GET /api/v1/models``: what the service can do."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Meta, Struct

from app.errors import problem_responses
from domain.ports.synthesizer import Synthesizer
from domain.ports.transcriber import Transcriber


class VoiceEntry(Struct, frozen=True, kw_only=True):
    """A voice that texts can be spoken with."""

    id: Annotated[str, Meta(description="Name to ask for it by.")]
    language: Annotated[str, Meta(description="ISO 639-1 code of the language that it speaks.")]
    model: Annotated[str, Meta(description="The model behind it.")]
    sample_rate: Annotated[int, Meta(description="Samples per second of its audio, in hertz.")]
    description: Annotated[str, Meta(description="A few words for a person who chooses.")]


class Voices(Struct, frozen=True, kw_only=True):
    """All voices."""

    voices: Annotated[list[VoiceEntry], Meta(description="A language's default before its others.")]


class ModelEntry(Struct, frozen=True, kw_only=True):
    """A loaded engine and what it can do."""

    task: Annotated[str, Meta(description="`transcribe` or `synthesize`.")]
    engine: Annotated[str, Meta(description="Name of the engine.")]
    models: Annotated[list[str], Meta(description="The loaded models.")]
    device: Annotated[str, Meta(description="Where it runs: `cpu` or `cuda`.")]
    languages: Annotated[list[str], Meta(description="ISO 639-1 codes that it hears or speaks.")]
    features: Annotated[list[str], Meta(description="Optional powers that it has.")]


class Models(Struct, frozen=True, kw_only=True):
    """All loaded engines."""

    models: Annotated[list[ModelEntry], Meta(description="One entry an engine.")]


class CatalogController(Controller):
    """What the service can do."""

    tags = ("Catalog",)

    @get(
        "/voices",
        operation_id="listVoices",
        summary="List the voices",
        responses=problem_responses(401),
        sync_to_thread=False,
    )
    def voices(self, synthesizer: NamedDependency[SkipValidation[Synthesizer]]) -> Voices:
        """List the voices that texts can be spoken with."""
        return Voices(
            voices=[
                VoiceEntry(
                    id=voice.id,
                    language=voice.language,
                    model=voice.model,
                    sample_rate=voice.sample_rate,
                    description=voice.description,
                )
                for voice in synthesizer.voices()
            ]
        )

    @get(
        "/models",
        operation_id="listModels",
        summary="List the models",
        responses=problem_responses(401),
        sync_to_thread=False,
    )
    def models(
        self,
        transcriber: NamedDependency[SkipValidation[Transcriber]],
        synthesizer: NamedDependency[SkipValidation[Synthesizer]],
    ) -> Models:
        """List the loaded engines, their models, languages and powers."""
        hears, speaks = transcriber.capabilities, synthesizer.capabilities
        return Models(
            models=[
                ModelEntry(
                    task="transcribe",
                    engine=hears.engine,
                    models=[hears.model],
                    device=hears.device,
                    languages=list(hears.languages),
                    features=sorted(feature.value for feature in hears.features),
                ),
                ModelEntry(
                    task="synthesize",
                    engine=speaks.engine,
                    models=sorted({voice.model for voice in synthesizer.voices()}),
                    device=speaks.device,
                    languages=list(speaks.languages),
                    features=["pitch"] if speaks.pitch else [],
                ),
            ]
        )
