"""Optional port: speech to text by an engine that takes sound as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from domain.audio import Waveform
from domain.ports.transcriber import Transcriber
from domain.transcript import Segment, TranscribeOptions


class StreamedUtterance(Protocol):
    """One utterance that is being heard; used by one task at a time.

    After an error, or when a call is cancelled, only leaving its context is of use.
    """

    async def hear(self, sound: Waveform) -> Sequence[str] | None:
        """Take the next sound of the utterance; never waits for others.

        Args:
            sound: Mono float32 at ``capabilities.sample_rate``, in pieces of any length, 0 samples too.

        Returns:
            The words of the whole utterance as they seem now. ``None`` where the engine has heard nothing new: it needs
            more sound, or others need it more. It has the sound all the same, and hears it later, at the end at last.

        Raises:
            EngineFailed: the engine broke.
        """
        ...

    async def finish(self) -> Sequence[Segment]:
        """End the utterance; waits for its turn where others are before it. Called once, nothing after it.

        Returns:
            What was said, ordered by start, times in seconds from the start of the utterance. Where nobody spoke,
            nothing. Words as in ``Transcriber.transcribe``.

        Raises:
            EngineFailed: the engine broke.
        """
        ...


@runtime_checkable
class StreamingTranscriber(Transcriber, Protocol):
    """A transcriber that need not hear an utterance again from its start to hear more of it.

    Any number of utterances may be open, beside transcriptions.
    """

    def utterance(self, options: TranscribeOptions) -> AbstractAsyncContextManager[StreamedUtterance]:
        """Begin an utterance.

        Leaving the context, also by cancellation, ends it within 0.5 s and leaves the engine usable.

        Args:
            options: As for ``Transcriber.transcribe``.

        Raises:
            UnsupportedLanguage: ``options.language`` is not in ``capabilities.languages``; when entered.
        """
        ...
