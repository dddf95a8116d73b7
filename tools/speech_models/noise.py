"""Background noise for training windows, as log-mel features."""

import random
from typing import Protocol

import numpy as np

from tools.speech_models.features import MEL_BINS, Features, coloured_noise, log_mel


class Noise(Protocol):
    """A source of background noise."""

    def __call__(self, frames: int, rng: random.Random, *, silence: bool) -> Features:
        """Draw noise.

        Args:
            frames: wanted.
            rng: source of the choice.
            silence: whether nothing is said in the window, so that the noise may be loud.

        Returns:
            Float32 of shape (80, frames), log10 of power.
        """
        ...


class FlatNoise:
    """Noise of one level in all mel bins, made in the features themselves: cheap, for the first stages."""

    def __init__(self) -> None:
        """Seed the noise."""
        self._noise = np.random.default_rng(0)

    def __call__(self, frames: int, rng: random.Random, *, silence: bool) -> Features:
        """Draw noise between inaudible and about the level of soft speech."""
        per_bin = self._noise.standard_normal((MEL_BINS, 1), np.float32) * 0.2
        per_frame = self._noise.standard_normal((MEL_BINS, frames), np.float32) * 0.4
        return np.asarray(rng.uniform(-10, -4.2) + per_bin + per_frame, np.float32)


class NoiseBank:
    """Real noise of several colours, some with a hum: what recordings have, for the last stage."""

    KINDS = 16
    COLOURS = (0, 0, 0, 0.5, 1, 1.5)
    """Exponents of ``coloured_noise``."""
    HUMS = (50, 60, 100, 120, 440)
    """Hertz."""
    LEVEL_DB = -40.0
    """Of the stored noises, relative to full scale."""

    def __init__(self) -> None:
        """Make the noises, 40 s each, so that a window can be cut from anywhere."""
        rng = np.random.default_rng(5)
        samples = 40 * 16_000
        time = np.arange(samples) / 16_000
        self._bank = []
        for kind in range(self.KINDS):
            noise = coloured_noise(samples, self.COLOURS[kind % len(self.COLOURS)], rng)
            if kind % 5 == 4:
                noise += np.sin(2 * np.pi * rng.choice(self.HUMS) * time) * rng.uniform(0.3, 3)
            noise *= 10 ** (self.LEVEL_DB / 20) / noise.std()
            self._bank.append(log_mel(noise))

    def __call__(self, frames: int, rng: random.Random, *, silence: bool) -> Features:
        """Draw noise between -80 and -42 dB of full scale, up to -10 dB where nothing is said."""
        noise = rng.choice(self._bank)
        start = rng.randrange(noise.shape[1] - frames)
        gain_db = rng.uniform(-35, 30) if silence else rng.uniform(-40, -2)
        return np.asarray(noise[:, start : start + frames] + 2 * gain_db / 20, np.float32)
