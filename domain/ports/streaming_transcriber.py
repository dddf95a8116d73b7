"""Optional port: speech to text by an engine that takes sound as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from domain.audio import Waveform
from domain.ports.transcriber import Transcriber
from domain.transcript import Segment, TranscribeOptions


class StreamedUtterance(Protocol):
    """One utterance that is being heard; used by one task at a time."""

    async def hear(self, sound: Waveform) -> Sequence[str]:
        """Take the next sound of the utterance; answers the words of the whole utterance as they seem now.

        Raises:
            EngineFailed: the engine broke.
        """
        ...

    async def finish(self) -> Sequence[Segment]:
        """End the utterance; answers what was said, times in seconds from its start.

        Raises:
            EngineFailed: the engine broke.
        """
        ...


@runtime_checkable
class StreamingTranscriber(Transcriber, Protocol):
    """A transcriber that need not hear an utterance again from its start to hear more of it."""

    def utterance(self, options: TranscribeOptions) -> AbstractAsyncContextManager[StreamedUtterance]:
        """Begin an utterance; waits while ``capabilities.parallel`` others are open.

        Leaving the context, also by cancellation, ends it and leaves the engine usable.
        """
        ...
