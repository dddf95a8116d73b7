"""The messages of ``/api/v1/streaming``: what clients send as text, and what the service answers.

``docs/live.schema.json`` is made from these structs by ``just schema``; a test keeps it true.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from app.controllers.transcription import Transcription, TranscriptionSegment, TranscriptionWord

Seconds = Annotated[float, Meta(description="Seconds from the start of the stream.")]
Silence = Annotated[float, Meta(ge=0.2, le=5.0, description="Seconds of silence that end an utterance.")]
Interval = Annotated[float, Meta(ge=0.1, le=10.0, description="Least seconds between two partials.")]
Language = Annotated[
    str, Meta(pattern="^[a-z]{2,3}$", description="ISO 639-1 code of the speech; detected if left out.")
]
TaskName = Annotated[Literal["transcribe", "translate"], Meta(description="The words as said, or in English.")]
Text = Annotated[str, Meta(max_length=2000)]


class StreamQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of the connection."""

    events: Annotated[bool, Meta(description="Send live events; else one answer at the end and nothing before.")] = (
        False
    )
    encoding: Annotated[
        Literal["container", "pcm_s16le", "pcm_f32le"],
        Meta(description="`container`: the bytes of an audio file; else raw samples."),
    ] = "container"
    sample_rate: Annotated[int, Meta(ge=4000, le=192000, description="Of raw samples, in hertz.")] = 16000
    channels: Annotated[int, Meta(ge=1, le=8, description="Of raw samples.")] = 1
    language: Language | None = None
    task: TaskName = "transcribe"
    prompt: Text | None = None
    hotwords: Text | None = None
    endpointing_silence: Silence | None = None
    partial_interval: Interval | None = None
    ticket: Annotated[str, Meta(description="From `POST /api/v1/streaming/tickets`, instead of a key.")] | None = None


class ConfigAction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action", tag="config"):
    """Options, before any audio; they replace those of the query."""

    language: Language | None = None
    task: TaskName | None = None
    prompt: Text | None = None
    hotwords: Text | None = None
    endpointing_silence: Silence | None = None
    partial_interval: Interval | None = None


class FlushAction(Struct, frozen=True, tag_field="action", tag="flush"):
    """Finish the open utterance now."""


class PingAction(Struct, frozen=True, tag_field="action", tag="ping"):
    """Answer `pong`."""


class StopAction(Struct, frozen=True, tag_field="action", tag="stop"):
    """No more audio comes: answer the transcription."""


ClientAction = ConfigAction | FlushAction | PingAction | StopAction


class ServerEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What the service sends; `type` says which."""


class ReadyEvent(ServerEvent, frozen=True, tag="ready"):
    """The stream may begin."""

    engine: str
    model: str
    sample_rate: Annotated[int, Meta(description="What raw samples would need no resampling, in hertz.")]
    request_id: Annotated[str, Meta(description="Id of the stream in the service's log.")]


class SpeechStartedEvent(ServerEvent, frozen=True, tag="speech_started"):
    """Somebody began to speak."""

    time: Seconds


class PartialEvent(ServerEvent, frozen=True, tag="partial"):
    """The words of an utterance so far."""

    utterance: Annotated[int, Meta(description="Number of the utterance, from 0.")]
    start: Seconds
    text: Annotated[str, Meta(description="Confirmed: every later text of this utterance begins with it.")]
    unstable: Annotated[str, Meta(description="What comes after it as heard now; may change.")]


class FinalEvent(ServerEvent, frozen=True, tag="final"):
    """An utterance that is over."""

    utterance: Annotated[int, Meta(description="Number of the utterance, from 0.")]
    start: Seconds
    end: Seconds
    text: Annotated[str, Meta(description="What was said; begins with all that was confirmed.")]
    language: str
    words: list[TranscriptionWord]


class SpeechStoppedEvent(ServerEvent, frozen=True, tag="speech_stopped"):
    """Nobody speaks any more."""

    time: Seconds


class LagEvent(ServerEvent, frozen=True, tag="lag"):
    """The service is behind; partials come less often, nothing is lost."""

    seconds: Annotated[float, Meta(description="Sound that has arrived and has not been heard yet.")]


class PongEvent(ServerEvent, frozen=True, tag="pong"):
    """Answer to `ping`."""


class TranscriptionEvent(ServerEvent, frozen=True, tag="transcription"):
    """The whole, after `stop`; the connection then closes."""

    transcription: str
    language: str
    language_probability: float
    duration: Annotated[float, Meta(description="Seconds of sound that came.")]
    model: str
    segments: list[TranscriptionSegment]


class ErrorEvent(ServerEvent, frozen=True, tag="error"):
    """What went wrong; the connection then closes."""

    code: Annotated[str, Meta(description="Stable name of the error, for programs.")]
    message: Annotated[str, Meta(description="What is wrong and what to do, for people.")]
    retryable: Annotated[bool, Meta(description="Whether the same may succeed later.")]


AnyServerEvent = (
    ReadyEvent | SpeechStartedEvent | PartialEvent | FinalEvent | SpeechStoppedEvent | LagEvent | PongEvent
    | TranscriptionEvent | ErrorEvent
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """All messages as JSON Schema: what each side sends, by name, under ``$defs``."""
    sides = {"ClientAction": ClientAction, "ServerEvent": AnyServerEvent}
    schemas, components = msgspec.json.schema_components(
        [*sides.values(), StreamQuery, Transcription], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages of WS /api/v1/streaming",
        "description": (
            "The client sends ClientAction as text and audio as bytes. The service answers ServerEvent where "
            "events=true, else one Transcription; an ErrorEvent either way. StreamQuery is the query of the connection."
        ),
        "$defs": components | dict(zip(sides, schemas, strict=False)),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
