"""Wiring: which backend stands behind each port, and what each use case is made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from dependency_injector import containers, providers

from app.backends import chosen_backend
from app.settings import Settings
from app.settings.schema import Work
from app.telemetry.metrics import Metrics
from domain.admission import Admission
from domain.live.options import LiveLimits
from domain.ports.synthesizer import Synthesizer
from domain.ports.transcriber import Transcriber
from domain.use_cases.listen import Listen
from domain.use_cases.readiness import Readiness
from domain.use_cases.synthesize import Synthesize
from domain.use_cases.transcribe import Transcribe

if TYPE_CHECKING:
    from app.telemetry.traces import Traces

_CHECK_PATIENCE = 3.0
"""Seconds that a part has to say that it is ready."""


async def open_backend(settings: Settings, group: str) -> AsyncGenerator[Any, None]:
    """Open the configured backend of a group for as long as the service runs."""
    chosen = chosen_backend(settings, group)
    async with chosen.plugin.open(chosen.options, chosen.host) as backend:
        yield backend


def admission_to(engine: Transcriber | Synthesizer, work: Work) -> Admission:
    """Places at an engine: as many at work as configured, or as the engine can do in parallel."""
    running = work.running or engine.capabilities.parallel
    return Admission(running=running, waiting=work.waiting, patience=work.patience)


def upload_admission(transcription: Admission, work: Work) -> Admission:
    """Places for uploads: as many as could then run or wait, so that the disk they fill is bounded."""
    return Admission(running=transcription.limit + work.waiting, waiting=0, patience=work.patience)


def make_traces(settings: Settings) -> Traces | None:
    """Traces, where the settings say where to; the library is imported only then."""
    if not settings.traces.endpoint:
        return None
    from app.telemetry.traces import Traces  # noqa: PLC0415

    return Traces(settings.traces.endpoint, settings.environment)


def make_telemetry(traces: Traces | None) -> Metrics:
    """What takes the measurements."""
    if traces is None:
        return Metrics()
    from app.telemetry.traces import TracedMetrics  # noqa: PLC0415

    return TracedMetrics(traces)


def make_transcribe(
    settings: Settings, transcriber: Any, codec: Any, admission: Admission, telemetry: Metrics
) -> Transcribe:
    """The use case with its limits."""
    limits = settings.transcription
    return Transcribe(
        transcriber, codec, admission, telemetry, max_duration=limits.max_duration, time_limit=limits.time_limit
    )


def make_synthesize(
    settings: Settings, synthesizer: Any, codec: Any, store: Any, admission: Admission, telemetry: Metrics
) -> Synthesize:
    """The use case with its limits."""
    return Synthesize(
        synthesizer,
        codec,
        store,
        admission,
        telemetry,
        prefix=settings.storage.prefix,
        url_expiry=settings.storage.url_expiry,
        max_characters=settings.speech.max_characters,
        time_limit=settings.speech.time_limit,
    )


def make_listen(settings: Settings, transcriber: Any, codec: Any, detector: Any, telemetry: Metrics) -> Listen:
    """The use case with its limits. A stream has a place at once or not at all."""
    live = settings.live
    admission = Admission(running=live.streams, waiting=0, patience=1.0)
    telemetry.watch("listen", admission)
    limits = LiveLimits(
        max_duration=live.max_duration,
        lag_threshold=live.lag_threshold,
        max_behind=live.max_behind,
        max_utterance=live.max_utterance,
    )
    return Listen(transcriber, codec, detector, admission, telemetry, limits)


class Container(containers.DeclarativeContainer):
    """Everything that lives as long as the service. Backends are async resources, opened side by side at the start."""

    settings = providers.Dependency(instance_of=Settings)
    traces = providers.Singleton(make_traces, settings)
    telemetry = providers.Singleton(make_telemetry, traces)

    transcriber = providers.Resource(open_backend, settings, "transcribers")
    synthesizer = providers.Resource(open_backend, settings, "synthesizers")
    object_store = providers.Resource(open_backend, settings, "object_stores")
    audio_codec = providers.Resource(open_backend, settings, "audio_codecs")

    transcription_admission = providers.Singleton(admission_to, transcriber, settings.provided.transcription)
    speech_admission = providers.Singleton(admission_to, synthesizer, settings.provided.speech)
    uploads = providers.Singleton(upload_admission, transcription_admission, settings.provided.transcription)

    transcribe = providers.Singleton(
        make_transcribe, settings, transcriber, audio_codec, transcription_admission, telemetry
    )
    synthesize = providers.Singleton(
        make_synthesize, settings, synthesizer, audio_codec, object_store, speech_admission, telemetry
    )
    voice_activity_detector = providers.Resource(open_backend, settings, "voice_activity_detectors")
    listen = providers.Singleton(make_listen, settings, transcriber, audio_codec, voice_activity_detector, telemetry)
    readiness = providers.Singleton(
        Readiness,
        providers.Dict(transcriber=transcriber, synthesizer=synthesizer, object_store=object_store),
        patience=_CHECK_PATIENCE,
    )
