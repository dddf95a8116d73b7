"""Make the files of the codec tests in ``tests/data/audio/``: ``python -m tools.codec_samples``.

One sentence of the demo (``samples/train.mp3``, before its encoding) in every format that a client is likely
to send. Beside the files, ``files.json`` says what is in each.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from tools.samples import SAMPLES, speak
from tools.speech_models.audio_file import Samples, write_audio
from tools.speech_models.speech import SAMPLE_RATE

DIRECTORY = Path(__file__).parent.parent / "tests" / "data" / "audio"
SENTENCE = SAMPLES[1]
STREAMING_WAV, VIDEO = "wav-streaming-header.wav", "mp4-video-aac.mp4"

VIDEO_WIDTH, VIDEO_HEIGHT, FRAMES_PER_SECOND = 64, 48, 2
UNKNOWN_SIZE = 0xFFFFFFFF
"""What a program writes into a WAV header when it does not know yet how long the sound will be."""


@dataclass(frozen=True, kw_only=True)
class CodecSample:
    """One file, as ``files.json`` lists it."""

    file: str
    codec: str
    """FFmpeg's name of the encoder."""
    sample_rate: int
    """Hertz, as the file says."""
    channels: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    """More options of ``write_audio``."""

    def write(self, samples: Samples, directory: Path) -> None:
        """Encode mono samples at 16 kHz."""
        write_audio(
            directory / self.file,
            samples,
            SAMPLE_RATE,
            codec=self.codec,
            encoded_rate=self.sample_rate,
            layout="stereo" if self.channels == 2 else "mono",
            **self.options,
        )


# A MediaRecorder's file is written while it is recorded: no duration, no cues, clusters of unknown size.
_LIVE = {"container": "webm", "container_options": {"live": "1"}}
# FFmpeg's own Vorbis encoder is marked experimental and knows stereo only; the wheel has no libvorbis.
_VORBIS = {"sample_format": "fltp", "codec_options": {"strict": "experimental"}}

CODEC_SAMPLES = (
    CodecSample(file="wav-s16-8k-mono.wav", codec="pcm_s16le", sample_rate=8_000),
    CodecSample(file="wav-s16-44k-stereo.wav", codec="pcm_s16le", sample_rate=44_100, channels=2),
    CodecSample(file="wav-float32.wav", codec="pcm_f32le", sample_rate=16_000, options={"sample_format": "flt"}),
    CodecSample(file="mp3.mp3", codec="libmp3lame", sample_rate=44_100, options={"sample_format": "s16p"}),
    CodecSample(file="flac.flac", codec="flac", sample_rate=16_000),
    CodecSample(file="ogg-opus.ogg", codec="libopus", sample_rate=48_000),
    CodecSample(file="ogg-vorbis.ogg", codec="vorbis", sample_rate=44_100, channels=2, options=_VORBIS),
    CodecSample(file="webm-opus-live.webm", codec="libopus", sample_rate=48_000, options=_LIVE),
    CodecSample(file="m4a-aac.m4a", codec="aac", sample_rate=44_100, options={"sample_format": "fltp"}),
)


def write_streaming_wav(path: Path, samples: Samples) -> None:
    """Write 16 kHz 16-bit WAV whose header leaves the length open."""
    pcm = np.round(samples * 32767).astype("<i2").tobytes()
    layout = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    header = b"RIFF" + struct.pack("<I", UNKNOWN_SIZE) + b"WAVE"
    header += b"fmt " + struct.pack("<I", len(layout)) + layout
    path.write_bytes(header + b"data" + struct.pack("<I", UNKNOWN_SIZE) + pcm)


def write_video(path: Path, samples: Samples) -> None:
    """Write MP4 with a small grey picture that grows brighter (H.264), and the samples as AAC."""
    pcm = av.AudioFrame.from_ndarray(np.round(samples * 32767).astype(np.int16)[None, :], "s16", "mono")
    pcm.sample_rate, pcm.pts = SAMPLE_RATE, 0
    with av.open(str(path), "w") as file:
        video: Any = file.add_stream("libx264", rate=FRAMES_PER_SECOND)
        video.width, video.height, video.pix_fmt = VIDEO_WIDTH, VIDEO_HEIGHT, "yuv420p"
        audio: Any = file.add_stream("aac", rate=SAMPLE_RATE)
        audio.layout, audio.format = "mono", "fltp"
        for picture in _pictures(len(samples) / SAMPLE_RATE):
            file.mux(video.encode(picture))
        for stream, frames in ((video, ()), (audio, (pcm,))):
            for frame in (*frames, None):
                file.mux(stream.encode(frame))


def _pictures(seconds: float) -> Iterator[av.VideoFrame]:
    """Yield frames for so many seconds, each a little brighter than the last."""
    for number in range(int(seconds * FRAMES_PER_SECOND)):
        picture = np.full((VIDEO_HEIGHT, VIDEO_WIDTH, 3), 40 + 20 * number, np.uint8)
        yield av.VideoFrame.from_ndarray(picture, format="rgb24")


def main() -> None:
    """Write all files and their list."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    samples = speak(SENTENCE)
    for sample in CODEC_SAMPLES:
        sample.write(samples, DIRECTORY)
    write_streaming_wav(DIRECTORY / STREAMING_WAV, samples)
    write_video(DIRECTORY / VIDEO, samples)
    written = (
        *CODEC_SAMPLES,
        CodecSample(file=STREAMING_WAV, codec="pcm_s16le", sample_rate=SAMPLE_RATE),
        CodecSample(file=VIDEO, codec="aac", sample_rate=SAMPLE_RATE),
    )
    listing = {
        "text": SENTENCE.text,
        "voice": SENTENCE.voice,
        "seconds": round(len(samples) / SAMPLE_RATE, 3),
        "files": [{name: value for name, value in asdict(one).items() if name != "options"} for one in written],
    }
    (DIRECTORY / "files.json").write_text(json.dumps(listing, indent=2) + "\n")


if __name__ == "__main__":
    main()
