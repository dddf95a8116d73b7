"""One utterance: what stands of it while it is open, and its final words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain, takewhile

from domain.live.agreement import Agreement, common_words, continuation
from domain.transcript import Segment, Word
from domain.words import joined, normalized, words_of

_HEARD_WELL = 0.4
"""Seconds of sound after the end of a word from which a hypothesis is believed to have heard it: the times of words are
less exact, and the beginning of the next word tells a word from a longer one."""


class Utterance:
    """The state of an utterance. Its sound is addressed by samples from the start of the stream."""

    def __init__(self, number: int, start: int, speech_start: int | None = None) -> None:
        self.number = number
        self.start = start
        """First sample of it."""
        self.speech_start = speech_start
        """First sample of speech; ``None`` where speech goes on from an utterance that was cut."""
        self.end: int | None = None
        """First sample after it; ``None`` while it is open."""
        self.speech_end: int | None = None
        """First sample after the last speech; ``None`` while it is open, and where speech goes on in the next."""
        self.over = asyncio.Event()
        """Set when it has ended."""
        self.window = start
        """First sample that partials still look at."""
        self.covered = start
        """First sample that no partial has looked at."""
        self.settled = start
        """First sample that another utterance may begin with: the words before it stand in this one."""
        self._covered_before = start
        self._kept: list[str] = []
        self._agreement = Agreement()

    def close(self, end: int, speech_end: int | None = None) -> None:
        """End it."""
        self.end, self.speech_end = end, speech_end
        self.over.set()

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
        words = [word for segment in segments for word in words_of(segment.text)]
        timed = [word for segment in segments for word in segment.words or ()]
        heard_before = (self._covered_before - self.window) / sample_rate
        stood = len(self._agreement.standing)
        self._agreement.hear(words, speaking=speaking, heard_twice=_ended(words, segments, heard_before - _HEARD_WELL))
        if (stand := len(self._agreement.standing)) > stood:
            end = timed[stand - 1].end if len(timed) == len(words) else heard_before
            self.settled = max(self.settled, min(self.window + round(end * sample_rate), self.covered))
        self._covered_before = self.covered
        if self.covered - self.window < trim_after * sample_rate:
            return
        # Where the hypothesis has other words than those that stand, its segments do not tell where those end.
        stand = common_words(self._agreement.standing, words)
        count, end = 0, 0.0
        for segment in segments[:-1]:
            ahead = count + len(words_of(segment.text))
            if ahead > stand:
                break
            count, end = ahead, segment.end
        if count:
            self._kept += self._agreement.drop(count)
            self.window = min(self.window + round(end * sample_rate), self.covered)

    def hear_all(self, words: Sequence[str], *, speaking: bool) -> None:
        """Take a hypothesis of the whole utterance, from an engine that streams by itself."""
        self._agreement.hear(words, speaking=speaking)

    def final(self, segments: Sequence[Segment]) -> tuple[str, tuple[Word, ...]]:
        """The final text and its words, from a decoding of the whole: what stands, then what was heard after it.

        Word times are in seconds from the start of the utterance, as in ``segments``.
        """
        heard = [word for segment in segments for word in words_of(segment.text)]
        standing = self.standing
        rest = continuation(standing, heard)
        text = joined(standing + heard[rest:])
        timed = [word for segment in segments for word in segment.words or ()]
        if len(timed) != len(heard):
            as_heard = normalized(joined(standing)) == normalized(joined(heard[:rest]))
            return text, tuple(timed) if as_heard else _spread(standing + heard[rest:], timed)
        return text, (*_spread(standing, timed[:rest]), *timed[rest:])


def _ended(words: Sequence[str], segments: Sequence[Segment], until: float) -> int | None:
    """How many words at the beginning ended by ``until`` (seconds); ``None`` without the times of words.

    Counted in letters: what an engine times as one word may be several here, in scripts without spaces.
    """
    if any(segment.words is None for segment in segments):
        return None
    timed = takewhile(lambda word: word.end <= until, chain.from_iterable(s.words or () for s in segments))
    letters = sum(len(normalized(word.word)) for word in timed)
    count = 0
    for word in words:
        letters -= len(normalized(word))
        if letters < 0:
            break
        count += 1
    return count


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
