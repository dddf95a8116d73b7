"""Opens each synthesizer that the contract holds for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.coqui import PLUGIN as COQUI
from adapters.coqui import CoquiOptions, CoquiVoice
from adapters.espeak_ng import PLUGIN as ESPEAK_NG
from adapters.espeak_ng import EspeakNgOptions
from domain.ports.plugin import Host
from domain.ports.synthesizer import Synthesizer
from tests.engines.coqui_models import TRAINED, build_untrained, require_coqui
from tests.fakes.synthesizer import FakeSynthesizer


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of Tacotron 2 models and vocoders with random weights."""
    require_coqui()
    return build_untrained(tmp_path_factory.getbasetemp() / "coqui-untrained")


@asynccontextmanager
async def _fake() -> AsyncIterator[Synthesizer]:
    yield FakeSynthesizer()


@asynccontextmanager
async def _fake_without_pitch() -> AsyncIterator[Synthesizer]:
    yield FakeSynthesizer(pitch=False)


def _espeak_ng() -> AbstractAsyncContextManager[Synthesizer]:
    return ESPEAK_NG.open(EspeakNgOptions(), Host(models_dir=Path(os.devnull)))


def _trained() -> AbstractAsyncContextManager[Synthesizer]:
    voices = {language: CoquiVoice(language=language, model=language) for language in ("en", "es")}
    return COQUI.open(CoquiOptions(voices=voices, threads=1), Host(models_dir=TRAINED, device="cpu"))


def _tacotron2(directory: Path) -> AbstractAsyncContextManager[Synthesizer]:
    voices = {
        "en": CoquiVoice(language="en", model="tacotron2-en", vocoder="hifigan"),
        "es": CoquiVoice(language="es", model="tacotron2-es", vocoder="melgan"),
    }
    return COQUI.open(CoquiOptions(voices=voices, parallel=2, threads=1), Host(models_dir=directory, device="cpu"))


@pytest_asyncio.fixture(
    scope="module",  # a model takes seconds to load
    loop_scope="module",
    params=["fake", "fake-without-pitch", "espeak-ng", "coqui-trained", "coqui-tacotron2"],
)
async def synthesizer(request: pytest.FixtureRequest) -> AsyncIterator[Synthesizer]:
    """Each synthesizer, opened."""
    match request.param:
        case "fake":
            opening: AbstractAsyncContextManager[Synthesizer] = _fake()
        case "fake-without-pitch":
            opening = _fake_without_pitch()
        case "espeak-ng":
            opening = _espeak_ng()
        case "coqui-trained":
            require_coqui()
            opening = _trained()
        case _:
            opening = _tacotron2(request.getfixturevalue("untrained"))
    async with opening as opened:
        yield opened
