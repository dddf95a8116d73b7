"""The environment ``prod``: Whisper, Coqui and S3, on small models and a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.end_to_end.relay import Relay, relay_to
from tests.end_to_end.service import (
    API_KEY,
    COQUI_MINI,
    DATA,
    REPOSITORY,
    WHISPER_MINI,
    Service,
    service,
    words,
)
from tests.engines.coqui_models import require_coqui
from tests.stores.s3_servers import Moto, S3Server, run_moto, run_real_s3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LINK_SECONDS = 8
HELD_OUT = json.loads((DATA / "held_out" / "refs.json").read_text("utf-8"))
SENTENCES = {
    "en": [
        "Good morning, how are you today?",
        "Open the door of the garage and close the window of the office.",
        "The train from Mexico to London leaves on Monday.",
        "I would like six oranges and twenty eight beers.",
        "What is the weather in London on Saturday?",
    ],
    "es": [
        "El tren de París a Lima sale el viernes.",
        "Abre la puerta del dormitorio y cierra la ventana de la oficina.",
        "Pon un temporizador de treinta y cinco horas.",
        "Por favor, envía el libro a Elena el sábado.",
    ],
}
TRAINED = ", ".join(f"{code} = {{language = '{code}', model = '{COQUI_MINI / code}'}}" for code in ("en", "es"))
VOICES = {"coqui": f"{{{TRAINED}}}", "espeak-ng": "{en-us = 'en', es = 'es'}"}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """A real S3 server where there is one beside the repository, else moto's, which checks no signatures."""
    shared = os.environ.get("PARLANTE_SHARED", REPOSITORY.parent / "shared")
    real = Path(shared, "s3", "real-s3").is_file()
    with run_real_s3() if real else run_moto() as server:
        yield server


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> Iterator[str]:
    with s3.bucket() as name:
        yield name


@pytest.fixture(scope="module")
def way_to_s3(s3: S3Server) -> Iterator[Relay]:
    address = urlsplit(s3.endpoint_url)
    with relay_to(str(address.hostname), int(address.port or 80)) as relay:
        yield relay


@pytest.fixture(scope="module", params=["coqui", "espeak-ng"])
def production(
    request: pytest.FixtureRequest,
    s3: S3Server,
    bucket: str,
    way_to_s3: Relay,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """The service as the README starts it, its models and its storage aside."""
    if request.param == "coqui":
        require_coqui()
    folder = tmp_path_factory.mktemp("production")
    variables = {
        "API_KEY": API_KEY,
        "MODEL_SIZE": str(WHISPER_MINI),
        "MODELS_DIR": str(folder / "models"),
        "S3_BUCKET": bucket,
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{way_to_s3.port}",
        "AWS_REGION": "us-east-1",
        "APP_AWS_ACCESS_KEY_ID": s3.access_key_id,
        "APP_AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        "PARLANTE_BACKENDS__SYNTHESIZER": request.param,
        f"PARLANTE_SYNTHESIZERS__{request.param.upper().replace('-', '_')}__VOICES": VOICES[request.param],
        "PARLANTE_OBJECT_STORES__S3__ATTEMPTS": "2",
        "PARLANTE_STORAGE__URL_EXPIRY": str(LINK_SECONDS),
        "PARLANTE_LOGS__LEVEL": "debug",
    }
    with service(folder, "prod", variables) as running:
        yield running


@pytest.fixture(scope="module")
def engine(production: Service) -> str:
    models = production.http.get("/api/v1/models").json()["models"]
    return str(next(entry["engine"] for entry in models if entry["task"] == "synthesize"))


def speak(production: Service, text: str, language: str = "en", **fields: object) -> dict[str, str]:
    answer = production.synthesize(text, language, **fields)
    assert answer.status_code == 201, answer.text
    spoken: dict[str, str] = answer.json()
    return spoken


def download(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, trust_env=False)


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in SENTENCES.items() for text in texts]
)
def test_what_is_spoken_is_downloaded_and_understood(production: Service, language: str, text: str) -> None:
    spoken = speak(production, text, language)
    audio = download(spoken["url"])
    assert (audio.status_code, audio.headers["content-type"]) == (200, "audio/wav")
    heard = production.transcribe(audio.content).json()
    assert heard["language"] == language
    assert words(heard["transcription"]) == words(text)
    assert heard["duration"] == pytest.approx(spoken["duration"], abs=0.05)


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "flac"])
def test_every_format_is_understood(production: Service, audio_format: str) -> None:
    text = SENTENCES["es"][0]
    audio = download(speak(production, text, "es", format=audio_format)["url"]).content
    assert words(production.transcribe(audio).json()["transcription"]) == words(text)


@pytest.mark.parametrize("name", ["en-00.flac", "en-04.flac", "es-00.flac", "es-05.flac"])
def test_recordings_are_understood_without_their_language(production: Service, name: str) -> None:
    entry = next(entry for entry in HELD_OUT if entry["file"] == name)
    heard = production.transcribe(DATA / "held_out" / name).json()
    assert heard["language"] == entry["language"]
    assert words(heard["transcription"]) == words(entry["text"])
    assert heard["model"] == str(WHISPER_MINI) or Path(heard["model"]).name == WHISPER_MINI.name


def test_objects_lie_under_the_prefix_of_the_environment(production: Service, s3: S3Server, bucket: str) -> None:
    spoken = speak(production, "Where does this lie?")
    assert spoken["key"].startswith("prod/speech/")
    kept = s3.client.head_object(Bucket=bucket, Key=spoken["key"])
    assert (kept["ContentLength"], kept["ContentType"]) == (spoken["size"], "audio/wav")
    listed = s3.client.list_objects_v2(Bucket=bucket)["Contents"]
    assert all(entry["Key"].startswith("prod/") for entry in listed)


def test_a_second_request_is_answered_from_the_bucket(production: Service) -> None:
    first, second = (speak(production, "Say this only once, please.") for _ in range(2))
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["key"] == second["key"]


def test_a_part_can_be_downloaded(production: Service) -> None:
    url = speak(production, SENTENCES["en"][0])["url"]
    part = download(url, Range="bytes=0-3")
    assert (part.status_code, part.content) == (206, b"RIFF")


def test_a_changed_link_is_refused(production: Service, s3: S3Server) -> None:
    url = speak(production, SENTENCES["en"][0])["url"]
    if not _checks_signatures(s3):
        pytest.skip("moto's server does not check signatures")
    signature = url.rpartition("X-Amz-Signature=")[2][:64]
    assert len(signature) == 64
    changed = [
        url.replace(signature, signature[:-1] + ("0" if signature[-1] != "0" else "1")),
        url.replace(f"X-Amz-Expires={LINK_SECONDS}", "X-Amz-Expires=600000"),
        url.replace(".wav?", ".mp3?"),
        url.partition("?")[0],
    ]
    assert [download(link).status_code for link in changed] == [403] * len(changed)


def test_a_link_expires(production: Service, s3: S3Server) -> None:
    spoken = speak(production, SENTENCES["en"][0])
    if not _checks_signatures(s3):
        pytest.skip("moto's server does not look at the time")
    assert download(spoken["url"]).status_code == 200
    time.sleep(max(0.0, datetime.fromisoformat(spoken["expires_at"]).timestamp() - time.time()) + 1.1)
    assert download(spoken["url"]).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "parlante_wrong"}, {"Authorization": "Bearer wrong"}])
def test_a_wrong_key_is_refused(production: Service, headers: dict[str, str]) -> None:
    order = {"text": "Hello", "language": "en"}
    answer = httpx.post(f"{production.url}/api/v1/synthesize", json=order, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_the_command_of_the_readme_works(production: Service) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    section = (REPOSITORY / "README.md").read_text("utf-8").split("## Run it for real")[1]
    (command,) = [line for line in section.splitlines() if line.startswith("curl ")]
    command = command.replace("http://localhost:8000", production.url)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=REPOSITORY, env=os.environ | {"API_KEY": API_KEY}, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["duration"] == pytest.approx(11.1, abs=0.2)


def test_without_storage_speech_is_refused_and_the_rest_works(production: Service, way_to_s3: Relay) -> None:
    way_to_s3.cut()
    try:
        began = time.monotonic()
        answer = production.synthesize("There is nowhere to put this.")
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - began < 15
        ready = production.http.get("/health/ready")
        assert ready.status_code == 503
        assert [name for name, part in ready.json()["parts"].items() if not part["ready"]] == ["object_store"]
        heard = production.transcribe(DATA / "held_out" / "en-04.flac")
        assert words(heard.json()["transcription"]) == "good morning how are you today".split()
    finally:
        way_to_s3.mend()
    assert production.http.get("/health/ready").status_code == 200
    assert speak(production, "Now there is room again.")["cached"] is False
    assert production.places_taken() == 0


def test_the_log_holds_no_secret_and_nothing_that_was_said(production: Service, s3: S3Server, engine: str) -> None:
    said = f"Madagascar is far away from {engine}."
    url = speak(production, said)["url"]
    speak(production, SENTENCES["en"][1])
    production.transcribe(download(url).content, prompt="Zanzibar", hotwords="Timbuktu")
    production.synthesize("Kilimanjaro", "en", voice="Serengeti")
    production.transcribe(b"no audio", name="Ouagadougou.wav")
    production.http.get("/api/v1/Antananarivo", params={"key": "Mozambique"})
    log = production.log.read_text("utf-8")
    lines = [json.loads(line) for line in log.splitlines()]  # every line is an event
    assert {"request", "service_ready"} <= {line["event"] for line in lines}
    assert {"transcribe", "synthesize"} <= {line.get("route", "").rpartition("/")[2] for line in lines}
    secrets = [API_KEY, s3.secret_access_key, s3.access_key_id, "X-Amz-Signature", "sha256:"]
    said_words = [word for text in (*SENTENCES["en"], *SENTENCES["es"]) for word in words(text) if len(word) > 5]
    private = ["Madagascar", "Zanzibar", "Timbuktu", "Kilimanjaro", "Serengeti", "Ouagadougou", "Antananarivo",
               "Mozambique", *said_words]  # fmt: skip
    found = [word for word in (*secrets, *private) if word.lower() in log.lower()]
    assert found == []


def _checks_signatures(s3: S3Server) -> bool:
    return not isinstance(s3, Moto)
