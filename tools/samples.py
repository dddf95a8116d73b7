"""Make the demo's recordings in ``samples/``: ``python -m tools.samples`` (Debian's ``flite``).

Each is spoken by one of flite's free voices, encoded in another format, decoded again as the service decodes
it, and kept only if PocketSphinx, with the model of its wheel, hears its words exactly: the demo shows what
is heard.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketsphinx import Decoder

from tools.speech_models.audio_file import Samples, read_pcm, write_audio
from tools.speech_models.scoring import normalize
from tools.speech_models.speech import SAMPLE_RATE, flite

LIVE_CHUNK = 1600
"""Samples: a tenth of a second."""
DIRECTORY = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One recording, as ``samples.json`` lists it."""

    file: str
    voice: str
    """Of flite."""
    text: str


SAMPLES = (
    Sample(file="privacy.wav", voice="rms", text="Your audio stays on your own machine."),
    Sample(file="train.mp3", voice="slt", text="The train to Boston leaves at seven in the evening."),
    Sample(file="letter.flac", voice="slt", text="Could you please read this letter to me?"),
    Sample(
        file="library.ogg",
        voice="slt",
        text="The library is open from nine in the morning until six in the evening.",
    ),
    Sample(
        file="meeting.mp3",
        voice="rms",
        text=(
            "The meeting has been moved from Tuesday afternoon to Thursday morning, because the director "
            "will be in Chicago for most of the week. Please tell the others and bring the report with you."
        ),
    ),
)

ENCODINGS: Mapping[str, Mapping[str, Any]] = {
    ".wav": {"codec": "pcm_s16le"},
    ".flac": {"codec": "flac"},
    ".mp3": {"codec": "libmp3lame", "sample_format": "s16p", "bit_rate": 64_000},
    ".ogg": {"codec": "libopus", "bit_rate": 32_000},
}
"""How files of each suffix are written, see ``write_audio``; all are mono at 16 kHz."""


def speak(sample: Sample) -> Samples:
    """Return the sound of a sample, float32 of shape (samples,) at 16 kHz."""
    return flite(sample.text, sample.voice)


def recognize(path: Path, decoder: Decoder, chunk: int | None = None) -> str:
    """Return the words that PocketSphinx hears in a file, lower case, empty if none.

    Args:
        path: of the file.
        decoder: a used one hears a little differently, because it keeps its estimate of the channel (its
            cepstral mean).
        chunk: samples to give at a time, as live; without it the decoder gets the whole utterance.
    """
    pcm = read_pcm(path, SAMPLE_RATE)
    decoder.start_utt()
    for start in range(0, len(pcm), chunk or len(pcm)):
        decoder.process_raw(pcm[start : start + (chunk or len(pcm))].tobytes(), full_utt=chunk is None)
    decoder.end_utt()
    heard = decoder.hyp()
    return str(heard.hypstr) if heard else ""


def main() -> None:
    """Write all samples and their list.

    Raises:
        SystemExit: PocketSphinx, new, used or live, hears other words in one of them.
    """
    DIRECTORY.mkdir(exist_ok=True)
    used = _new_decoder()
    for sample in SAMPLES:
        path = DIRECTORY / sample.file
        write_audio(path, speak(sample), SAMPLE_RATE, **ENCODINGS[path.suffix])
        for decoder, chunk in ((_new_decoder(), None), (_new_decoder(), LIVE_CHUNK), (used, None)):
            heard = recognize(path, decoder, chunk)
            if heard != normalize(sample.text):
                raise SystemExit(f"{sample.file}: PocketSphinx hears {heard!r}")
        print(f"{sample.file}: {path.stat().st_size} bytes")
    listing = json.dumps([asdict(sample) for sample in SAMPLES], indent=2)
    (DIRECTORY / "samples.json").write_text(listing + "\n")


def _new_decoder() -> Decoder:
    return Decoder(loglevel="FATAL")


if __name__ == "__main__":
    main()
