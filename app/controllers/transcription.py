"""``POST /api/v1/transcribe``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, BinaryIO, Literal, cast

from litestar import Controller, Request, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET, Meta, Struct, UnsetType

from app.disconnect import while_connected
from app.errors import problem_responses
from app.multipart import multipart_operation, read_form
from app.settings import Settings
from domain.admission import Admission
from domain.transcript import Segment, Task, TranscribeOptions, Transcript, Word
from domain.use_cases.transcribe import Transcribe


class TranscribeForm(Struct, kw_only=True, forbid_unknown_fields=True):
    """A recording and how to transcribe it."""

    audio_file: Annotated[
        UploadFile,
        Meta(description="WAV, MP3, FLAC, Ogg, WebM, M4A or MP4 (also the audio of a video), any rate and channels."),
    ]
    language: (
        Annotated[str, Meta(pattern="^[a-z]{2,3}$", description="ISO 639-1 code of the speech; detected if left out.")]
        | None
    ) = None
    task: Annotated[
        Literal["transcribe", "translate"], Meta(description="The words as said, or translated to English.")
    ] = "transcribe"
    word_timestamps: Annotated[bool, Meta(description="Give each word's start, end and probability.")] = False
    prompt: (
        Annotated[str, Meta(max_length=2000, description="Text that came before: sets context, spelling, style.")]
        | None
    ) = None
    hotwords: (
        Annotated[str, Meta(max_length=2000, description="Words that are likely in the audio, separated by spaces.")]
        | None
    ) = None
    vad: Annotated[bool, Meta(description="Leave out parts without speech before decoding.")] | None = None
    temperature: (
        Annotated[
            float, Meta(ge=0, le=1, description="One sampling temperature instead of the engine's fallback ladder.")
        ]
        | None
    ) = None
    beam_size: Annotated[int, Meta(ge=1, le=20, description="Beams of the search.")] | None = None


class TranscriptionWord(Struct, frozen=True, kw_only=True):
    """One word and when it was said."""

    start: Annotated[float, Meta(description="Seconds from the start of the audio.")]
    end: Annotated[float, Meta(description="Seconds from the start of the audio.")]
    word: Annotated[str, Meta(description="The word.")]
    probability: Annotated[float, Meta(description="Confidence, 0 to 1.")]


class TranscriptionSegment(Struct, frozen=True, kw_only=True):
    """A stretch of speech."""

    start: Annotated[float, Meta(description="Seconds from the start of the audio.")]
    end: Annotated[float, Meta(description="Seconds from the start of the audio.")]
    text: Annotated[str, Meta(description="What was said.")]
    words: Annotated[
        list[TranscriptionWord] | UnsetType, Meta(description="Its words, where `word_timestamps` was asked for.")
    ] = UNSET


class Transcription(Struct, frozen=True, kw_only=True):
    """What was said in a recording."""

    transcription: Annotated[str, Meta(description="The whole text; empty where nothing was said.")]
    language: Annotated[str, Meta(description="ISO 639-1 code of the speech, given or detected.")]
    language_probability: Annotated[float, Meta(description="Confidence of the detection, 0 to 1.")]
    duration: Annotated[float, Meta(description="Length of the audio in seconds.")]
    model: Annotated[str, Meta(description="The model that heard it.")]
    segments: Annotated[list[TranscriptionSegment], Meta(description="The text in stretches, by time.")]


async def receive_form(
    request: Request[Any, Any, Any],
    settings: NamedDependency[SkipValidation[Settings]],
    uploads: NamedDependency[SkipValidation[Admission]],
) -> AsyncGenerator[TranscribeForm, None]:
    """Dependency: the uploaded form, its file on disk, for as long as the request lasts."""
    limits = settings.transcription
    async with (
        uploads.place(),
        read_form(request, TranscribeForm, max_file=limits.max_upload, patience=limits.upload_patience) as form,
    ):
        yield form


class TranscriptionController(Controller):
    """Speech to text."""

    path = "/transcribe"
    tags = ("Speech to text",)

    @post(
        operation_id="transcribe",
        operation_class=multipart_operation(TranscribeForm),
        summary="Transcribe a recording",
        status_code=HTTP_200_OK,
        dependencies={"form": Provide(receive_form)},
        responses=problem_responses(400, 401, 408, 413, 415, 422, 503),
    )
    async def transcribe(
        self,
        request: Request[Any, Any, Any],
        form: NamedDependency[SkipValidation[TranscribeForm]],
        transcribe: NamedDependency[SkipValidation[Transcribe]],
    ) -> Transcription:
        """Write down what is said in a recording, in its own language or in English."""
        options = TranscribeOptions(
            language=form.language,
            task=Task(form.task),
            word_timestamps=form.word_timestamps,
            prompt=form.prompt,
            hotwords=form.hotwords,
            vad=form.vad,
            temperature=form.temperature,
            beam_size=form.beam_size,
        )
        return render_transcript(
            await while_connected(request, transcribe(cast(BinaryIO, form.audio_file.file), options))
        )


def render_transcript(transcript: Transcript) -> Transcription:
    """A transcript as it is answered."""
    return Transcription(
        transcription=transcript.text,
        language=transcript.language,
        language_probability=transcript.language_probability,
        duration=transcript.duration,
        model=transcript.model,
        segments=[_render_segment(segment) for segment in transcript.segments],
    )


def _render_segment(segment: Segment) -> TranscriptionSegment:
    words = segment.words
    return TranscriptionSegment(
        start=segment.start,
        end=segment.end,
        text=segment.text,
        words=UNSET if words is None else [render_word(word) for word in words],
    )


def render_word(word: Word) -> TranscriptionWord:
    """A word as it is answered."""
    return TranscriptionWord(start=word.start, end=word.end, word=word.word, probability=word.probability)
