"""Speak sentences through Coqui's own ``Synthesizer`` and read them back with a Whisper model."""

import random
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from faster_whisper import WhisperModel
from TTS.utils.synthesizer import Synthesizer

from tools.speech_models.audio_file import Samples, resample
from tools.speech_models.grammar import Language, sentence_in
from tools.speech_models.scoring import WordErrors, word_errors

WHISPER_RATE = 16_000
"""Hertz."""
PEAK = 0.6
"""Of the sound that Whisper hears, full scale 1."""
PAUSE = 0.25
"""Seconds of silence around it."""


class VoiceReport(NamedTuple):
    """How well a voice is understood."""

    heard: list[tuple[str, str]]
    """What was said and what was heard."""
    errors: WordErrors
    languages_right: int
    """Of the sentences."""
    real_time_factor: float
    """Seconds of synthesis for each second of speech."""


def judge_voice(
    language: Language, voice: Path, whisper: Path, *, sentences: int = 15, seed: int = 31_337
) -> VoiceReport:
    """Speak and read back.

    Args:
        language: of the voice.
        voice: directory with ``model.pth`` and ``config.json``.
        whisper: directory of a CTranslate2 Whisper model.
        sentences: number of sentences of the grammar.
        seed: of the sentences; training has other ones (but the fixed sentences of the grammar are in both).
    """
    synthesizer = Synthesizer(tts_checkpoint=str(voice / "model.pth"), tts_config_path=str(voice / "config.json"))
    model = WhisperModel(str(whisper), device="cpu", compute_type="int8")
    rng = random.Random(seed)
    heard: list[tuple[str, str]] = []
    right, synthesis_seconds, speech_seconds = 0, 0.0, 0.0
    for _ in range(sentences):
        _, text = sentence_in(language, rng)
        began = time.perf_counter()
        samples = np.asarray(synthesizer.tts(text), np.float32)
        synthesis_seconds += time.perf_counter() - began
        speech_seconds += len(samples) / synthesizer.output_sample_rate
        segments, info = model.transcribe(_for_whisper(samples, synthesizer.output_sample_rate))
        heard.append((text, " ".join(segment.text.strip() for segment in segments)))
        right += info.language == language
    return VoiceReport(heard, word_errors(heard), right, synthesis_seconds / speech_seconds)


def _for_whisper(samples: Samples, sample_rate: int) -> Samples:
    """Bring a sound to 16 kHz and to one level, with a pause on both sides."""
    sound = resample(samples, sample_rate, WHISPER_RATE)
    return np.pad(sound * (PEAK / max(1e-3, np.abs(sound).max())), int(PAUSE * WHISPER_RATE)).astype(np.float32)
