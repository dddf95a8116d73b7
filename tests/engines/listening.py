"""Hears what a synthesizer says: speech in, words out, by the small trained Whisper of the test data."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import jiwer
import numpy as np
from faster_whisper import WhisperModel

from domain.audio import Samples, Waveform

_MODEL = Path(__file__).parents[1] / "data" / "models" / "whisper-mini"

# Sentences of the grammar that whisper-mini and coqui-mini know; none of them was in their training data.
SENTENCES = {
    "en": (
        "The train from Paris to Lima leaves on Friday.",
        "Open the door of the bedroom and close the window of the office.",
        "The small fish sleeps near the small rabbit.",
        "Set a timer for thirty five hours.",
        "I would like eight tomatoes and seven coffees.",
        "Please send the key to Lucy on Tuesday.",
        "The meeting starts on Friday, January sixteen.",
        "The meeting starts on Wednesday, December thirty.",
        "I would like six sandwiches and seventeen coffees.",
        "The train from Rome to Madrid leaves on Sunday.",
        "Please send the book to Elena on Saturday.",
        "The meeting starts on Monday, July thirty.",
    ),
    "es": (
        "El tren de París a Lima sale el viernes.",
        "Abre la puerta del dormitorio y cierra la ventana de la oficina.",
        "El pez pequeño duerme cerca del conejo pequeño.",
        "Pon un temporizador de treinta y cinco horas.",
        "Quisiera ocho tomates y siete cafés.",
        "La reunión empieza el viernes dieciséis de enero.",
        "La reunión empieza el miércoles treinta de diciembre.",
        "El número es cinco uno tres.",
        "Quisiera seis bocadillos y diecisiete cafés.",
        "El tren de Roma a Madrid sale el domingo.",
        "Por favor, envía el libro a Elena el sábado.",
        "El león perezoso canta con el perro grande.",
    ),
}

_PLAIN = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip()])


def joined(pieces: list[Waveform]) -> Samples:
    return np.concatenate([piece.samples for piece in pieces])


def hear(pieces: list[Waveform]) -> tuple[str, str]:
    """The words and the language (detected) that Whisper hears."""
    samples = _resampled(joined(pieces), pieces[0].sample_rate)
    quarter = np.zeros(4_000, dtype=np.float32)
    samples = np.concatenate([quarter, samples * (0.6 / max(1e-3, np.abs(samples).max())), quarter])
    segments, info = _whisper().transcribe(samples)
    return " ".join(segment.text.strip() for segment in segments), info.language


def word_error_rate(said: list[str], heard: list[str]) -> float:
    """Wrong, missing and extra words over all words; case and punctuation do not count."""
    return jiwer.wer([_PLAIN(text) for text in said], [_PLAIN(text) for text in heard])


def fundamental(samples: Samples, sample_rate: int) -> float:
    """Median height of the voiced parts in hertz, between 60 and 500, by autocorrelation of 40 ms frames."""
    size = sample_rate // 25
    shortest, longest = sample_rate // 500, sample_rate // 60
    heights = []
    for start in range(0, len(samples) - size, size // 2):
        frame = samples[start : start + size] - samples[start : start + size].mean()
        if np.sqrt((frame**2).mean()) < 0.02:
            continue
        correlation = np.correlate(frame, frame, "full")[size - 1 :]
        correlation *= size / np.arange(size, 0, -1)  # fewer products, the longer the lag
        peaks = correlation[shortest:longest]
        best = peaks.max()
        if best > 0.6 * correlation[0]:
            # The first lag that is nearly as good, lest a multiple of the period wins.
            heights.append(sample_rate / (shortest + int(np.argmax(peaks > 0.92 * best))))
    return float(np.median(heights))


@cache
def _whisper() -> WhisperModel:
    return WhisperModel(str(_MODEL), device="cpu", compute_type="int8", cpu_threads=2)


def _resampled(samples: Samples, sample_rate: int) -> Samples:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[np.newaxis]), format="flt", layout="mono")
    frame.sample_rate = sample_rate
    return np.concatenate([f.to_ndarray()[0] for given in (frame, None) for f in resampler.resample(given)])
