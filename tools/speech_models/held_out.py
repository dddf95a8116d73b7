"""Held-out speech: sentences, recordings, noise and silence, with what is said in them.

``refs.json`` is a list of ``HeldOut`` in the order of the files' making.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tools.speech_models.audio_file import Samples, write_audio
from tools.speech_models.features import coloured_noise
from tools.speech_models.grammar import LANGUAGES, Language, sentence_in
from tools.speech_models.speech import SAMPLE_RATE, speak

REFERENCES = "refs.json"
NOISES = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""Exponents of ``coloured_noise``."""
QUIET_SECONDS = 30
"""Length of the files in which nobody speaks."""
NOISE_LEVEL = 0.01
"""Root mean square, full scale 1: -40 dB."""
PAUSE = 0.25
"""Seconds of silence around a single sentence."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """One file of the held-out speech."""

    file: str
    language: Language
    """Of what is said; ``en`` where nothing is."""
    text: str
    """What is said; empty for noise and silence."""
    english: str | None
    """Its translation (or itself); None for the recordings of many sentences."""
    voice: str
    """Such as ``flite-slt``; ``mixed`` for recordings, ``noise`` and ``silence`` where nobody speaks."""


def make_held_out(directory: Path, *, seed: int, sentences: int, recording_seconds: tuple[float, ...]) -> list[HeldOut]:
    """Write the files (16 kHz mono FLAC) and ``refs.json``.

    Args:
        directory: to write; made if it is not there.
        seed: of the sentences, which no corpus may have.
        sentences: number of single sentences a language.
        recording_seconds: least length of each recording of many sentences, made for each language.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    made: list[HeldOut] = []
    for language in LANGUAGES:
        for number in range(sentences):
            drawn, text = sentence_in(language, rng)
            speech = speak(text, language, rng)
            file = f"{language}-{number:02d}.flac"
            write_audio(directory / file, np.pad(speech.samples, int(PAUSE * SAMPLE_RATE)), SAMPLE_RATE)
            made.append(HeldOut(file=file, language=language, text=text, english=drawn.en, voice=speech.voice))
        for seconds in recording_seconds:
            file = f"{language}-{seconds:.0f}s.flac"
            samples, text = _recording(language, seconds, rng)
            write_audio(directory / file, samples, SAMPLE_RATE)
            made.append(HeldOut(file=file, language=language, text=text, english=None, voice="mixed"))
    for name, samples in _quiet():
        voice = "silence" if name == "silence" else "noise"
        write_audio(directory / f"{name}.flac", samples, SAMPLE_RATE)
        made.append(HeldOut(file=f"{name}.flac", language="en", text="", english="", voice=voice))
    references = [asdict(one) for one in made]
    (directory / REFERENCES).write_text(json.dumps(references, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return made


def _recording(language: Language, seconds: float, rng: random.Random) -> tuple[Samples, str]:
    """Speak sentences with changing voices and pauses of 0.3 to 1.2 s until they last long enough."""
    parts: list[Samples] = []
    texts: list[str] = []
    while sum(map(len, parts)) < SAMPLE_RATE * seconds:
        _, text = sentence_in(language, rng)
        speech = speak(text, language, rng)
        parts += [speech.samples, np.zeros(int(SAMPLE_RATE * rng.uniform(0.3, 1.2)), np.float32)]
        texts.append(text)
    return np.concatenate(parts), " ".join(texts)


def _quiet() -> Iterator[tuple[str, Samples]]:
    """Yield noises of three colours, and digital silence."""
    count = SAMPLE_RATE * QUIET_SECONDS
    for number, (colour, exponent) in enumerate(NOISES.items()):
        noise = coloured_noise(count, exponent, np.random.default_rng(number)) * NOISE_LEVEL
        yield f"noise-{colour}", noise.astype(np.float32)
    yield "silence", np.zeros(count, np.float32)


def load_references(directory: Path) -> list[HeldOut]:
    """Read ``refs.json``."""
    return [HeldOut(**one) for one in json.loads((directory / REFERENCES).read_text("utf-8"))]
