"""The recent sound of a stream."""

from __future__ import annotations

import numpy as np

from domain.audio import Samples


class RecentSound:
    """Keeps the samples of a stream from some point on, addressed by their number from the start of the stream."""

    def __init__(self) -> None:
        self._start = 0
        self._end = 0
        self._buffer: Samples = np.zeros(1 << 16, np.float32)

    @property
    def start(self) -> int:
        """First sample that is kept."""
        return self._start

    @property
    def end(self) -> int:
        """Samples that have been put in, from the start of the stream."""
        return self._end

    def append(self, samples: Samples) -> None:
        """Put in the next samples, shape ``(n,)``."""
        kept = self._end - self._start
        if kept + len(samples) > len(self._buffer):
            grown = np.zeros(2 * (kept + len(samples)), np.float32)
            grown[:kept] = self._buffer[:kept]
            self._buffer = grown
        self._buffer[kept : kept + len(samples)] = samples
        self._end += len(samples)

    def forget(self, before: int) -> None:
        """Let go of the samples before a point."""
        before = min(before, self._end)
        if before <= self._start:
            return
        kept = self._end - before
        left = self._buffer[before - self._start : self._end - self._start]
        size = max(1 << 16, 2 * kept) if len(self._buffer) > 8 * max(kept, 1 << 14) else len(self._buffer)
        buffer = np.zeros(size, np.float32) if size != len(self._buffer) else self._buffer
        buffer[:kept] = left.copy()
        self._buffer, self._start = buffer, before

    def between(self, start: int, end: int) -> Samples:
        """A copy of the samples from ``start`` to ``end``, as far as they are kept."""
        first, last = max(start, self._start), min(end, self._end)
        return self._buffer[first - self._start : max(first, last) - self._start].copy()
