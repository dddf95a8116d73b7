"""Opening Coqui: what is loaded once, and what an operator is told who made a mistake."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.coqui import PLUGIN, CoquiOptions
from domain.errors import ConfigurationInvalid, ModelMissing, StartError
from domain.ports.plugin import Host
from domain.ports.synthesizer import Synthesizer
from tests.engines.coqui_models import require_coqui

VOICE = {"language": "en", "model": "tacotron2-en", "vocoder": "hifigan"}


@pytest.fixture(autouse=True)
def _needs_coqui() -> None:
    require_coqui()


def opened(models: Path, voices: dict[str, Any], **options: Any) -> AbstractAsyncContextManager[Synthesizer]:
    given = {"voices": voices, "threads": 1, "device": "cpu", **options}
    return PLUGIN.open(msgspec.convert(given, CoquiOptions), Host(models_dir=models))


async def test_voices_of_one_model_share_it(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from adapters.coqui import loading  # noqa: PLC0415 - needs TTS

    made: list[Any] = []

    class Counted(loading.Engine):
        def __init__(self, *given: Any) -> None:
            made.append(given)
            super().__init__(*given)

    monkeypatch.setattr(loading, "Engine", Counted)
    async with opened(untrained, {"one": VOICE, "other": VOICE}) as synthesizer:
        assert [v.id for v in synthesizer.voices()] == ["one", "other"]
    assert len(made) == 1


async def fails(models: Path, voices: dict[str, Any], error: type[StartError], says: str, **rest: Any) -> None:
    with pytest.raises(error, match=says):
        async with opened(models, voices, **rest):
            pass


async def test_a_directory_without_a_model(tmp_path: Path) -> None:
    voices = {"en": {"language": "en", "model": "nowhere"}}
    await fails(tmp_path, voices, ModelMissing, r"model\.pth and config\.json in .*nowhere")


async def test_a_name_that_coqui_does_not_know(tmp_path: Path) -> None:
    voices = {"en": {"language": "en", "model": "tts_models/en/ljspeech/tacotron9"}}
    await fails(tmp_path, voices, ModelMissing, "Coqui has no model called tts_models/en/ljspeech/tacotron9")


async def test_a_checkpoint_that_is_none(untrained: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").symlink_to(untrained / "tacotron2-en" / "config.json")
    (tmp_path / "broken" / "model.pth").write_bytes(b"no checkpoint")
    voices = {"en": {"language": "en", "model": "broken"}}
    await fails(tmp_path, voices, StartError, "the model of the voice 'en' does not load")


async def test_a_checkpoint_that_would_run_code(untrained: Path, tmp_path: Path) -> None:
    import torch  # noqa: PLC0415

    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "config.json").symlink_to(untrained / "tacotron2-en" / "config.json")
    torch.save({"model": _Touches(tmp_path / "touched")}, tmp_path / "evil" / "model.pth")
    voices = {"en": {"language": "en", "model": "evil"}}
    await fails(tmp_path, voices, StartError, "the model of the voice 'en' does not load")
    assert not (tmp_path / "touched").exists()


async def test_a_speaker_that_the_model_lacks(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from adapters.coqui.engine import Engine  # noqa: PLC0415 - needs TTS

    monkeypatch.setattr(Engine, "speakers", frozenset({"ana", "luis"}))
    voices = {"es": {"language": "es", "model": "tacotron2-es", "speaker": "eva"}}
    await fails(untrained, voices, ConfigurationInvalid, "'es' needs a speaker .*: ana, luis")


async def test_cuda_where_there_is_none(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # noqa: PLC0415

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    await fails(untrained, {"en": VOICE}, ConfigurationInvalid, "torch sees no CUDA device", device="cuda")


async def test_no_voice_at_all(tmp_path: Path) -> None:
    await fails(tmp_path, {}, ConfigurationInvalid, "at least one voice")


class _Touches:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._path,)
