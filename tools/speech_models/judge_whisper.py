"""Bare faster-whisper over held-out speech: the figures that a server around it has to match."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from faster_whisper import WhisperModel

from tools.speech_models.held_out import HeldOut, load_references
from tools.speech_models.scoring import word_errors

MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "vad": {"vad_filter": True},
    "words": {"word_timestamps": True},
    "translate": {"task": "translate", "language": "es"},
}
"""Options of ``WhisperModel.transcribe``, over its defaults."""


def judge_whisper(model: Path, held_out: Path, *, threads: int = 2) -> list[str]:
    """Transcribe all files in all modes.

    Args:
        model: directory of a CTranslate2 Whisper model.
        held_out: directory of ``make_held_out``.
        threads: of CTranslate2.

    Returns:
        One line of figures for each kind of file and mode.
    """
    whisper = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=threads)
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    right: dict[str, int] = defaultdict(int)
    for reference in load_references(held_out):
        for mode, options in MODES.items():
            said = reference.text
            if mode == "translate":
                if reference.language != "es" or not reference.english:
                    continue
                said = reference.english
            segments, info = whisper.transcribe(str(held_out / reference.file), **options)
            case = f"{_kind(reference)}, {mode}"
            pairs[case].append((said, " ".join(segment.text for segment in segments)))
            right[case] += info.language == reference.language
    return [_line(case, pairs[case], right[case]) for case in sorted(pairs)]


def _kind(reference: HeldOut) -> str:
    if not reference.text:
        return "noise and silence"
    return f"{reference.language} {'sentences' if reference.english else 'recording'}"


def _line(case: str, pairs: list[tuple[str, str]], right: int) -> str:
    errors = word_errors(pairs)
    if not errors.words:
        return f"{case:28} {errors.errors} words heard in {len(pairs)} files"
    languages = f"language right in {right} of {len(pairs)}"
    return f"{case:28} WER {errors.rate:.3f} over {errors.words} words, {languages}"
