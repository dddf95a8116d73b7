"""Port: is somebody speaking."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from domain.audio import Samples


class VoiceActivityStream(Protocol):
    """Follows one stream of sound; used by one task at a time."""

    async def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """The probability of speech, 0.0 to 1.0, in each of the next frames.

        Args:
            samples: Shape ``(k * frame,)``, mono float32 at the detector's sample rate, the next of the stream.

        Returns:
            Shape ``(k,)``.
        """
        ...


@runtime_checkable
class VoiceActivityDetector(Protocol):
    """Tells speech from silence and noise. One instance is shared by all streams of a process."""

    @property
    def sample_rate(self) -> int:
        """The only sample rate that it takes, in hertz."""
        ...

    @property
    def frame(self) -> int:
        """Samples of one frame."""
        ...

    def stream(self) -> VoiceActivityStream:
        """Begin to follow a stream."""
        ...
