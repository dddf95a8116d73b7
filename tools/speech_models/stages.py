"""The three stages of training, as data.

1. Single sentences, then longer windows (a curriculum), with CTC on the encoder: the model learns to hear.
2. Mostly whole 30 s windows with many sentences, padded as faster-whisper pads: it learns to go on.
3. The same with real noise, long prompts, cut sentences and long silences; timestamps become a linear map of
   the encoder's sinusoids, and the alignment heads are guided: it learns when.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from tools.speech_models.losses import LossWeights
from tools.speech_models.noise import FlatNoise, NoiseBank
from tools.speech_models.windows import WindowStyle


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """Warm-up, then constant, then along a cosine to a small rest."""

    peak: float
    warmup: int
    """Steps."""
    held: float
    """Progress (0 to 1) at which it begins to fall."""
    rest: float
    """Share of the peak that stays."""

    def at(self, step: int, progress: float) -> float:
        """Return the rate of a step (from 0) when a share ``progress`` of the time is over."""
        fall = 0.5 * (1 + math.cos(math.pi * max(0.0, progress - self.held) / (1 - self.held)))
        return self.peak * min(1.0, (step + 1) / self.warmup) * max(self.rest, fall)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What makes one stage of training different from the others."""

    style: Callable[[], WindowStyle]
    """Makes the style of its windows (and the noise for them)."""
    batch_shape: Callable[[float, random.Random], tuple[int, int]]
    """Progress (0 to 1) → frames of a window, windows in a batch."""
    learning_rate: LearningRate
    loss_weights: Callable[[float], LossWeights]
    """Progress (0 to 1) → weights."""
    maps_timestamps: bool = False
    moves_windows: bool = False
    """Whether short windows stand anywhere in the 30 s instead of at their beginning."""


def _curriculum(progress: float, rng: random.Random) -> tuple[int, int]:
    if 0.1 < progress < 0.75 and rng.random() < 0.25:
        return 1000, 10
    if progress < 0.45:
        return 400, 24
    return (1000, 12) if progress < 0.75 else (3000, 4)


def _mostly_whole(progress: float, rng: random.Random) -> tuple[int, int]:
    kind = rng.random()
    if kind < 0.6:
        return 3000, 6
    return (1600, 10) if kind < 0.8 else (600, 16)


def _whole_or_moved(progress: float, rng: random.Random) -> tuple[int, int]:
    return (3000, 6) if rng.random() < 0.62 else (1000, 12)


def _sentences() -> WindowStyle:
    return WindowStyle(
        noise=FlatNoise(),
        noisy=0.7,
        silent=0.04,
        ended=0.12,
        delayed=0.33,
        prompted=0.25,
        prompt_sentences=(1, 2),
        timed=0.6,
        masked=0.5,
    )


def _long_windows() -> WindowStyle:
    return WindowStyle(
        noise=FlatNoise(),
        noisy=0.7,
        silent=0.08,
        ended=0.25,
        delayed=0.33,
        padded=0.75,
        prompted=0.25,
        prompt_sentences=(1, 2),
        timed=0.6,
        masked=0.5,
    )


def _recordings() -> WindowStyle:
    return WindowStyle(
        noise=NoiseBank(),
        noisy=0.6,
        silent=0.06,
        filled=0.65,
        ended=0.35,
        delayed=0.4,
        late=0.25,
        padded=0.75,
        prompted=0.6,
        prompt_sentences=(1, 2, 6, 12, 20, 20, 20),
        prompt_timed=0.6,
        timed=0.7,
        masked=0.4,
    )


STAGES: dict[int, Stage] = {
    1: Stage(
        style=_sentences,
        batch_shape=_curriculum,
        learning_rate=LearningRate(peak=1.2e-3, warmup=300, held=0.3, rest=0.03),
        loss_weights=lambda progress: LossWeights(letters=1.0 if progress < 0.4 else 0.3),
    ),
    2: Stage(
        style=_long_windows,
        batch_shape=_mostly_whole,
        learning_rate=LearningRate(peak=6e-4, warmup=100, held=0.2, rest=0.02),
        loss_weights=lambda progress: LossWeights(),
    ),
    3: Stage(
        style=_recordings,
        batch_shape=_whole_or_moved,
        learning_rate=LearningRate(peak=5e-4, warmup=100, held=0.15, rest=0.02),
        loss_weights=lambda progress: LossWeights(positions=0.5, timestamp_direction=1.0, alignment=0.5),
        maps_timestamps=True,
        moves_windows=True,
    ),
}
