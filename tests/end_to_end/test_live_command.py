"""``parlante live`` and the example client, as their users run them, against the real service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.end_to_end.service import API_KEY, DATA, REPOSITORY, WHISPER_MINI, Service, service, word_error_rate

RECORDING = DATA / "held_out" / "en-04.flac"
SAID = "Good morning, how are you today?"


@pytest.fixture(scope="module")
def whispering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    variables = {
        "PARLANTE_BACKENDS__TRANSCRIBER": "faster-whisper",
        "PARLANTE_BACKENDS__SYNTHESIZER": "espeak-ng",
        "PARLANTE_BACKENDS__OBJECT_STORE": "local",
        "MODEL_SIZE": str(WHISPER_MINI),
        "API_KEY": API_KEY,
    }
    with service(tmp_path_factory.mktemp("whispering"), "dev", variables) as running:
        yield running


def run(
    *command: str | Path, key: str | None = API_KEY, stdin: bytes | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "API_KEY"}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=REPOSITORY, env=environment | ({"API_KEY": key} if key else {}), input=stdin, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def live(url: str, *arguments: str | Path, **how: object) -> subprocess.CompletedProcess[str]:
    return run("-m", "app.command_line", "live", "--url", url, *arguments, **how)  # type: ignore[arg-type]


def finals(output: str) -> str:
    return " ".join(re.findall(r"^\d+:\d\d\.\d – \d+:\d\d\.\d  (.*)$", output, re.MULTILINE))


def samples() -> bytes:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
    with av.open(str(RECORDING)) as file:
        parts = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    return b"".join(part.to_ndarray().tobytes() for part in parts)


def test_a_file_comes_out_as_timed_lines(whispering: Service) -> None:
    done = live(whispering.url, RECORDING)
    assert done.returncode == 0, done.stderr
    assert word_error_rate(SAID, finals(done.stdout)) == 0
    assert re.search(r"^\d+\.\d s, language en$", done.stdout, re.MULTILINE)


def test_raw_samples_from_standard_input(whispering: Service) -> None:
    done = live(whispering.url, "--encoding", "pcm_s16le", "--language", "en", "-", stdin=samples())
    assert done.returncode == 0, done.stderr
    assert word_error_rate(SAID, finals(done.stdout)) == 0


@pytest.mark.parametrize("name", ["ogg-opus.ogg", "webm-opus-live.webm", "wav-streaming-header.wav", "mp3.mp3"])
def test_real_time_is_that_of_the_recording(whispering: Service, name: str) -> None:
    began = time.monotonic()
    done = live(whispering.url, "--realtime", DATA / "audio" / name)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    seconds = float(re.findall(r"^(\d+\.\d) s, language", done.stdout, re.MULTILINE)[0])
    assert took >= seconds - 0.2
    assert finals(done.stdout)


def test_partials_are_shown_while_the_recording_plays(whispering: Service) -> None:
    done = live(whispering.url, "--realtime", RECORDING)
    assert re.search(r"^\d+:\d\d\.\d …  .*\[.+\]$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("arguments", "key", "sentence"),
    [
        (["README.md"], API_KEY, "audio_invalid"),
        (["--language", "tlh", str(RECORDING)], API_KEY, "unsupported_language, status 400"),
        ([str(RECORDING)], None, "status 401"),
        (["--realtime", "README.md"], API_KEY, "no audio that can be paced"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(
    whispering: Service, arguments: list[str], key: str | None, sentence: str
) -> None:
    done = live(whispering.url, *arguments, key=key)
    assert done.returncode == 1
    assert done.stderr.startswith("parlante: "), done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_at_the_address_is_said_too() -> None:
    done = live("http://127.0.0.1:9", RECORDING)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no service answers at ws://127.0.0.1:9" in done.stderr


def test_the_example_client_needs_only_websockets(whispering: Service) -> None:
    example = REPOSITORY / "examples" / "live_client.py"
    imported = set(re.findall(r"^(?:from|import) (\w+)", example.read_text("utf-8"), re.MULTILINE))
    assert imported - set(sys.stdlib_module_names) == {"websockets"}
    plain = run(example, RECORDING, whispering.url)
    assert word_error_rate(SAID, plain.stdout) == 0, plain.stderr
    events = run(example, "--events", RECORDING, whispering.url)
    assert word_error_rate(SAID, " ".join(re.findall(r"^ *\d+\.\d\d (.*)$", events.stdout, re.MULTILINE))) == 0
