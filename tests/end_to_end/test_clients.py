"""Clients that know the service by its OpenAPI document only: a tester that tries everything, and a generated SDK."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

from tests.end_to_end.service import API_KEY, EMBEDDED, REPOSITORY, Service, service, words

TRAIN = REPOSITORY / "samples" / "train.mp3"
SCHEMATHESIS = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
GENERATOR = [sys.executable, "-m", "openapi_python_client"]
SCHEMATHESIS_CONFIG = """
# What fits the schema can still be refused: bytes that are no audio, a text without a letter, an unknown voice.
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 413, 416, 422]

[[operations]]
include-operation-id = ["downloadFile", "statFile"]
parameters = {{ key = "{key}", expires = "{expires}", signature = "{signature}" }}
"""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The embedded engines behind a key."""
    with service(tmp_path_factory.mktemp("keyed"), "dev", EMBEDDED) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_schemathesis_finds_nothing(keyed: Service, tmp_path: Path) -> None:
    link = urlsplit(keyed.synthesize("A file to download.").json()["url"])
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    config = tmp_path / "schemathesis.toml"
    config.write_text(SCHEMATHESIS_CONFIG.format(key=unquote(link.path.removeprefix("/files/")), **query))
    done = subprocess.run(
        [*SCHEMATHESIS, "--config-file", str(config), "run", f"{keyed.url}/openapi.json",
         "--header", f"X-API-Key: {API_KEY}", "--checks", "all", "--max-examples", "25", "--seed", "1",
         "--continue-on-failure", "--max-response-time", "20"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Failures:" not in done.stdout
    assert "unexpected_error" not in keyed.log.read_text("utf-8")
    assert keyed.places_taken() == 0


@pytest.fixture(scope="module")
def generated(keyed: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A client that openapi-python-client generated from the running service's document."""
    folder = tmp_path_factory.mktemp("client")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it has ruff tidy up
    done = subprocess.run(
        [*GENERATOR, "generate", "--url", f"{keyed.url}/openapi.json", "--meta", "none", "--fail-on-warning",
         "--output-path", str(folder / "parlante_client")],
        cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "warning" not in output.lower(), output
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)
        yield importlib.import_module("parlante_client")
        for name in [name for name in sys.modules if name.partition(".")[0] == "parlante_client"]:
            del sys.modules[name]


@pytest.fixture
def client(generated: ModuleType, keyed: Service) -> Iterator[Any]:
    with generated.AuthenticatedClient(
        base_url=keyed.url, token=API_KEY, prefix="", auth_header_name="X-API-Key", timeout=httpx.Timeout(60)
    ) as opened:
        yield opened


def _part(name: str) -> Any:
    return importlib.import_module(f"parlante_client.{name}")


def _form(**fields: Any) -> Any:
    file = _part("types").File(payload=BytesIO(TRAIN.read_bytes()), file_name="train.mp3", mime_type="audio/mpeg")
    return _part("models").TranscribeTranscribeForm(audio_file=file, **fields)


@pytest.mark.slow
def test_the_generated_client_transcribes(client: Any) -> None:
    answer = _part("api.speech_to_text.transcribe").sync(client=client, body=_form(word_timestamps=True))
    assert words(answer.transcription) == "the train to boston leaves at seven in the evening".split()
    assert answer.language == "en"
    assert [word.word for word in answer.segments[0].words][:2] == ["the", "train"]


@pytest.mark.slow
def test_the_generated_client_synthesizes(client: Any) -> None:
    order = _part("models").SpeechOrder(text="Good morning.", language="en", format_=_part("models").AudioFormat.FLAC)
    answer = _part("api.text_to_speech.synthesize").sync_detailed(client=client, body=order)
    assert answer.status_code == 201
    assert answer.parsed.expires_at.tzinfo is not None
    link = urlsplit(answer.parsed.url)
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    file = _part("api.files.download_file").sync(link.path.removeprefix("/files/"), client=client, **query)
    assert file.payload.read(4) == b"fLaC"
    assert httpx.get(answer.parsed.url).content[:4] == b"fLaC"


@pytest.mark.slow
def test_the_generated_client_gets_typed_errors(client: Any) -> None:
    problem = _part("models").Problem
    order = _part("models").SpeechOrder(text="Bonjour", language="fr")
    refused = _part("api.text_to_speech.synthesize").sync_detailed(client=client, body=order)
    assert refused.status_code == 400
    assert isinstance(refused.parsed, problem)
    assert refused.parsed.code == "unsupported_language"
    unheard = _part("api.speech_to_text.transcribe").sync(client=client, body=_form(beam_size=1000))
    assert isinstance(unheard, problem)
    assert [field.field for field in unheard.fields] == ["beam_size"]


@pytest.mark.slow
def test_the_generated_client_needs_its_key(generated: ModuleType, keyed: Service) -> None:
    with generated.Client(base_url=keyed.url) as stranger:
        answer = _part("api.catalog.list_voices").sync_detailed(client=stranger)
    assert answer.status_code == 401
    assert isinstance(answer.parsed, _part("models").Problem)


@pytest.mark.slow
def test_the_generated_client_lists_and_asks(client: Any) -> None:
    voices = _part("api.catalog.list_voices").sync(client=client).voices
    assert {voice.language for voice in voices} == {"en", "es"}
    models = _part("api.catalog.list_models").sync(client=client).models
    assert {model.engine for model in models} == {"pocketsphinx", "espeak-ng"}
    assert _part("api.operation.ready").sync(client=client).ready is True
