"""Endpointing: where utterances begin and end, from the probability of speech in each frame.

The thresholds are Silero VAD's own: an utterance opens at 0.5 and is kept open above 0.35, which spares the quiet ends
of words. It opens after three frames (96 ms), which spares clicks, and takes in the sound before them (pre-roll),
because the first consonant is quiet.
"""

from __future__ import annotations

from typing import Final

import msgspec

_OPENS: Final = 0.5
_KEEPS: Final = 0.35
_FRAMES_TO_OPEN: Final = 3
PRE_ROLL: Final = 0.3
"""Seconds of sound before the first frame of speech that belong to an utterance."""
POST_ROLL: Final = 0.3
"""Seconds of sound after the last frame of speech that belong to an utterance."""


class Opened(msgspec.Struct, frozen=True):
    """An utterance began."""

    start: int
    """First sample of it, pre-roll included."""
    speech: int
    """First sample of speech."""


class Closed(msgspec.Struct, frozen=True):
    """An utterance ended."""

    end: int
    """First sample that is not of it any more, post-roll included."""
    speech: int
    """First sample after the last frame of speech."""


class Cut(msgspec.Struct, frozen=True):
    """An utterance grew too long and goes on as another one."""

    at: int
    """First sample of the next."""


class Endpointer:
    """Finds the ends of utterances in a stream of frames. Counts samples from the start of the stream."""

    def __init__(self, *, sample_rate: int, frame: int, silence: float, max_utterance: float) -> None:
        """Set up for one stream.

        Args:
            sample_rate: Hertz.
            frame: Samples of a frame.
            silence: Seconds without speech that end an utterance.
            max_utterance: Seconds after which an utterance is cut.
        """
        self._frame = frame
        self._silence = round(silence * sample_rate)
        self._most = round(max_utterance * sample_rate)
        self._pre = round(PRE_ROLL * sample_rate)
        self._post = round(POST_ROLL * sample_rate)
        self._position = 0
        self._start: int | None = None
        self._over = 0
        self._run = 0
        self._speech_end = 0
        self._recent: list[float] = []

    @property
    def is_speaking(self) -> bool:
        """Whether the last frame was speech."""
        return self._start is not None and self._speech_end == self._position

    def take(self, probability: float, settled: int = 0) -> Opened | Closed | Cut | None:
        """Take the next frame.

        Args:
            probability: Of speech in it.
            settled: First sample at which the open utterance may be cut.
        """
        self._position += self._frame
        if self._start is None:
            return self._while_silent(probability)
        self._recent.append(probability)
        if probability >= _KEEPS:
            self._speech_end = self._position
        if self._position - self._speech_end >= self._silence:
            return self._close()
        if self._position - self._start >= self._most:
            return self._cut(settled)
        return None

    def close(self) -> Closed | None:
        """End the open utterance here, if there is one."""
        return None if self._start is None else self._close()

    def _while_silent(self, probability: float) -> Opened | None:
        self._run = self._run + 1 if probability >= _OPENS else 0
        if self._run < _FRAMES_TO_OPEN:
            return None
        speech = self._position - self._run * self._frame
        self._start = max(speech - self._pre, self._over)
        self._speech_end = self._position
        self._recent = []
        return Opened(start=self._start, speech=speech)

    def _close(self) -> Closed:
        # Where an utterance was cut in a pause, the last speech was before its start.
        start = self._start or 0
        end = max(start, min(self._speech_end + self._post, self._position))
        self._start, self._run, self._over = None, 0, end
        return Closed(end=end, speech=self._speech_end)

    def _cut(self, settled: int) -> Cut:
        """Cut where speech is least likely in the second half: in the middle of a frame that is not settled."""
        free = (self._position - settled - self._frame // 2) // self._frame
        last = self._recent[-max(1, min(len(self._recent) // 2, free)) :]
        back = len(last) - min(range(len(last)), key=last.__getitem__)
        self._start = self._position - back * self._frame + self._frame // 2
        self._recent = self._recent[-back:]
        return Cut(at=self._start)
