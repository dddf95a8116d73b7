"""The training speech: many spoken sentences with their texts and raw features, in one ``.npz`` file."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.speech_models.audio_file import Samples
from tools.speech_models.features import FRAMES_PER_SECOND, log_mel
from tools.speech_models.grammar import Language, sentence_in
from tools.speech_models.speech import SAMPLE_RATE, speak

SPANISH_SEEDS = 500_000
"""Added to the seeds of the Spanish sentences, so that a corpus holds no sentence twice for its seed."""
SHORTEST, LONGEST = 0.1, 12.0
"""Seconds; what is shorter or longer is left out."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One spoken sentence of the corpus."""

    language: Language
    text: str
    english: str
    """The translation, or ``text`` itself."""
    voice: str
    features: NDArray[np.float16]
    """Raw log-mel, shape (80, frames)."""

    @property
    def frames(self) -> int:
        """Its length in frames of 10 ms."""
        return int(self.features.shape[1])


def make_corpus(english: int, spanish: int, seed: int, processes: int) -> list[Utterance]:
    """Speak sentences of the grammar, each from its own seed.

    Args:
        english: number of English sentences.
        spanish: number of Spanish sentences.
        seed: of the first English sentence; corpora whose ranges of seeds do not meet share no draw.
        processes: number of processes that speak.
    """
    jobs: list[tuple[int, Language]] = [(seed + k, "en") for k in range(english)]
    jobs += [(seed + SPANISH_SEEDS + k, "es") for k in range(spanish)]
    with Pool(processes) as pool:
        return [utterance for utterance in pool.imap(_utterance, jobs, chunksize=32) if utterance]


def _utterance(job: tuple[int, Language]) -> Utterance | None:
    """Speak one sentence, at a random level and, more often than not, with some white noise."""
    seed, language = job
    rng, noise_rng = random.Random(seed), np.random.default_rng(seed)
    drawn, text = sentence_in(language, rng)
    speech = speak(text, language, rng)
    samples = _trim(speech.samples)
    if not SHORTEST <= len(samples) / SAMPLE_RATE <= LONGEST:
        return None
    samples = samples * np.float32(10 ** (rng.uniform(-12, 3) / 20))
    if rng.random() < 0.6:
        noise = noise_rng.standard_normal(len(samples), np.float32)
        samples = samples + noise * np.float32(10 ** (rng.uniform(-75, -38) / 20))
    return Utterance(
        language=language,
        text=text,
        english=drawn.en,
        voice=speech.voice,
        features=log_mel(samples).astype(np.float16),
    )


def _trim(samples: Samples) -> Samples:
    """Cut the silence at both ends, but for 30 ms."""
    loud = np.flatnonzero(np.abs(samples) > 0.005)
    margin = int(0.03 * SAMPLE_RATE)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin] if len(loud) else samples


def save_corpus(path: Path, utterances: Sequence[Utterance]) -> None:
    """Write a corpus: the features end to end, and everything else as JSON."""
    facts = [
        {"language": u.language, "text": u.text, "english": u.english, "voice": u.voice, "frames": u.frames}
        for u in utterances
    ]
    features = np.concatenate([u.features for u in utterances], axis=1)
    np.savez(path, features=features, facts=np.array(json.dumps(facts)))


def load_corpus(path: Path) -> list[Utterance]:
    """Read what ``save_corpus`` wrote."""
    with np.load(path) as file:
        features, facts = file["features"], json.loads(str(file["facts"]))
    ends = np.cumsum([fact["frames"] for fact in facts])
    return [
        Utterance(
            language=fact["language"],
            text=fact["text"],
            english=fact["english"],
            voice=fact["voice"],
            features=features[:, end - fact["frames"] : end],
        )
        for fact, end in zip(facts, ends, strict=True)
    ]


def hours(utterances: Sequence[Utterance]) -> float:
    """Return how long the utterances last together."""
    return sum(utterance.frames for utterance in utterances) / FRAMES_PER_SECOND / 3600
