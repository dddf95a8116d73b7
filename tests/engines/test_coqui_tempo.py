"""Time-stretching: as fast as asked, as high as before."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.coqui.tempo import stretch
from domain.audio import Samples

RATE = 22_050


def tone(hertz: float, seconds: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def height(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
@pytest.mark.parametrize("hertz", [110.0, 220.0, 880.0])
def test_changes_the_duration_and_not_the_pitch(speed: float, hertz: float) -> None:
    stretched = stretch(tone(hertz, 2.0), RATE, speed)
    assert len(stretched) / RATE == pytest.approx(2.0 / speed, rel=0.03)
    assert height(stretched) == pytest.approx(hertz, rel=0.02)
    assert np.sqrt((stretched**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


def test_speed_one_changes_nothing() -> None:
    samples = tone(220, 0.1)
    assert stretch(samples, RATE, 1.0) is samples


@pytest.mark.parametrize("samples", [1, 10, 500])
def test_the_shortest_sounds_come_through(samples: int) -> None:
    stretched = stretch(np.full(samples, 0.1, dtype=np.float32), RATE, 2.0)
    assert stretched.dtype == np.float32
    assert len(stretched) <= samples
