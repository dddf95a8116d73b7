"""The environment ``demo``, as the README promises it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import httpx
import psutil
import pytest
from faster_whisper import WhisperModel

from tests.end_to_end.service import (
    DATA,
    REPOSITORY,
    Service,
    eventually,
    service,
    word_error_rate,
    words,
)

SAMPLES = json.loads((REPOSITORY / "samples" / "samples.json").read_text("utf-8"))
FORMATS = json.loads((DATA / "audio" / "files.json").read_text("utf-8"))
SENTENCES = {
    "en": "Please send the key to Lucy on Tuesday.",
    "es": "Abre la puerta del dormitorio y cierra la ventana de la oficina.",
}
AUDIO_FORMATS = {
    "wav": ("audio/wav", "pcm_s16le"),
    "mp3": ("audio/mpeg", "mp3float"),
    "opus": ("audio/ogg", "opus"),
    "flac": ("audio/flac", "flac"),
}
STAGES = "parlante_stage_seconds_count"
DEMO = [sys.executable, "-m", "app.command_line", "demo"]


def readme_commands() -> list[str]:
    """The commands of the README that ask the service something."""
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    section = readme.split("## Ask it something")[1].split("##")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    return [line for line in block[1].replace("\\\n", " ").splitlines() if line.startswith("curl ")]


def ask(command: str, service: Service) -> dict[str, Any]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = command.replace("http://localhost:8000", service.url)
    done = subprocess.run(["sh", "-c", command], cwd=REPOSITORY, capture_output=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_first_command_of_the_readme_transcribes(demo: Service) -> None:
    transcribe, _ = readme_commands()
    answer = ask(transcribe, demo)
    said = next(sample["text"] for sample in SAMPLES if sample["file"] == "meeting.mp3")
    assert words(answer["transcription"]) == words(said)
    assert set(answer) == {"transcription", "language", "language_probability", "duration", "model", "segments"}


def test_the_second_command_of_the_readme_speaks(demo: Service) -> None:
    _, synthesize = readme_commands()
    answer = ask(synthesize, demo)
    assert httpx.get(answer["url"]).content[:4] == b"RIFF"


@pytest.mark.parametrize("entry", FORMATS["files"], ids=lambda entry: entry["file"])
def test_every_format_is_heard(demo: Service, entry: dict[str, Any]) -> None:
    answer = demo.transcribe(DATA / "audio" / entry["file"]).json()
    mistakes = 0.3 if entry["sample_rate"] < 16_000 else 0.0  # PocketSphinx's model was not made for the telephone
    assert word_error_rate(FORMATS["text"], answer["transcription"]) <= mistakes
    assert answer["duration"] == pytest.approx(FORMATS["seconds"], abs=0.15)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["file"])
def test_every_sample_is_heard(demo: Service, sample: dict[str, str]) -> None:
    answer = demo.transcribe(REPOSITORY / "samples" / sample["file"]).json()
    assert words(answer["transcription"]) == words(sample["text"])


def test_words_come_with_their_times(demo: Service) -> None:
    answer = demo.transcribe(REPOSITORY / "samples" / "train.mp3", word_timestamps="true").json()
    timed = [word for segment in answer["segments"] for word in segment["words"]]
    assert [word["word"] for word in timed] == answer["transcription"].split()
    assert all(word["start"] < word["end"] <= answer["duration"] for word in timed)
    assert [word["start"] for word in timed] == sorted(word["start"] for word in timed)


@pytest.mark.parametrize("audio_format", AUDIO_FORMATS)
@pytest.mark.parametrize("language", SENTENCES)
def test_speech_is_downloaded_by_its_link(demo: Service, language: str, audio_format: str, tmp_path: Path) -> None:
    content_type, codec = AUDIO_FORMATS[audio_format]
    answer = demo.synthesize(SENTENCES[language], language, format=audio_format)
    assert answer.status_code == 201
    speech = answer.json()
    downloaded = httpx.get(speech["url"])
    assert downloaded.status_code == 200
    assert downloaded.headers["content-type"] == speech["content_type"] == content_type
    assert len(downloaded.content) == speech["size"]
    file = tmp_path / "speech"
    file.write_bytes(downloaded.content)
    with av.open(str(file)) as container:
        assert container.streams.audio[0].codec_context.name == codec
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert seconds == pytest.approx(speech["duration"], abs=0.1)


@pytest.mark.parametrize("language", SENTENCES)
def test_speech_is_understood(demo: Service, language: str, tmp_path: Path, whisper: WhisperModel) -> None:
    file = tmp_path / "speech.wav"
    file.write_bytes(httpx.get(demo.synthesize(SENTENCES[language], language).json()["url"]).content)
    segments, heard = whisper.transcribe(str(file))
    assert heard.language == language
    assert words(" ".join(segment.text for segment in segments)) == words(SENTENCES[language])


@pytest.fixture(scope="module")
def link(demo: Service) -> str:
    url: str = demo.synthesize("Every link can be asked for a part.").json()["url"]
    return url


def test_a_part_of_the_audio_can_be_asked_for(link: str) -> None:
    whole = httpx.get(link).content
    part = httpx.get(link, headers={"Range": "bytes=4-11"})
    assert part.status_code == 206
    assert part.content == whole[4:12]
    assert part.headers["content-range"] == f"bytes 4-11/{len(whole)}"


def test_a_part_past_the_end_is_refused(link: str) -> None:
    size = len(httpx.get(link).content)
    part = httpx.get(link, headers={"Range": f"bytes={size}-"})
    assert part.status_code == 416
    assert part.headers["content-range"] == f"bytes */{size}"


def test_head_tells_what_a_download_would_bring(link: str) -> None:
    whole, head = httpx.get(link), httpx.head(link)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-length", "content-type", "accept-ranges", "last-modified"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("part", ["path", "expires", "signature"])
def test_an_altered_link_is_refused(link: str, part: str) -> None:
    altered = {
        "path": link.replace(".wav?", ".mp3?"),
        "expires": link.replace("expires=", "expires=1"),
        "signature": link[:-1] + ("0" if link[-1] != "0" else "1"),
    }[part]
    answer = httpx.get(altered)
    assert (answer.status_code, answer.json()["code"]) == (403, "signature_invalid")


def test_a_link_without_its_signature_is_refused(link: str) -> None:
    assert httpx.get(link.partition("?")[0]).status_code == 403


def test_the_same_request_is_spoken_once(demo: Service) -> None:
    before = demo.metric(STAGES, use_case="synthesize", stage="inference")
    first, second = (demo.synthesize("Nobody says this twice.").json() for _ in range(2))
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["key"] == second["key"]
    assert demo.metric(STAGES, use_case="synthesize", stage="inference") == before + 1


def test_equal_requests_at_one_moment_are_spoken_once(demo: Service) -> None:
    before = demo.metric(STAGES, use_case="synthesize", stage="inference")
    text = "All of us want to hear the same. " * 40
    with ThreadPoolExecutor(8) as pool:
        answers = [answer.json() for answer in pool.map(demo.synthesize, [text] * 8)]
    assert sorted(answer["cached"] for answer in answers) == [False] + 7 * [True]
    assert len({answer["key"] for answer in answers}) == 1
    assert demo.metric(STAGES, use_case="synthesize", stage="inference") == before + 1


def test_the_docs_need_no_network(demo: Service) -> None:
    page = demo.http.get("/docs")
    assert page.status_code == 200
    linked = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']([^\"']+)", page.text)
    assert linked
    for address in linked:
        assert address.startswith(("/", "data:")), f"{address} is on another server"
        assert address.startswith("data:") or demo.http.get(address).status_code == 200


def test_the_docs_show_every_operation(demo: Service) -> None:
    document = demo.http.get("/openapi.json").json()
    operations = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert {"transcribe", "synthesize", "listVoices", "listModels", "live", "ready", "metrics"} <= operations
    assert all(f'"operationId":"{name}"' in demo.http.get("/docs").text for name in operations)


def test_every_answer_has_the_id_of_its_request(demo: Service) -> None:
    assert demo.http.get("/nowhere", headers={"X-Request-ID": "mine"}).headers["x-request-id"] == "mine"


def test_sigterm_ends_the_service_and_every_process_of_it(folder: Path) -> None:
    with service(folder) as running:
        processes = running.processes()
        assert len(processes) == 3, "the supervisor, the worker and PocketSphinx's decoder"
        psutil.Process(running.pid).terminate()
        assert eventually(lambda: not running.processes(), within=40)


@pytest.mark.slow
def test_sigterm_lets_running_work_end(folder: Path) -> None:
    with service(folder) as running, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(running.transcribe, REPOSITORY / "samples" / "meeting.mp3")
        assert eventually(lambda: running.places_taken() == 1)
        psutil.Process(running.pid).terminate()
        assert "thursday" in answer.result().json()["transcription"]
        assert eventually(lambda: not running.processes(), within=40)


def demo_environment(temporary: Path) -> dict[str, str]:
    """Variables of a demo whose table has room for long texts."""
    temporary.mkdir(parents=True)
    return os.environ | {"TMPDIR": str(temporary), "COLUMNS": "400", "PYTHONIOENCODING": "utf-8"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of ``parlante demo --once``, which ends well and leaves nothing behind."""
    temporary = tmp_path_factory.mktemp("once") / "tmp"
    done = subprocess.run(
        [*DEMO, "--once"],
        cwd=REPOSITORY, env=demo_environment(temporary), capture_output=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert list(temporary.iterdir()) == []
    return done.stdout.decode()


@pytest.mark.slow
def test_the_demo_shows_the_words_of_the_samples(shown: str) -> None:
    rows = [" ".join(words(line)) for line in shown.splitlines()]
    for sample in SAMPLES:
        assert any(" ".join(words(sample["text"])) in row for row in rows)
    assert "said:" not in shown


@pytest.mark.slow
def test_the_demo_shows_what_it_spoke_and_says_what_comes_next(shown: str) -> None:
    assert len(re.findall(r"http://127\.0\.0\.1:\d+/files/speech/", shown)) == 2
    assert "Buenos días." in shown
    assert "./just coqui" in shown


@pytest.mark.slow
def test_the_demo_hears_ones_own_files_and_stays_up_until_ctrl_c(tmp_path: Path) -> None:
    own = DATA / "audio" / "flac.flac"
    process = subprocess.Popen(
        [*DEMO, str(own)],
        cwd=REPOSITORY, env=demo_environment(tmp_path / "tmp"), stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line.decode())
                if "Ctrl-C ends it" in lines[-1]:
                    break
            address = re.search(r"up at (http://[0-9.:]+)", lines[-1])
            assert address, lines
            assert any("flac.flac" in line and "seven in the evening" in line for line in lines)
            assert httpx.get(f"{address[1]}/health/ready").status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{address[1]}/health/live")
    assert list((tmp_path / "tmp").iterdir()) == []
