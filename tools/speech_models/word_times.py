"""espeak-ng through its C library: speech together with the time at which each word starts."""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.speech_models.audio_file import Samples

LIBRARY = "libespeak-ng.so.1"
"""Of Debian's package ``libespeak-ng1``, which ``espeak-ng`` brings."""

_SYNCHRONOUS_OUTPUT, _RATE_PARAMETER, _CHARACTERS_UTF8, _POSITION_CHARACTER = 2, 1, 1, 1
_EVENT_END, _EVENT_WORD = 0, 1


class _Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("identity", _Identity),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Word(NamedTuple):
    """A word of a spoken text."""

    character: int
    """Where it starts in the text."""
    sample: int
    """Where it starts in the sound."""


class TimedSpeaker:
    """Speaks with one espeak-ng voice; the library has one state for the process: use one at a time."""

    def __init__(self, voice: str, words_per_minute: int, *, library: str = LIBRARY, data: str | None = None) -> None:
        """Open the library, by default the system's with the voices that it finds, and choose the voice.

        Args:
            voice: espeak-ng's name.
            words_per_minute: 80 to 450.
            library: name or path of the library.
            data: directory of its voices.

        Raises:
            OSError: the library is not installed.
        """
        self._library = ctypes.CDLL(library)
        self.sample_rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS_OUTPUT, 0, data.encode() if data else None, 0
        )
        """Hertz."""
        self._chunks: list[NDArray[np.int16]] = []
        self._words: list[Word] = []
        self._callback = _Callback(self._receive)  # kept: the library holds no reference to it
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_SetVoiceByName(voice.encode())
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_per_minute, 0)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        place = 0
        while events[place].type != _EVENT_END:
            if events[place].type == _EVENT_WORD:
                self._words.append(Word(events[place].text_position - 1, events[place].sample))
            place += 1
        return 0

    def speak(self, text: str) -> tuple[Samples, list[Word]]:
        """Return the sound of a text, float32 of shape (samples,), and the start of each word."""
        self._chunks, self._words = [], []
        data = text.encode() + b"\0"
        position, flags = _POSITION_CHARACTER, _CHARACTERS_UTF8
        self._library.espeak_Synth(data, len(data), 0, position, 0, flags, None, None)
        self._library.espeak_Synchronize()
        return (np.concatenate(self._chunks) / np.float32(32768)).astype(np.float32), self._words


def character_durations(text: str, words: Sequence[Word], frames: int, hop: int) -> NDArray[np.int64]:
    """Share the frames of a sound out over the characters of its text.

    A word lasts until the next one starts; its time goes to its characters, the following space and
    punctuation included, a letter or digit counting 1, a mark 1.5, a space 0.3.

    Args:
        text: what is said.
        words: where its words start.
        frames: length of the sound, at least one for each character.
        hop: samples of a frame.

    Returns:
        Whole numbers of shape (characters,), each at least 1, ``frames`` together.
    """
    starts = [0, *(word.character for word in words[1:])]
    times = [0.0, *(word.sample / hop for word in words[1:]), float(frames)]
    lengths = np.zeros(len(text))
    for word, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True)):
        weights = np.array([_weight(character) for character in text[start:end]])
        lengths[start:end] = (times[word + 1] - times[word]) * weights / weights.sum()
    ends = np.round(np.cumsum(lengths)).astype(np.int64)
    ends[-1] = frames
    durations = np.diff(ends, prepend=0)
    while durations.min() < 1:
        durations[durations.argmax()] -= 1
        durations[durations.argmin()] += 1
    return durations


def _weight(character: str) -> float:
    if character.isalnum():
        return 1.0
    return 0.3 if character in " '¿" else 1.5
