"""The speech in the repository is what its lists say."""

import json
from pathlib import Path

import pytest

from tools.speech_models.audio_file import read_pcm
from tools.speech_models.held_out import REFERENCES, load_references

REPOSITORY = Path(__file__).parents[3]
HELD_OUT = REPOSITORY / "tests" / "data" / "held_out"
AUDIO = REPOSITORY / "tests" / "data" / "audio"
SAMPLES = REPOSITORY / "samples"


def _files(directory: Path, *, without: set[str]) -> set[str]:
    return {file.name for file in directory.iterdir() if file.name not in without}


def test_held_out_references_match_the_files() -> None:
    """Each file has one reference, and each reference its file."""
    references = load_references(HELD_OUT)
    names = [reference.file for reference in references]
    assert len(set(names)) == len(names)
    assert set(names) == _files(HELD_OUT, without={REFERENCES, "README.md"})


def test_held_out_speech_has_words_and_noise_has_none() -> None:
    """20 sentences and a recording a language, and four files in which nobody speaks."""
    references = load_references(HELD_OUT)
    for language in ("en", "es"):
        spoken = [one for one in references if one.language == language and one.text]
        assert len([one for one in spoken if one.english]) == 20
        assert [one.voice for one in spoken if not one.english] == ["mixed"]
    assert [one.voice for one in references if not one.text] == ["noise", "noise", "noise", "silence"]


@pytest.mark.parametrize(("file", "seconds"), [("en-40s.flac", 40), ("es-40s.flac", 40), ("silence.flac", 30)])
def test_long_files_are_as_long_as_they_say(file: str, seconds: int) -> None:
    """The recordings end with the sentence that passes their length."""
    assert seconds <= len(read_pcm(HELD_OUT / file)) / 16_000 < seconds + 8


def test_samples_match_their_list() -> None:
    """The demo's recordings are listed, and last 2 to 11 seconds."""
    listed = json.loads((SAMPLES / "samples.json").read_text())
    assert {one["file"] for one in listed} == _files(SAMPLES, without={"samples.json", "README.md"})
    for one in listed:
        assert 2 < len(read_pcm(SAMPLES / one["file"])) / 16_000 < 11.5


def test_codec_files_hold_the_same_speech() -> None:
    """Every format decodes to the same length, within what lossy codecs pad."""
    listing = json.loads((AUDIO / "files.json").read_text())
    assert {one["file"] for one in listing["files"]} == _files(AUDIO, without={"files.json", "README.md"})
    for one in listing["files"]:
        seconds = len(read_pcm(AUDIO / one["file"])) / 16_000
        assert seconds == pytest.approx(listing["seconds"], abs=0.06), one["file"]
