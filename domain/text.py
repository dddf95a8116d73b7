"""Text on its way to a voice: whether it can be spoken, and its sentences.

Every synthesizer shares these, so that the same text is refused by all and split alike by those that split.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from domain.errors import TextInvalid

LONGEST: Final = 240
"""Characters of a piece at most, by default: about 15 s of speech, the longest that sentence models were trained on."""

# A full stop after one of these ends no sentence: a name follows.
_TITLES: Final = re.compile(
    "dr|dra|mr|mrs|ms|mx|prof|profa|sr|sra|srta|dña|st|sto|sta|gral|gen|lic|ing|arq|capt|cdte|col|lt|sgt|rev|hon|av|avda"
    "|vs|cf|ej|aprox|approx|tel"
)
# After one of these it may: a capital decides.
_SHORTENED: Final = re.compile(r"etc|inc|ltd|co|corp|cía|jr|ee\.uu|uds?|vds?|dept|est|\w(\.\w){1,5}|p\.ej")
# After one of these it does not where a number follows.
_NUMBERED: Final = re.compile("no|nos|núm|nr|fig|vol|art|págs?|pp?|cap|ch|sec|ed")

_PARAGRAPH: Final = re.compile(r"\n\s*\n")
_MARKS: Final = ".!?…"
_OPENERS: Final = "([{\"'«“‘¿¡—"
_CLOSERS: Final = "\"'»”’)]}"
_FULL_WIDTH: Final = re.compile(r"[。！？]+[」』”]*")
_PAUSE: Final = re.compile(r"[,;:—–)\]](?= )|[，、；：]")


def plain(text: str) -> str:
    """The text without characters that are no text: control characters and lone surrogates become spaces.

    Engines give some of them a meaning of their own: NUL ends a C string, espeak-ng takes commands after SOH (1).
    Line breaks and tabs stay. Letters and their accents are composed (NFC): voices know "ñ", not "n" and a tilde.
    """
    text = "".join(c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Cn"} else " " for c in text)
    return unicodedata.normalize("NFC", text)


def speakable(text: str) -> bool:
    """Whether the text has at least one letter or digit of any script."""
    return any(c.isalnum() for c in text)


def require_speakable(text: str) -> None:
    """Raise ``TextInvalid`` where nothing in the text can be spoken."""
    if not speakable(text):
        raise TextInvalid("the text has no letter and no digit that could be spoken")


def sentences(text: str, *, longest: int = LONGEST) -> Iterator[str]:
    """Split a text with Latin or CJK punctuation into its sentences, none longer than ``longest`` characters.

    A sentence ends at a full stop, question or exclamation mark, an ellipsis before a capital, or a blank line. Full
    stops within numbers, abbreviations and initials of English and Spanish are passed over, as well as can be known
    without a dictionary. What is longer is cut at a comma or another pause, else at a space, else anywhere. White
    space is made one space. Pieces without a letter or digit are left out.

    Lazy, in time linear in the length of the text.
    """
    for paragraph in _PARAGRAPH.split(plain(text)):
        words = paragraph.split()
        start = 0
        for i, word in enumerate(words):
            if i + 1 == len(words) or _closes(word, words[i + 1], first=i == start):
                yield from _parts(" ".join(words[start : i + 1]), longest)
                start = i + 1


def _closes(word: str, following: str, *, first: bool) -> bool:
    """Whether a sentence ends with ``word``, where ``following`` comes next; ``first``: it began there, too."""
    bare = word.rstrip(_CLOSERS)
    stem = bare.rstrip(_MARKS)
    mark = bare[len(stem) :]
    after = following[0]
    if mark != ".":
        return mark != "" and not after.islower()
    stem = stem.lstrip(_OPENERS).lower()
    if _TITLES.fullmatch(stem) or (first and stem.isdigit() and len(stem) < 3):
        return False
    if len(stem) == 1 and stem.isalpha():  # an initial, or a word
        return after.isupper() and stem in "aeiouy"
    if _NUMBERED.fullmatch(stem):
        return not after.isdigit()
    return not (_SHORTENED.fullmatch(stem) and (after.islower() or after.isdigit()))


def _parts(sentence: str, longest: int) -> Iterator[str]:
    """A sentence, split at the full-width marks that no space follows, and cut to length."""
    start = 0
    for match in _FULL_WIDTH.finditer(sentence):
        yield from _cut(sentence[start : match.end()].strip(), longest)
        start = match.end()
    yield from _cut(sentence[start:].strip(), longest)


def _cut(piece: str, longest: int) -> Iterator[str]:
    """A piece, cut where a voice would pause until no part is longer than ``longest``."""
    start = 0
    while len(piece) - start > longest:
        window = piece[start : start + longest]
        pauses = [m.end() for m in _PAUSE.finditer(window) if m.end() > longest // 3]
        at = pauses[-1] if pauses else window.rfind(" ", 1) + 1 or longest
        if speakable(part := window[:at].strip()):
            yield part
        start += at
    if speakable(part := piece[start:].strip()):
        yield part
