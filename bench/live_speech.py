"""Speech for the live benchmark: sentences of the test model's grammar by several voices, with the end of each word."""

from __future__ import annotations

import random
from functools import cache

import espeakng_loader
import msgspec
import numpy as np
from numpy.typing import NDArray

from tools.speech_models.audio_file import Samples, resample
from tools.speech_models.features import coloured_noise
from tools.speech_models.grammar import LANGUAGES, Language, sentence_in
from tools.speech_models.word_times import TimedSpeaker, Word

SAMPLE_RATE = 16_000
_VOICES: dict[Language, tuple[str, ...]] = {
    "en": ("en-us", "en-gb-x-rp", "en-us+f3", "en-us+m3", "en-gb-x-rp+f2"),
    "es": ("es", "es-419", "es+f2", "es+m3"),
}
_PAUSES = (0.3, 1.5)
_NOISE = (0.0005, 0.003)
"""Root mean square of the noise under the speech, full scale 1: -66 to -50 dB."""
_LOUD = 0.02
"""Amplitude over the loudest from which a voice is heard."""


class SpokenWord(msgspec.Struct, frozen=True):
    """A word and when it ends."""

    text: str
    end: float
    """Seconds from the start of the sound."""


class Speech(msgspec.Struct, frozen=True):
    """Sound in which somebody speaks."""

    pcm: bytes
    """16 bits, little endian, mono, ``SAMPLE_RATE``."""
    words: tuple[SpokenWord, ...]

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.pcm) / 2 / SAMPLE_RATE

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(word.text for word in self.words)

    def then(self, other: Speech, *, pause: float) -> Speech:
        """This, a silence of ``pause`` seconds, and the other."""
        gap = bytes(2 * round(pause * SAMPLE_RATE))
        ahead = (len(self.pcm) + len(gap)) / 2 / SAMPLE_RATE
        moved = tuple(SpokenWord(word.text, word.end + ahead) for word in other.words)
        return Speech(self.pcm + gap + other.pcm, self.words + moved)


@cache
def conversation(seconds: float, seed: int) -> Speech:
    """About so many seconds of sentences by changing voices, pauses between them, noise under all; ends with a word.

    An even seed speaks English, an odd one Spanish.
    """
    rng = random.Random(seed)  # noqa: S311 - the same speech for a seed
    language = LANGUAGES[seed % 2]
    parts: list[Samples] = [_silence(rng)]
    words: list[SpokenWord] = []
    at = len(parts[0])
    while at < seconds * SAMPLE_RATE:
        _, text = sentence_in(language, rng)
        spoken, ends = _speak(text, rng.choice(_VOICES[language]), rng.randrange(130, 185))
        words += [SpokenWord(word, (at + end) / SAMPLE_RATE) for word, end in zip(text.split(), ends, strict=True)]
        pause = _silence(rng)
        parts += [spoken, pause]
        at += len(spoken) + len(pause)
    sound = np.concatenate(parts[:-1])
    noise = coloured_noise(len(sound), rng.choice((0.0, 0.5, 1.0)), np.random.default_rng(seed)) * rng.uniform(*_NOISE)
    return Speech(_pcm(sound + noise), tuple(words))


@cache
def nobody(kind: str, seconds: float) -> Speech:
    """Sound in which nobody speaks: ``silence``, ``hum``, ``clicks`` or ``noise``."""
    count = round(seconds * SAMPLE_RATE)
    rng = np.random.default_rng(len(kind))
    time = np.arange(count) / SAMPLE_RATE
    sound = np.zeros(count)
    if kind == "hum":
        sound = sum(0.05 / n * np.sin(2 * np.pi * 50 * n * time) for n in (1, 2, 3)) * (1 + 0.3 * np.sin(time))
    elif kind == "clicks":
        for start in np.flatnonzero(rng.random(count) < 1.5 / SAMPLE_RATE):
            burst = np.exp(-np.arange(240) / rng.uniform(5, 80)) * rng.standard_normal(240) * rng.uniform(0.05, 0.8)
            sound[start : start + 240] += burst[: count - start]
    elif kind == "noise":
        for exponent in (0.0, 0.5, 1.0):
            level = 0.01 * (1 + np.sin(2 * np.pi * time / rng.uniform(20, 60))) / 2
            sound += coloured_noise(count, exponent, rng) * level
    return Speech(_pcm(sound), ())


def _silence(rng: random.Random) -> Samples:
    return np.zeros(round(rng.uniform(*_PAUSES) * SAMPLE_RATE), np.float32)


def _pcm(sound: NDArray[np.floating]) -> bytes:
    return np.clip(np.round(sound * 32767), -32768, 32767).astype("<i2").tobytes()


def _speak(text: str, voice: str, words_per_minute: int) -> tuple[Samples, list[int]]:
    """The sound of a sentence, and the sample at which each of its words ends."""
    speaker = TimedSpeaker(
        voice, words_per_minute, library=espeakng_loader.get_library_path(), data=espeakng_loader.get_data_path()
    )
    spoken, events = speaker.speak(text)
    ratio = SAMPLE_RATE / speaker.sample_rate
    samples = resample(spoken, speaker.sample_rate, SAMPLE_RATE)
    heard = np.flatnonzero(np.abs(samples) > _LOUD * np.abs(samples).max())
    samples = samples[: heard[-1] + 1]
    return samples, [_end_before(heard, start) for start in _next_starts(text, events, ratio, len(samples))]


def _next_starts(text: str, events: list[Word], ratio: float, length: int) -> list[int]:
    """For each word of the text, the sample at which the next begins, as far as espeak tells: it speaks some as one."""
    starts = [(word.character, round(word.sample * ratio)) for word in events]
    found, at = [], 0
    for word in text.split():
        after = text.index(word, at) + len(word)
        found.append(next((sample for character, sample in starts if character >= after), length))
        at = after
    return found


def _end_before(heard: NDArray[np.intp], start: int) -> int:
    """The last sample before ``start`` at which the voice is heard: without the pause after a comma."""
    place = int(np.searchsorted(heard, start)) - 1
    return int(heard[max(place, 0)]) + 1
