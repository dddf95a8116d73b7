"""A backend in a package of its own: installed, chosen by configuration, and it serves; nothing of ours changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.service import EMBEDDED, REPOSITORY, Service, service

PACKAGE = REPOSITORY / "tests" / "packages" / "parlante-morse"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package, built and installed as a stranger would."""
    folder = tmp_path_factory.mktemp("morse")
    source = shutil.copytree(PACKAGE, folder / "source")  # a build leaves files beside the sources
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        pytest.skip("uv is not installed")
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--offline", "--python", sys.executable,
         "--target", str(folder / "site"), "--no-deps", "--no-build-isolation", str(source)],
        check=True, timeout=100,
    )  # fmt: skip
    return folder / "site"


@pytest.fixture(scope="module")
def morse(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with the package's backends, chosen by a file of the configuration."""
    folder = tmp_path_factory.mktemp("morse-service")
    config = shutil.copytree(REPOSITORY / "config", folder / "config")
    (config / "dev.toml").write_text(
        '[backends]\ntranscriber = "morse"\nsynthesizer = "morse"\nobject_store = "local"\n'
        "[transcribers.morse]\nunit = 0.04\n[synthesizers.morse]\nunit = 0.04\ntone = 700.0\n"
    )
    variables = {
        "PARLANTE_CONFIG_DIR": str(config),
        "PYTHONPATH": os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "API_KEY": EMBEDDED["API_KEY"],
    }
    with service(folder, "dev", variables) as running:
        yield running


def test_it_is_listed(morse: Service) -> None:
    models = morse.http.get("/api/v1/models").json()["models"]
    assert [(entry["task"], entry["engine"]) for entry in models] == [("transcribe", "morse"), ("synthesize", "morse")]
    (voice,) = morse.http.get("/api/v1/voices").json()["voices"]
    assert voice["description"] == "A telegraph key"


@pytest.mark.parametrize("audio_format", ["wav", "flac", "opus"])
def test_what_it_sends_it_receives(morse: Service, audio_format: str) -> None:
    spoken = morse.synthesize("What hath God wrought 1844", format=audio_format)
    assert spoken.status_code == 201
    audio = httpx.get(spoken.json()["url"]).content
    heard = morse.transcribe(audio)
    assert heard.status_code == 200
    assert heard.json()["transcription"] == "WHAT HATH GOD WROUGHT 1844"


def test_its_errors_are_the_services_errors(morse: Service) -> None:
    assert morse.synthesize("Ñandú", "es").json()["code"] == "unsupported_language"
    assert morse.synthesize("ñ").json()["code"] == "text_invalid"
    assert morse.synthesize("hi", pitch=2).json()["code"] == "unsupported_option"


def test_without_it_the_name_is_not_known() -> None:
    variables = EMBEDDED | {"PARLANTE_BACKENDS__SYNTHESIZER": "morse"}
    done = subprocess.run(
        [sys.executable, "-m", "app.command_line", "config", "check", "--env", "dev"],
        cwd=REPOSITORY, env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no backend 'morse'" in done.stderr
