"""Port: what the use cases tell about their work."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """A part of a request that is timed by itself."""

    QUEUE = "queue"
    DECODE = "decode"
    INFERENCE = "inference"
    STORE = "store"


class Telemetry(Protocol):
    """Takes measurements. Never fails, never blocks; no transcript, text, audio or key is ever passed to it."""

    def stage(self, use_case: str, stage: Stage) -> AbstractContextManager[None]:
        """Time the body, whether it ends well or not."""
        ...

    def heard(self, seconds: float) -> None:
        """Count seconds of audio that were transcribed."""
        ...

    def spoken(self, seconds: float, *, cached: bool) -> None:
        """Count seconds of speech that were answered, from the engine or from the store."""
        ...
