"""Faster and slower speech at the same pitch, by FFmpeg's filter ``atempo`` (WSOLA) through PyAV.

One way for all models: Tacotron 2 has no control of its speed, others have one each of their own.
"""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
import numpy as np

from domain.audio import Samples


def stretch(samples: Samples, sample_rate: int, speed: float) -> Samples:
    """Play ``samples`` ``speed`` times as fast without changing their pitch.

    Args:
        samples: Mono float32, at least one sample.
        sample_rate: Samples per second, in hertz.
        speed: 0.5 to 2.0; 2.0 takes half the time.

    Returns:
        Mono float32 of the same sample rate, about ``len(samples) / speed`` long.
    """
    if speed == 1.0:
        return samples
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono", time_base=Fraction(1, sample_rate)),
        graph.add("atempo", f"{speed:.4f}"),
        graph.add("abuffersink"),
    ).configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[np.newaxis]), format="flt", layout="mono")
    frame.sample_rate = sample_rate
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    parts: list[Samples] = []
    while True:
        try:
            parts.append(graph.pull().to_ndarray()[0])
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.concatenate(parts) if parts else samples[:0]
