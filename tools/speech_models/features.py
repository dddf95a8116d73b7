"""Log-mel features as faster-whisper computes them, and noise.

They are kept before normalisation, so that windows can be composed of them. All features here are float32 of
shape (80, frames), one frame every 10 ms, in log10 of power.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

MEL_BINS = 80
FRAMES_PER_SECOND = 100
WINDOW_FRAMES = 3000
"""Whisper's window: 30 seconds."""
SILENCE = -10.0
"""The log10 power of digital silence, where the features are clipped."""


@cache
def _extractor() -> Any:
    from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415  (brings CTranslate2)

    return FeatureExtractor()


def log_mel(samples: NDArray[np.floating[Any]]) -> Features:
    """Return the raw log-mel features of mono sound at 16 kHz, shape (80, samples // 160)."""
    window = np.hanning(401)[:-1].astype(np.float32)
    spectrum = _extractor().stft(samples.astype(np.float32), 400, 160, window=window, return_complex=True)
    power = np.abs(spectrum[..., :-1].astype(np.complex64)) ** 2
    mel = np.maximum(_extractor().mel_filters @ power, 10**SILENCE)
    return np.asarray(np.log10(mel), np.float32)


def normalize(raw: Features) -> Features:
    """Apply Whisper's normalisation: at most 8 decades below the maximum, then scaled to about ±1."""
    return np.asarray((np.maximum(raw, raw.max() - 8) + 4) / 4, np.float32)


def coloured_noise(samples: int, exponent: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return noise of unit power whose amplitude falls as f to minus ``exponent``.

    Args:
        samples: how many, at 16 kHz.
        exponent: 0 is white noise, 0.5 pink, 1 brown; below 20 Hz the spectrum is flat.
        rng: source of the noise.

    Returns:
        Float64 of shape (samples,).
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.maximum(np.fft.rfftfreq(samples, 1 / 16_000), 20)
    noise = np.fft.irfft(spectrum / frequencies**exponent, samples)
    return np.asarray(noise / noise.std())
