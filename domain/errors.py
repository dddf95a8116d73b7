"""Every error that a caller, an operator or another layer can meet: one tree.

Each class has a stable ``code``, says whether trying again can help (``retryable``), and carries a message written for
the caller: no path, no secret, no text of theirs. ``app.errors`` gives each an HTTP status.
"""

from __future__ import annotations

from collections.abc import Iterable


class ParlanteError(Exception):
    """Root of the tree."""

    code = "internal"
    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# The caller's to mend.


class InvalidRequest(ParlanteError):
    """The request cannot be carried out as it stands."""

    code = "invalid_request"


class UnsupportedLanguage(InvalidRequest):
    """The engine does not know the language."""

    code = "unsupported_language"

    def __init__(self, language: str, supported: Iterable[str]) -> None:
        super().__init__(f"language {language!r} is not supported; supported: {', '.join(sorted(supported))}")


class UnsupportedOption(InvalidRequest):
    """The engine has no such power."""

    code = "unsupported_option"

    def __init__(self, option: str, engine: str) -> None:
        super().__init__(f"{option!r} is not supported by the engine {engine}")


class UnknownVoice(InvalidRequest):
    """No voice of that id, or none in that language."""

    code = "unknown_voice"


class TextInvalid(InvalidRequest):
    """The text is empty or has nothing in it that can be spoken."""

    code = "text_invalid"


class TextTooLong(InvalidRequest):
    """The text is longer than the service speaks at once."""

    code = "text_too_long"


class AudioInvalid(InvalidRequest):
    """The upload holds no audio that can be decoded."""

    code = "audio_invalid"


class AudioEmpty(AudioInvalid):
    """The upload has no bytes, or its audio no samples."""

    code = "audio_empty"


class AudioTruncated(AudioInvalid):
    """The audio ends before the length that its header states, or breaks off."""

    code = "audio_truncated"


class AudioTooLong(InvalidRequest):
    """The audio is longer than the service transcribes at once."""

    code = "audio_too_long"


class UploadTooLarge(InvalidRequest):
    """The upload has more bytes than the service takes."""

    code = "upload_too_large"


class UploadStalled(InvalidRequest):
    """Nothing more came of an upload."""

    code = "upload_stalled"
    retryable = True


class MessageInvalid(InvalidRequest):
    """A message on a live stream that is not known, or comes at the wrong time."""

    code = "message_invalid"


class MessageTooLarge(InvalidRequest):
    """A message on a live stream has too many bytes."""

    code = "message_too_large"


class RateExceeded(InvalidRequest):
    """A live stream sends more bytes a second than the service takes."""

    code = "rate_exceeded"


class StreamIdle(InvalidRequest):
    """Nothing came on a live stream for too long."""

    code = "stream_idle"


class ClientNotReading(InvalidRequest):
    """The client of a live stream does not read what it is sent."""

    code = "client_not_reading"


class NotFound(ParlanteError):
    """There is nothing under that name."""

    code = "not_found"


class KeyInvalid(InvalidRequest):
    """An object key that no store takes: empty, too long, or reaching outside its store."""

    code = "key_invalid"


class RangeNotSatisfiable(InvalidRequest):
    """The range starts past the end of the object."""

    code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"the range starts past the end of the object ({size} bytes)")
        self.size = size


class Unauthorized(ParlanteError):
    """No key, or one that is not known."""

    code = "unauthorized"


class OriginNotAllowed(ParlanteError):
    """A page of an origin that is not among those that may use the service."""

    code = "origin_not_allowed"


class SignatureInvalid(ParlanteError):
    """A signed link was altered or has expired."""

    code = "signature_invalid"


# The operator's to mend; trying again later can help.


class Unavailable(ParlanteError):
    """The service cannot do it now."""

    code = "unavailable"
    retryable = True

    def __init__(self, message: str, *, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which trying again makes sense."""


class Overloaded(Unavailable):
    """All places, running and waiting, are taken, or the wait was too long."""

    code = "overloaded"


class StorageUnavailable(Unavailable):
    """The object store does not answer, or refuses."""

    code = "storage_unavailable"


class EngineUnavailable(Unavailable):
    """The engine is not there: its process is restarting, or its model is not loaded."""

    code = "engine_unavailable"


class ServiceStopping(Unavailable):
    """The service is being stopped; another instance, or this one later, can take over."""

    code = "service_stopping"


class DeadlineExceeded(Unavailable):
    """The work took longer than the service allows."""

    code = "deadline_exceeded"


class EngineFailed(ParlanteError):
    """The engine broke off in the middle of its work."""

    code = "engine_failed"
    retryable = True


# Stop the start.


class StartError(ParlanteError):
    """The service cannot start; the message is one sentence that says what to do."""

    code = "start_failed"


class ConfigurationInvalid(StartError):
    """A setting is unknown or has a value that does not fit."""

    code = "configuration_invalid"


class BackendUnknown(StartError):
    """No plugin of the configured name."""

    code = "backend_unknown"


class DependencyMissing(StartError):
    """A plugin's optional library is not installed."""

    code = "dependency_missing"


class ModelMissing(StartError):
    """A model is neither here nor can it be fetched."""

    code = "model_missing"
