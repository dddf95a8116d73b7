"""Recordings of ``tests/data/held_out`` with what is said in them, and how they are compared with what was heard."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
from faster_whisper.audio import decode_audio

from domain.audio import Waveform
from domain.ports.transcriber import Transcriber
from domain.transcript import Segment, TranscribeOptions, TranscriptionStarted

DATA = Path(__file__).parents[1] / "data"
WHISPER_MINI = DATA / "models" / "whisper-mini"
SAMPLE_RATE = 16_000


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording and its words."""

    path: Path
    language: str
    text: str
    english: str | None
    voice: str

    def waveform(self) -> Waveform:
        return Waveform(samples=decode_audio(str(self.path)), sample_rate=SAMPLE_RATE)


def recordings() -> dict[str, Recording]:
    """All, by the names of their files without suffix."""
    listed = json.loads((DATA / "held_out" / "refs.json").read_text())
    return {
        Path(entry["file"]).stem: Recording(
            path=DATA / "held_out" / entry["file"],
            language=entry["language"],
            text=entry["text"],
            english=entry["english"],
            voice=entry["voice"],
        )
        for entry in listed
    }


RECORDINGS = recordings()


def spoken(text: str) -> str:
    """The words of a text, in lower case and without punctuation."""
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c in " '").split())


def word_error_rate(said: list[str], heard: list[str]) -> float:
    return float(jiwer.wer([spoken(text) for text in said], [spoken(text) for text in heard]))


async def hear(
    transcriber: Transcriber, audio: Waveform, options: TranscribeOptions | None = None
) -> tuple[TranscriptionStarted, list[Segment]]:
    """Transcribe to the end: the first event and the segments."""
    started: TranscriptionStarted | None = None
    segments: list[Segment] = []
    async for event in _events(transcriber, audio, options or TranscribeOptions()):
        if isinstance(event, Segment):
            segments.append(event)
        else:
            assert started is None
            started = event
    assert started is not None
    return started, segments


async def _events(
    transcriber: Transcriber, audio: Waveform, options: TranscribeOptions
) -> AsyncIterator[TranscriptionStarted | Segment]:
    async for event in transcriber.transcribe(audio, options):
        yield event


def text_of(segments: list[Segment]) -> str:
    return " ".join(segment.text for segment in segments)
