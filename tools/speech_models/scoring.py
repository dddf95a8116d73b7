"""Word error rate, as every figure of the test models is counted: lower case, punctuation left out."""

from collections.abc import Iterable
from typing import NamedTuple

import jiwer


class WordErrors(NamedTuple):
    """Errors counted over some texts; add them up with ``+`` of the fields, or score the texts together."""

    errors: int
    """Substitutions, deletions and insertions."""
    words: int
    """Of the references."""

    @property
    def rate(self) -> float:
        """The word error rate; infinite where words were heard and none was said."""
        if self.words:
            return self.errors / self.words
        return float("inf") if self.errors else 0.0


def normalize(text: str) -> str:
    """Return the words of a text in lower case, with letters, digits and apostrophes only."""
    kept = "".join(character for character in text.lower() if character.isalnum() or character in " '")
    return " ".join(kept.split())


def word_errors(pairs: Iterable[tuple[str, str]]) -> WordErrors:
    """Count the errors of (reference, hypothesis) pairs together; a reference may be empty."""
    references, hypotheses = zip(*((normalize(said), normalize(heard)) for said, heard in pairs), strict=True)
    counted = jiwer.process_words(list(references), list(hypotheses))
    return WordErrors(
        errors=counted.substitutions + counted.deletions + counted.insertions,
        words=counted.hits + counted.substitutions + counted.deletions,
    )
