"""Starts that must fail, each with one sentence, and starts that must not."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.service_process import free_port
from tests.end_to_end.service import API_KEY, DATA, EMBEDDED, REPOSITORY, WHISPER_MINI, service, words

NOBODY = "http://127.0.0.1:9"
NO_NETWORK = {
    **{name: NOBODY for proxy in ("http_proxy", "https_proxy", "all_proxy") for name in (proxy, proxy.upper())},
    "NO_PROXY": "",
    "no_proxy": "",
    "HF_ENDPOINT": NOBODY,
}
WHISPER = {**EMBEDDED, "PARLANTE_BACKENDS__TRANSCRIBER": "faster-whisper"}
COQUI = {**EMBEDDED, "PARLANTE_BACKENDS__SYNTHESIZER": "coqui"}
S3 = {**EMBEDDED, "PARLANTE_BACKENDS__OBJECT_STORE": "s3"}


def start(folder: Path, variables: dict[str, str], environment: str = "dev") -> str:
    """Start the service, which must fail; answers the one sentence that says why."""
    own = {
        "PARLANTE_SERVER__HOST": "127.0.0.1",
        "PARLANTE_SERVER__PORT": str(free_port("127.0.0.1")),
        "PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(folder / "objects"),
        "MODELS_DIR": str(folder / "models"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "app.command_line", "serve", "--env", environment],
        cwd=REPOSITORY, env=os.environ | own | variables, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 1, output
    assert "Traceback" not in output
    assert not re.search(r'File "|\.py:\d+|stack backtrace', output, re.IGNORECASE), output
    said = [json.loads(line)["event"] if line.startswith("{") else line for line in output.splitlines()]
    found = [match[1] for line in said if (match := re.fullmatch("parlante(?: cannot start)?: (.*)", line))]
    assert len(found) == 1, output
    return str(found[0])


def test_no_key_stops_the_start(tmp_path: Path) -> None:
    assert "no API key is configured: set API_KEY" in start(tmp_path, {**EMBEDDED, "API_KEY": ""})


def test_an_unknown_setting_stops_the_start(tmp_path: Path) -> None:
    sentence = start(tmp_path, {**EMBEDDED, "PARLANTE_SERVER__PROT": "1"})
    assert sentence == "PARLANTE_SERVER__PROT: server.prot: there is no such setting"


def test_an_unknown_setting_in_a_file_stops_the_start(tmp_path: Path) -> None:
    config = shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    with (config / "dev.toml").open("a") as file:
        file.write("\n[speech]\nmax_charakters = 10\n")
    sentence = start(tmp_path, {**EMBEDDED, "PARLANTE_CONFIG_DIR": str(config)})
    assert sentence == "config/dev.toml: speech.max_charakters: there is no such setting"


def test_a_bad_value_stops_the_start(tmp_path: Path) -> None:
    sentence = start(tmp_path, {**EMBEDDED, "PARLANTE_SPEECH__PATIENCE": "soon"})
    assert sentence.startswith("PARLANTE_SPEECH__PATIENCE: speech.patience: Expected `float`")


def test_an_unknown_option_of_a_backend_stops_the_start(tmp_path: Path) -> None:
    sentence = start(tmp_path, {**EMBEDDED, "PARLANTE_TRANSCRIBERS__POCKETSPHINX__BEAMS": "5"})
    assert "transcribers.pocketsphinx.beams: there is no such setting" in sentence


def test_an_unknown_backend_stops_the_start(tmp_path: Path) -> None:
    sentence = start(tmp_path, {**EMBEDDED, "PARLANTE_BACKENDS__SYNTHESIZER": "nobody"})
    assert "no backend 'nobody'" in sentence
    assert "coqui, espeak-ng" in sentence


def test_a_missing_model_stops_the_start_offline(tmp_path: Path) -> None:
    sentence = start(tmp_path, {**WHISPER, "HF_HUB_OFFLINE": "1"})
    assert "'base'" in sentence
    assert "parlante models pull base" in sentence


@pytest.mark.slow
def test_a_missing_model_stops_the_start_where_the_hub_does_not_answer(tmp_path: Path) -> None:
    assert "parlante models pull base" in start(tmp_path, WHISPER | NO_NETWORK)


@pytest.mark.slow
def test_a_directory_without_a_model_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no whole model" in start(tmp_path, {**WHISPER, "MODEL_SIZE": str(tmp_path / "empty")})


@pytest.mark.slow
def test_a_missing_engine_stops_the_start(tmp_path: Path) -> None:
    if importlib.util.find_spec("TTS") is not None:
        pytest.skip("coqui-tts is installed")
    sentence = start(tmp_path, COQUI)
    assert "coqui is not installed" in sentence
    assert "parlante[coqui]" in sentence


@pytest.mark.slow
def test_no_bucket_stops_the_start(tmp_path: Path) -> None:
    assert "set S3_BUCKET" in start(tmp_path, {**S3, "APP_AWS_ACCESS_KEY_ID": "a", "APP_AWS_SECRET_ACCESS_KEY": "b"})


@pytest.mark.slow
def test_half_a_key_to_the_storage_stops_the_start(tmp_path: Path) -> None:
    sentence = start(tmp_path, {**S3, "S3_BUCKET": "speech", "APP_AWS_SECRET_ACCESS_KEY": "a-secret-of-mine"})
    assert "APP_AWS_ACCESS_KEY_ID" in sentence
    assert "a-secret-of-mine" not in sentence


def test_an_open_service_stops_the_start_off_the_loopback_address(tmp_path: Path) -> None:
    sentence = start(tmp_path, {"PARLANTE_SERVER__HOST": "0.0.0.0"}, "demo")
    assert sentence == 'auth = "none" is only for a loopback address, not for 0.0.0.0'


def test_a_port_in_use_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sentence = start(tmp_path, {**EMBEDDED, "PARLANTE_SERVER__PORT": port})
    assert port in sentence
    assert "address already in use" in sentence


def test_an_address_of_another_machine_stops_the_start(tmp_path: Path) -> None:
    assert "192.0.2.1" in start(tmp_path, {**EMBEDDED, "PARLANTE_SERVER__HOST": "192.0.2.1"})


@pytest.fixture
def silent_hub() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.slow
def test_a_mistake_in_one_part_does_not_wait_for_the_download_of_another(tmp_path: Path, silent_hub: str) -> None:
    began = time.monotonic()
    sentence = start(tmp_path, {**WHISPER, "PARLANTE_BACKENDS__OBJECT_STORE": "s3", "HF_ENDPOINT": silent_hub})
    assert "set S3_BUCKET" in sentence
    assert time.monotonic() - began < 30


def test_a_model_that_is_here_needs_no_network(folder: Path) -> None:
    variables = {**WHISPER, **NO_NETWORK, "MODEL_SIZE": str(WHISPER_MINI), "MODELS_DIR": str(folder / "models")}
    with service(folder, "dev", variables) as running:
        heard = running.transcribe(DATA / "held_out" / "en-04.flac").json()
        assert words(heard["transcription"]) == "good morning how are you today".split()
        assert running.http.get("/health/ready").json()["ready"] is True


@pytest.mark.slow
def test_no_library_keeps_a_record_to_report(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(parents=True)
    variables = {**WHISPER, "MODEL_SIZE": str(WHISPER_MINI), "HOME": str(home), "XDG_CACHE_HOME": "", "CI": ""}
    with service(folder, "dev", variables) as running:
        heard = running.transcribe(DATA / "held_out" / "en-04.flac", vad="true").json()  # has onnxruntime at work
        assert words(heard["transcription"]) == "good morning how are you today".split()
        assert running.temporary_files() == []
        assert [file for file in home.rglob("*") if file.is_file()] == []
        remote = [connection.raddr.ip for connection in running.worker().net_connections() if connection.raddr]
        assert set(remote) <= {"127.0.0.1"}


@pytest.mark.slow
def test_several_keys_work_side_by_side(folder: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "app.command_line", "keys", "new", "reader"],
        cwd=REPOSITORY, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    key, digest = re.search(r"parlante_[\w-]{43}", made), re.search(r"sha256:[0-9a-f]{64}", made)
    assert key
    assert digest
    with service(folder, "dev", {**EMBEDDED, "PARLANTE_KEYS__READER": digest[0]}) as running:
        for given in (API_KEY, key[0]):
            assert running.http.get("/api/v1/voices", headers={"X-API-Key": given}).status_code == 200
        assert running.http.get("/api/v1/voices", headers={"X-API-Key": digest[0]}).status_code == 401
