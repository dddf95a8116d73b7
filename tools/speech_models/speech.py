"""Speak a sentence with a random voice of espeak-ng or flite (the Debian packages of these names)."""

import random
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tools.speech_models.audio_file import Samples, read_audio
from tools.speech_models.grammar import Language

SAMPLE_RATE = 16_000
"""Hertz: what Whisper hears."""

FLITE_VOICES = ("kal16", "awb", "rms", "slt", "slt", "rms")
FLITE_SHARE = 0.35
"""Share of the English sentences that flite speaks; espeak-ng speaks the others and all the Spanish ones."""

ESPEAK_ACCENTS: dict[Language, tuple[str, ...]] = {
    "en": ("en-us", "en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland"),
    "es": ("es", "es", "es-419"),
}
ESPEAK_VARIANTS = (
    *(
        "",
        "m1",
        "m2",
        "m3",
        "m4",
        "m5",
        "m6",
        "m7",
        "f1",
        "f2",
        "f3",
        "f4",
        "f5",
        "Andy",
        "Annie",
        "Gene",
        "Denis",
    ),
    *("klatt2", "Michael", "linda", "adam", "steph", "john", "marcelo", "antonio"),
)


class Speech(NamedTuple):
    """A spoken sentence."""

    samples: Samples
    """Float32 of shape (samples,) at ``SAMPLE_RATE``."""
    voice: str
    """Such as ``flite-slt`` or ``en-us+f2``."""


def speak(text: str, language: Language, rng: random.Random) -> Speech:
    """Speak a text with a voice, a rate, a pitch and a level drawn from ``rng``.

    Raises:
        FileNotFoundError: flite or espeak-ng is not installed.
        subprocess.CalledProcessError: the program refused the text or the voice.
    """
    if language == "en" and rng.random() < FLITE_SHARE:
        voice, stretch = rng.choice(FLITE_VOICES), rng.uniform(0.8, 1.2)
        return Speech(flite(text, voice, stretch), f"flite-{voice}")
    accent, variant = rng.choice(ESPEAK_ACCENTS[language]), rng.choice(ESPEAK_VARIANTS)
    voice = f"{accent}+{variant}" if variant else accent
    words_per_minute, pitch, amplitude = (
        rng.randrange(120, 200),
        rng.randrange(25, 75),
        rng.randrange(60, 130),
    )
    return Speech(espeak(text, voice, words_per_minute, pitch, amplitude), voice)


def flite(text: str, voice: str, stretch: float = 1.0, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Speak with flite.

    Args:
        text: English.
        voice: one of ``flite -lv``.
        stretch: of all durations; 1.2 is slower.
        sample_rate: of the result, hertz; the voices' own is 16 kHz (8 kHz for ``kal``).
    """
    return _run(["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-t", text, "-o"], sample_rate)


def espeak(text: str, voice: str, words_per_minute: int, pitch: int, amplitude: int) -> Samples:
    """Speak with espeak-ng; pitch 0 to 99, amplitude 0 to 200."""
    knobs = ["-s", str(words_per_minute), "-p", str(pitch), "-a", str(amplitude)]
    return _run(["espeak-ng", "-v", voice, *knobs, text, "-w"], SAMPLE_RATE)


def _run(command: list[str], sample_rate: int) -> Samples:
    """Run a program whose last argument is the WAV file that it writes, and read that file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "speech.wav"
        subprocess.run([*command, str(path)], check=True, capture_output=True)
        return read_audio(path, sample_rate)
