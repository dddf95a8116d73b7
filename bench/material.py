"""What the benchmarks run on: the small test model, clips, and the settings of the service that they start."""

from __future__ import annotations

import os
from pathlib import Path

import av

from app.service_process import repository

WHISPER_MODEL = repository() / "tests" / "data" / "models" / "whisper-mini"

BENCH_SERVICE = {
    "PARLANTE_BACKENDS__TRANSCRIBER": "faster-whisper",
    "MODEL_SIZE": str(WHISPER_MODEL),
    "DEVICE": "cpu",
}
"""Variables of the demo environment with the real engine on the test model."""


def clip_of_11_seconds() -> tuple[Path, float]:
    """A recording of about 11 s and its length: human speech where ``../shared`` is there, else a sample."""
    human = Path(os.environ.get("PARLANTE_SHARED", repository().parent / "shared")) / "audio" / "jfk.flac"
    clips = [human] if human.is_file() else sorted((repository() / "samples").glob("*.*"))
    lengths = [(clip, _seconds(clip)) for clip in clips if clip.suffix not in {".json", ".md"}]
    return min(lengths, key=lambda entry: abs(entry[1] - 11.0))


def _seconds(clip: Path) -> float:
    with av.open(str(clip)) as container:
        return (container.duration or 0) / av.time_base
