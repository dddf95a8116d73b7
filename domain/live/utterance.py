"""One utterance: what stands of it while it is open, and its final words."""

from __future__ import annotations

from collections.abc import Sequence

from domain.live.agreement import Agreement, continuation
from domain.transcript import Segment, Word


class Utterance:
    """The state of an utterance. Its sound is addressed by samples from the start of the stream."""

    def __init__(self, number: int, start: int) -> None:
        self.number = number
        self.start = start
        """First sample of it."""
        self.end: int | None = None
        """First sample after it; ``None`` while it is open."""
        self.window = start
        """First sample that partials still look at."""
        self.covered = start
        """First sample that no partial has looked at."""
        self._kept: list[str] = []
        self._agreement = Agreement()

    @property
    def standing(self) -> list[str]:
        """All words of it that stand."""
        return self._kept + self._agreement.standing

    @property
    def unstable(self) -> list[str]:
        """The words after them as last heard."""
        return self._agreement.unstable

    @property
    def kept(self) -> list[str]:
        """The words that stand and lie before the window."""
        return self._kept

    def hear(self, segments: Sequence[Segment], *, speaking: bool, trim_after: float, sample_rate: int) -> None:
        """Take a hypothesis of the window; where the window is long, let go of segments that stand.

        Args:
            segments: The hypothesis, times in seconds from the start of the window.
            speaking: Whether somebody speaks at the end of the window.
            trim_after: Seconds from which a window is long.
            sample_rate: Hertz.
        """
        words = [word for segment in segments for word in segment.text.split()]
        self._agreement.hear(words, speaking=speaking)
        if self.covered - self.window < trim_after * sample_rate:
            return
        count, end = 0, 0.0
        for segment in segments[:-1]:
            ahead = count + len(segment.text.split())
            if ahead > len(self._agreement.standing):
                break
            count, end = ahead, segment.end
        if count:
            self._kept += self._agreement.drop(count)
            self.window += round(end * sample_rate)

    def hear_all(self, words: Sequence[str], *, speaking: bool) -> None:
        """Take a hypothesis of the whole utterance, from an engine that streams by itself."""
        self._agreement.hear(words, speaking=speaking)

    def final(self, segments: Sequence[Segment]) -> tuple[str, tuple[Word, ...]]:
        """The final text and its words, from a decoding of the whole: what stands, then what was heard after it.

        Word times are in seconds from the start of the utterance, as in ``segments``.
        """
        heard = [word for segment in segments for word in segment.text.split()]
        standing = self.standing
        rest = continuation(standing, heard)
        text = " ".join(standing + heard[rest:])
        timed = [word for segment in segments for word in segment.words or ()]
        if len(timed) != len(heard):
            return text, tuple(timed) if not standing else _spread(standing + heard[rest:], timed)
        return text, (*_spread(standing, timed[:rest]), *timed[rest:])


def _spread(texts: Sequence[str], timed: Sequence[Word]) -> tuple[Word, ...]:
    """Words with the given texts at the times of ``timed``, one for one, or evenly where their numbers differ."""
    if not texts or not timed:
        return ()
    if len(texts) == len(timed):
        pairs = zip(texts, timed, strict=True)
        return tuple(Word(start=w.start, end=w.end, word=text, probability=w.probability) for text, w in pairs)
    start, step = timed[0].start, (timed[-1].end - timed[0].start) / len(texts)
    probability = min(word.probability for word in timed)
    return tuple(
        Word(start=start + n * step, end=start + (n + 1) * step, word=text, probability=probability)
        for n, text in enumerate(texts)
    )
