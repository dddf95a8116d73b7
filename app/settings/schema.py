"""Every setting that is not a backend's own, with its meaning; ``config/default.toml`` gives each its value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[A-Za-z0-9.\-\[\]:]+)$")]
KeyHash = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
BackendTables = dict[str, dict[str, Any]]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; a key that it does not know is an error."""


class Server(Section, frozen=True):
    """Where the service listens."""

    host: str
    """Address to listen on."""
    port: Port
    """Port to listen on."""
    public_url: str
    """Address that clients reach the service by, for links to it; empty takes the request's own."""
    cors_origins: list[Origin]
    """Origins of pages elsewhere that may use the service from a browser; ``*`` is any."""
    backlog: Annotated[int, Meta(ge=128)]
    """Connections that wait to be accepted."""
    stop_timeout: Annotated[int, Meta(ge=1)]
    """Seconds that running requests have to end after a stop."""
    hand_over: str
    """Unix socket at which this service gives its listening socket to the one that takes its place; empty: nowhere."""
    ready_file: str
    """File that is made once this very service is ready, whoever else listens on its port; empty: none."""


class Backends(Section, frozen=True):
    """Which backend stands behind each port: the name of an entry point."""

    transcriber: str
    synthesizer: str
    object_store: str
    audio_codec: str
    voice_activity_detector: str


class Work(Section, frozen=True):
    """Admission to an engine."""

    running: Count
    """Requests at the engine at once; 0 takes what the engine says it can do in parallel."""
    waiting: Count
    """Requests that wait for a place; one more is answered 503."""
    patience: Seconds
    """Longest wait for a place, in seconds."""
    time_limit: Seconds
    """Longest work on one request once it has a place, in seconds."""


class Transcription(Work, frozen=True):
    """Limits of transcription."""

    max_duration: Seconds
    """Longest recording, in seconds."""
    max_upload: Annotated[int, Meta(ge=1024)]
    """Largest upload, in bytes."""
    upload_patience: Seconds
    """Longest silence of a client in the middle of its upload, in seconds."""


class Speech(Work, frozen=True):
    """Limits of synthesis."""

    max_characters: Annotated[int, Meta(ge=1)]
    """Longest text."""


class Live(Section, frozen=True):
    """Limits of live streams, and what holds where a client says nothing."""

    streams: Annotated[int, Meta(ge=1, le=256)]
    """Streams at once; one more is answered 503 at the handshake."""
    max_duration: Seconds
    """Longest stream, in seconds of sound."""
    idle_timeout: Seconds
    """Seconds without a message after which a stream is closed."""
    send_timeout: Seconds
    """Seconds that a client has to read what it is sent."""
    max_message: Annotated[int, Meta(ge=1024)]
    """Largest message, in bytes."""
    max_rate: Annotated[int, Meta(ge=1024)]
    """Most bytes a second, on average over the stream."""
    rate_burst: Seconds
    """Seconds of ``max_rate`` that may come ahead."""
    lag_threshold: Seconds
    """Seconds behind from which the client is told."""
    max_behind: Seconds
    """Seconds of sound that may wait to be heard before the client is made to wait."""
    max_utterance: Annotated[float, Meta(ge=5, le=30)]
    """Longest utterance, in seconds; a longer one is cut where speech is least likely."""
    endpointing_silence: Annotated[float, Meta(ge=0.2, le=5)]
    """Seconds of silence that end an utterance."""
    partial_interval: Annotated[float, Meta(ge=0.1, le=10)]
    """Least seconds between two partials."""
    ticket_lifetime: Seconds
    """Seconds that a ticket works."""


class Storage(Section, frozen=True):
    """How the service uses its object store."""

    prefix: Annotated[str, Meta(pattern=r"^([A-Za-z0-9._=-]+/)*$", max_length=200)]
    """Put before every key, for example ``dev/``."""
    url_expiry: Annotated[float, Meta(ge=1, le=604800)]
    """Seconds that a link to an object works."""


class Logs(Section, frozen=True):
    """What is logged, and how."""

    format: Literal["json", "console"]
    """JSON lines for machines, or coloured lines for people."""
    level: Literal["debug", "info", "warning", "error"]
    """Least severe level that is written."""


class Traces(Section, frozen=True):
    """Where OpenTelemetry traces go."""

    endpoint: Annotated[str, Meta(pattern="^(https?://.+)?$")]
    """Base URL of an OTLP/HTTP collector; empty makes no traces."""


class Settings(Section, frozen=True):
    """All of it."""

    environment: str
    """Name of the environment that was loaded."""
    auth: Literal["keys", "none"]
    """``keys`` asks for an API key; ``none`` does not, and is refused off the loopback address."""
    device: Literal["auto", "cpu", "cuda"]
    """Where engines run; ``auto`` takes a GPU where there is one."""
    models_dir: Path
    """Directory of models and of their download cache."""
    server: Server
    backends: Backends
    transcription: Transcription
    speech: Speech
    live: Live
    storage: Storage
    logs: Logs
    traces: Traces
    keys: dict[str, KeyHash]
    """API keys: the name of each and the hash that ``parlante keys new`` printed."""
    keys_file: str
    """File of more keys, followed while the service runs; empty for none."""
    transcribers: BackendTables
    """Options of each transcriber, by its name."""
    synthesizers: BackendTables
    """Options of each synthesizer, by its name."""
    object_stores: BackendTables
    """Options of each object store, by its name."""
    audio_codecs: BackendTables
    """Options of each audio codec, by its name."""
    voice_activity_detectors: BackendTables
    """Options of each voice activity detector, by its name."""
