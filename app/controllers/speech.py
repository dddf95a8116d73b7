"""``POST /api/v1/synthesize``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.params import Body, SkipValidation
from msgspec import Meta, Struct

from app.disconnect import while_connected
from app.errors import problem_responses
from app.json_body import JsonRequest
from app.settings import Settings
from domain.audio import AudioFormat
from domain.speech import SpeechRequest, StoredSpeech
from domain.use_cases.synthesize import Synthesize


class SpeechOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text and how to speak it."""

    text: Annotated[str, Meta(description="What to say.", examples=["Good morning, how are you today?"])]
    language: Annotated[
        str,
        Meta(pattern="^[a-z]{2,3}$", description="ISO 639-1 code of the text: `en` or `es`.", examples=["en", "es"]),
    ]
    voice: Annotated[
        str | None,
        Meta(description="Id of a voice of `GET /api/v1/voices`; the language's first voice if left out."),
    ] = None
    speed: Annotated[float, Meta(ge=0.5, le=2.0, description="Rate of speech; 1 is the voice's own.")] = 1.0
    pitch: Annotated[
        float, Meta(ge=0.5, le=2.0, description="Height of the voice; 1 is its own. Not every engine can.")
    ] = 1.0
    format: Annotated[AudioFormat, Meta(description="Format of the audio; `opus` comes in an Ogg container.")] = (
        AudioFormat.WAV
    )


class Speech(Struct, frozen=True, kw_only=True):
    """Speech in the object store, and a link to it."""

    url: Annotated[str, Meta(description="Link to the audio; works without a key until it expires.")]
    expires_at: Annotated[datetime, Meta(description="When the link stops working.")]
    key: Annotated[str, Meta(description="Key in the object store, derived from the request.")]
    content_type: Annotated[str, Meta(description="Media type of the audio.")]
    duration: Annotated[float, Meta(description="Length of the audio in seconds.")]
    size: Annotated[int, Meta(description="Size of the audio in bytes.")]
    voice: Annotated[str, Meta(description="Id of the voice that spoke.")]
    cached: Annotated[bool, Meta(description="True if the same request had been spoken before.")]


class SpeechController(Controller):
    """Text to speech."""

    path = "/synthesize"
    tags = ("Text to speech",)
    request_class = JsonRequest

    @post(
        operation_id="synthesize",
        summary="Speak a text",
        responses=problem_responses(400, 401, 413, 415, 422, 503),
    )
    async def synthesize(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[SpeechOrder, Body(description="A text and how to speak it.")],
        synthesize: NamedDependency[SkipValidation[Synthesize]],
        settings: NamedDependency[SkipValidation[Settings]],
    ) -> Speech:
        """Speak a text, keep the audio in the object store and answer a link to it.

        The same request is spoken once and answered from the store afterwards.
        """
        order = SpeechRequest(
            text=data.text,
            language=data.language,
            voice=data.voice,
            speed=data.speed,
            pitch=data.pitch,
            format=data.format,
        )
        stored = await while_connected(request, synthesize(order))
        return _render(stored, settings.server.public_url or str(request.base_url))


def _render(stored: StoredSpeech, service_url: str) -> Speech:
    return Speech(
        url=service_url.rstrip("/") + stored.url if stored.url.startswith("/") else stored.url,
        expires_at=stored.expires_at,
        key=stored.key,
        content_type=stored.content_type,
        duration=stored.duration,
        size=stored.size,
        voice=stored.voice,
        cached=stored.cached,
    )
