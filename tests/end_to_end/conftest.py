"""Services that several tests share, and what they are tested with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from faster_whisper import WhisperModel

from tests.end_to_end.service import WHISPER, WHISPER_MINI, Service, service

_OURS = {"PARLANTE_SHARED", "PARLANTE_REQUIRE_COQUI", "PARLANTE_REQUIRE_CHROMIUM"}
_KNOWN = (
    "MODEL_SIZE",
    "DEVICE",
    "MODELS_DIR",
    "API_KEY",
    "APP_AWS_",
    "AWS_REGION",
    "S3_",
    "PARLANTE_",
    "HF_",
    "KEYS_FILE",
    "OTEL_",
)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_developer() -> Iterator[None]:
    """The service sees the settings that a test gives it, and none of the machine's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(_KNOWN) and name not in _OURS:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The environment ``demo``: embedded engines, local directory, no key."""
    with service(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service for live streams: Whisper on the small model, behind a key."""
    with service(tmp_path_factory.mktemp("live"), "dev", WHISPER) as running:
        yield running


@pytest.fixture(scope="session")
def whisper() -> WhisperModel:
    """Bare faster-whisper on the small model of the test data, as the service runs it on a processor."""
    return WhisperModel(str(WHISPER_MINI), device="cpu", compute_type="int8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a service of the test's own."""
    return tmp_path / "service"
