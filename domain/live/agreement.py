"""Which words of a growing transcript stand: LocalAgreement-2.

A word stands when two successive hypotheses agree on it and on everything before it (Macháček, Dabre, Bojar 2023,
"Turning Whisper into Real-Time Transcription System"). While somebody speaks, the last word of a hypothesis never
stands: it may be the beginning of a longer one, and its punctuation is a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.words import normalized


def common_words(first: Sequence[str], second: Sequence[str]) -> int:
    """How many words at the beginning of both are the same."""
    count = 0
    for a, b in zip(first, second, strict=False):
        if normalized(a) != normalized(b):
            break
        count += 1
    return count


def continuation(standing: Sequence[str], heard: Sequence[str]) -> int:
    """Where in ``heard`` the words that stand end: the prefix of ``heard`` with the least edit distance to them.

    Of several such prefixes, the longest: a word more is said twice sooner than one is lost.
    """
    row = list(range(len(heard) + 1))
    for number, stands in enumerate(standing, 1):
        diagonal, row[0] = row[0], number
        for column, word in enumerate(heard, 1):
            differs = normalized(stands) != normalized(word)
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + differs)
    least = min(row)
    return max(column for column, distance in enumerate(row) if distance == least)


class Agreement:
    """Follows the hypotheses of one window of sound."""

    def __init__(self) -> None:
        self.standing: list[str] = []
        """The words of this window that stand, as they were written when they came to stand."""
        self._last: list[str] = []

    def hear(self, words: Sequence[str], *, speaking: bool, heard_twice: int | None = None) -> None:
        """Take the next hypothesis.

        Args:
            words: The hypothesis.
            speaking: Whether its last word may go on.
            heard_twice: How many of its words had ended in the sound of the hypothesis before: models guess how a
                sentence goes on, and what two of them guess alike has not been said. ``None`` where nobody knows.
        """
        agreed = common_words(self._last, words)
        if heard_twice is not None:
            agreed = min(agreed, heard_twice)
        if speaking:
            agreed = min(agreed, len(words) - 1)
        if agreed > len(self.standing) and common_words(self.standing, words) == len(self.standing):
            self.standing.extend(words[len(self.standing) : agreed])
        self._last = list(words)

    def drop(self, count: int) -> list[str]:
        """Forget the first ``count`` words, which the window no longer holds; answers them."""
        dropped, self.standing = self.standing[:count], self.standing[count:]
        self._last = self._last[count:]
        return dropped

    @property
    def unstable(self) -> list[str]:
        """The words of the last hypothesis after those that stand."""
        return self._last[continuation(self.standing, self._last) :] if self.standing else list(self._last)
