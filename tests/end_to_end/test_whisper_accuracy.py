"""The service hears, to the word, what bare faster-whisper hears of the same files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jiwer
import pytest
from faster_whisper import WhisperModel

from tests.end_to_end.service import DATA, EMBEDDED, WHISPER_MINI, Service, service, words

HELD_OUT = json.loads((DATA / "held_out" / "refs.json").read_text("utf-8"))
SHORT = [entry for entry in HELD_OUT if "40s" not in entry["file"] and words(entry["text"])]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with Whisper, its settings those of the default configuration."""
    variables = {
        **EMBEDDED,
        "PARLANTE_BACKENDS__TRANSCRIBER": "faster-whisper",
        "MODEL_SIZE": str(WHISPER_MINI),
    }
    with service(tmp_path_factory.mktemp("hearing"), "dev", variables) as running:
        yield running


def bare(whisper: WhisperModel, name: str, **options: Any) -> list[tuple[float, float, str]]:
    """Start, end and text of each segment that has a text."""
    segments, _ = whisper.transcribe(str(DATA / "held_out" / name), **options)
    return [(s.start, s.end, s.text.strip()) for s in segments if s.text.strip()]


@pytest.fixture(scope="module")
def heard(hearing: Service, whisper: WhisperModel) -> dict[str, tuple[str, str]]:
    """What the service and bare faster-whisper hear in each recording of the held-out set."""
    texts = {}
    for entry in HELD_OUT:
        name = entry["file"]
        service_text = hearing.transcribe(DATA / "held_out" / name).json()["transcription"]
        texts[name] = (service_text, " ".join(text for *_, text in bare(whisper, name)))
    return texts


def test_every_text_is_the_same(heard: dict[str, tuple[str, str]]) -> None:
    assert {name: service_text for name, (service_text, _) in heard.items()} == {
        name: bare_text for name, (_, bare_text) in heard.items()
    }


@pytest.mark.parametrize(("language", "most"), [("en", 0.05), ("es", 0.02)])
def test_the_word_error_rate_is_that_of_the_model(
    heard: dict[str, tuple[str, str]], language: str, most: float
) -> None:
    entries = [entry for entry in SHORT if entry["language"] == language]
    assert len(entries) == 20
    said = [" ".join(words(entry["text"])) for entry in entries]
    by_service, by_model = (
        jiwer.wer(said, [" ".join(words(heard[entry["file"]][side])) for entry in entries]) for side in (0, 1)
    )
    assert by_service == by_model
    assert by_service <= most


def test_silence_and_noise_have_no_words(heard: dict[str, tuple[str, str]]) -> None:
    quiet = [name for name in heard if name.startswith(("silence", "noise"))]
    assert len(quiet) == 4
    assert [heard[name][0] for name in quiet] == [""] * 4


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 1},
        {"language": "es", "task": "translate"},
        {"vad": True},
        {"temperature": 0.0},
        {"hotwords": "Lima"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_mean_what_they_mean_to_the_model(
    hearing: Service, whisper: WhisperModel, options: dict[str, Any]
) -> None:
    named = {"vad_filter" if name == "vad" else name: value for name, value in options.items()}
    answer = hearing.transcribe(DATA / "held_out" / "es-00.flac", **options).json()
    expected = bare(whisper, "es-00.flac", **named)
    assert answer["transcription"] == " ".join(text for *_, text in expected)
    assert [segment["start"] for segment in answer["segments"]] == pytest.approx([start for start, *_ in expected])


def test_words_have_the_times_of_the_model(hearing: Service, whisper: WhisperModel) -> None:
    name = "en-00.flac"
    answer = hearing.transcribe(DATA / "held_out" / name, word_timestamps=True).json()
    segments, _ = whisper.transcribe(str(DATA / "held_out" / name), word_timestamps=True)
    expected = [(w.word.strip(), w.start, w.end) for segment in segments for w in segment.words or []]
    found = [(w["word"], w["start"], w["end"]) for segment in answer["segments"] for w in segment["words"]]
    assert [word for word, *_ in found] == [word for word, *_ in expected]
    assert [time for _, *times in found for time in times] == pytest.approx(
        [time for _, *times in expected for time in times], abs=0.011
    )
