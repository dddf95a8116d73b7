"""The words of a text, also in scripts that put no spaces between them: there every character is taken for one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_SPACELESS: Final = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3000-\u30ff\u31f0-\u31ff\uff00-\uffef"  # Japanese, and the punctuation of East Asia
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "]"
)


def words_of(text: str) -> list[str]:
    """The words of a text, each with its punctuation."""
    return [word for part in text.split() for word in _words_of(part)]


def joined(words: Iterable[str]) -> str:
    """Words, or texts, as one text: with spaces between them, but not beside a character of a script without."""
    text = ""
    for word in words:
        if text and word and not (_SPACELESS.match(text[-1]) or _SPACELESS.match(word[0])):
            text += " "
        text += word
    return text


def normalized(word: str) -> str:
    """A word without what hypotheses differ in for no reason: case and punctuation."""
    return "".join(c for c in word.casefold() if c.isalnum())


def _words_of(part: str) -> Iterator[str]:
    word, last = "", ""
    for char in part:
        begins = char.isalnum() and last and (_SPACELESS.match(char) or _SPACELESS.match(last))
        if begins:
            yield word
            word = ""
        word += char
        last = char if char.isalnum() else last
    yield word
