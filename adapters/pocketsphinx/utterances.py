"""Sound cut into utterances for the decoder, and its words put together into segments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domain.audio import Samples
from domain.transcript import Segment, Word

SAMPLE_RATE: Final = 16_000
"""The rate of the embedded model, in hertz."""
BYTES_PER_SECOND: Final = 2 * SAMPLE_RATE
"""Of the samples that the decoder takes."""

FoundWord = tuple[str, float, float, float]
"""A word as the decoder spells it, its start and end in seconds from the utterance's start, its probability."""

_LONGEST: Final = 15 * SAMPLE_RATE  # the decoder hears best what it hears whole, but nobody waits longer for a segment
_SHORTEST: Final = 5 * SAMPLE_RATE
_FRAME: Final = SAMPLE_RATE // 50
_PAUSE_FRAMES: Final = 15  # 0.3 s
_PHRASE_GAP: Final = 0.5  # seconds between words that end a segment

_FILLER: Final = re.compile(r"[<\[+]")
_VARIANT: Final = re.compile(r"\(\d+\)$")


def utterances(samples: Samples) -> Iterator[tuple[int, int]]:
    """Cut sound into pieces of at most 15 s, at the quietest 0.3 s between 5 and 15 s after the last cut.

    Yields:
        The first sample of a piece and the one past its last. Sound of up to 15 s is one piece.
    """
    begin = 0
    while len(samples) - begin > _LONGEST:
        end = begin + _SHORTEST + _quietest(samples[begin + _SHORTEST : begin + _LONGEST])
        yield begin, end
        begin = end
    if begin < len(samples):
        yield begin, len(samples)


def _quietest(samples: Samples) -> int:
    """The middle of the quietest 0.3 s, the last one where several are alike."""
    energy = np.square(samples.reshape(-1, _FRAME), dtype=np.float64).sum(axis=1)
    pauses = np.convolve(energy, np.ones(_PAUSE_FRAMES), mode="valid")
    last = len(pauses) - 1 - int(np.argmin(pauses[::-1]))
    return (last + _PAUSE_FRAMES // 2) * _FRAME


def pcm(samples: Samples) -> bytes:
    """Signed 16-bit samples, little-endian."""
    scaled: NDArray[Any] = np.clip(np.rint(samples * 32768.0), -32768, 32767)
    return scaled.astype("<i2").tobytes()


def spoken_words(found: Sequence[FoundWord]) -> list[str]:
    """The words that the decoder found, as they are written: no fillers, no numbers of variants."""
    return [_written(word) for word, *_ in found if not _FILLER.match(word)]


def _written(word: str) -> str:
    return _VARIANT.sub("", word)


def phrases(found: Sequence[FoundWord], begin: float, end: float, *, words: bool) -> Iterator[Segment]:
    """Put the words of an utterance together into segments that end at pauses.

    Args:
        found: What the decoder heard, fillers (``<sil>``, ``[NOISE]``) and variants (``the(2)``) as it spells them.
        begin: Start of the utterance in the audio, in seconds.
        end: End of the utterance in the audio, in seconds.
        words: Give the segments their words.
    """
    spoken = [
        Word(
            start=min(begin + start, end),
            end=min(begin + stop, end),
            word=_written(word),
            probability=min(max(probability, 0.0), 1.0),
        )
        for word, start, stop, probability in found
        if not _FILLER.match(word)
    ]
    first = 0
    for after in range(1, len(spoken) + 1):
        if after == len(spoken) or spoken[after].start - spoken[after - 1].end >= _PHRASE_GAP:
            phrase = tuple(spoken[first:after])
            yield Segment(
                start=phrase[0].start,
                end=phrase[-1].end,
                text=" ".join(word.word for word in phrase),
                words=phrase if words else None,
            )
            first = after
