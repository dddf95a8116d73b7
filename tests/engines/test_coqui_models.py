"""How Coqui's models get here: fetched once, whole or not at all, and never asked for again."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

import adapters.coqui
from adapters.coqui import PLUGIN, CoquiOptions
from domain.errors import DependencyMissing, ModelMissing
from domain.ports.plugin import Host
from domain.ports.synthesizer import Synthesizer
from domain.speech import SpeakOptions
from tests.engines.coqui_models import TRAINED, require_coqui
from tests.engines.model_host import ModelHost, serving, zipped

ENGLISH = "tts_models/en/mini/speedy"
SPANISH = "tts_models/es/mini/speedy"
VOCODER = "vocoder_models/universal/mini/hifigan"


@pytest.fixture
def hub(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHost]:
    """Has an English model and a vocoder as releases, and a Spanish model in a repository, like the default voices."""
    import huggingface_hub.constants  # noqa: PLC0415 - huggingface_hub comes with coqui

    with serving() as host:
        host.releases["english.zip"] = zipped(TRAINED / "en")
        host.releases["hifigan.zip"] = zipped(untrained / "hifigan")
        host.repositories["mini/spanish"] = {file.name: file.read_bytes() for file in (TRAINED / "es").iterdir()}
        files = f"{host.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", host.url)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        yield host


@pytest.fixture
def models(hub: ModelHost, tmp_path: Path) -> Path:
    """A directory of models, empty but for a list that names the hub's."""
    release = f"{hub.url}/releases"
    catalogue = {
        "tts_models": {
            "en": {"mini": {"speedy": {"github_rls_url": f"{release}/english.zip", "default_vocoder": VOCODER}}},
            "es": {"mini": {"speedy": {"repo_id": "mini/spanish", "default_vocoder": None}}},
            "xx": {"mini": {"licensed": {"github_rls_url": f"{release}/english.zip", "tos_required": True}}},
        },
        "vocoder_models": {"universal": {"mini": {"hifigan": {"github_rls_url": f"{release}/hifigan.zip"}}}},
    }
    (tmp_path / "models.json").write_text(json.dumps(catalogue))
    return tmp_path


def options(**voices: str) -> CoquiOptions:
    given = {
        "voices": {name: {"language": name, "model": model} for name, model in voices.items()},
        "models_file": "models.json",
        "threads": 1,
    }
    return msgspec.convert(given, CoquiOptions)


def opened(models: Path, chosen: CoquiOptions) -> AbstractAsyncContextManager[Synthesizer]:
    return PLUGIN.open(chosen, Host(models_dir=models, device="cpu"))


def pull(models: Path, name: str, **voices: str) -> None:
    assert PLUGIN.pull is not None
    PLUGIN.pull(name, options(**voices), Host(models_dir=models))


def kept(models: Path) -> set[str]:
    """What lies in the directory, but for the list."""
    return {str(path.relative_to(models)) for path in models.glob("*/*")} | {
        path.name for path in models.iterdir() if path.name not in {"tts", "models.json"}
    }


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Forbids every connection and look-up; what was tried is kept."""
    tried: list[Any] = []

    def refuse(*given: Any, **_: Any) -> None:
        tried.append(given)
        raise OSError("the network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


async def seconds(synthesizer: Synthesizer) -> float:
    voice = synthesizer.voices()[0]
    text = {"en": "Turn on the light.", "es": "Enciende la luz."}[voice.language]
    return sum([piece.duration async for piece in synthesizer.synthesize(text, SpeakOptions(voice=voice))])


async def test_a_release_is_pulled_with_its_vocoder_and_then_opens_without_a_network(
    models: Path, hub: ModelHost, no_network_later: Any
) -> None:
    pull(models, ENGLISH)
    assert kept(models) == {"tts/tts_models--en--mini--speedy", "tts/vocoder_models--universal--mini--hifigan"}
    tried = no_network_later()
    async with opened(models, options(en=ENGLISH)) as synthesizer:
        assert synthesizer.voices()[0].model == ENGLISH
        assert synthesizer.voices()[0].sample_rate == 16_000  # the vocoder's
        assert await seconds(synthesizer) > 0.3
    assert tried == []


async def test_a_repository_is_pulled_and_then_opens_without_a_network(
    models: Path, hub: ModelHost, no_network_later: Any
) -> None:
    pull(models, SPANISH)
    assert kept(models) == {"tts/tts_models--es--mini--speedy"}
    tried = no_network_later()
    async with opened(models, options(es=SPANISH)) as synthesizer:
        assert await seconds(synthesizer) > 0.5
    assert tried == []


@pytest.fixture
def no_network_later(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Forbids the network when it is called."""
    return lambda: request.getfixturevalue("no_network")


async def test_a_model_that_is_not_here_is_fetched_when_it_is_opened_and_only_then(
    models: Path, hub: ModelHost
) -> None:
    for _ in range(2):
        async with opened(models, options(en=ENGLISH, es=SPANISH)) as synthesizer:
            assert await seconds(synthesizer) > 0.3
    assert hub.requests.count("/releases/english.zip") == 1
    assert hub.requests.count("/releases/hifigan.zip") == 1
    assert sum(request.endswith("/model.pth") for request in hub.requests) in {1, 2}  # HEAD and GET


def test_a_voice_is_pulled_by_its_id_too(models: Path, hub: ModelHost) -> None:
    pull(models, "es", es=SPANISH)
    assert kept(models) == {"tts/tts_models--es--mini--speedy"}


@pytest.mark.parametrize("name", [ENGLISH, SPANISH])
def test_pulling_shows_its_progress(models: Path, hub: ModelHost, capfd: pytest.CaptureFixture[str], name: str) -> None:
    pull(models, name)
    assert "100%" in capfd.readouterr().err


async def test_opening_says_in_the_log_what_it_fetches_and_shows_no_bars(
    models: Path, hub: ModelHost, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as lines:
        async with opened(models, options(en=ENGLISH, es=SPANISH)):
            pass
    assert capfd.readouterr() == ("", "")
    fetched = [line["model"] for line in lines if line["event"] == "model_downloaded"]
    assert {ENGLISH, SPANISH} <= set(fetched)
    with capture_logs() as lines:
        async with opened(models, options(en=ENGLISH, es=SPANISH)):
            pass
    assert lines == []


@pytest.mark.parametrize("name", [ENGLISH, SPANISH, VOCODER])
def test_a_model_that_cannot_be_fetched_is_missing_and_the_sentence_names_the_command(
    models: Path, hub: ModelHost, no_network: list[Any], name: str
) -> None:
    with pytest.raises(ModelMissing, match=f"run `parlante models pull {name}` where there is a network"):
        pull(models, name)
    assert no_network != []
    assert kept(models) == set()


async def test_opening_without_the_model_and_without_a_network_says_what_to_pull(
    models: Path, hub: ModelHost, no_network_later: Any
) -> None:
    no_network_later()
    with pytest.raises(ModelMissing, match=f"run `parlante models pull {ENGLISH}` where there is a network"):
        async with opened(models, options(en=ENGLISH)):
            pass


def test_a_download_that_breaks_off_leaves_nothing_behind(models: Path, hub: ModelHost) -> None:
    hub.cut_short = True
    with pytest.raises(ModelMissing):
        pull(models, ENGLISH)
    assert kept(models) == set()
    hub.cut_short = False
    pull(models, ENGLISH)
    assert "tts/tts_models--en--mini--speedy" in kept(models)


def test_a_page_instead_of_a_model_leaves_nothing_behind(models: Path, hub: ModelHost) -> None:
    del hub.releases["english.zip"]  # GitHub answers 404 with a page
    with pytest.raises(ModelMissing):
        pull(models, ENGLISH)
    assert kept(models) == set()


def test_a_release_without_weights_leaves_nothing_behind(models: Path, hub: ModelHost) -> None:
    hub.releases["english.zip"] = zipped(TRAINED / "en", without=("model.pth",))
    with pytest.raises(ModelMissing):
        pull(models, ENGLISH)
    assert kept(models) == set()


def test_a_model_that_was_damaged_here_is_named_with_what_to_do(models: Path, hub: ModelHost) -> None:
    (models / "tts" / "tts_models--en--mini--speedy").mkdir(parents=True)
    with pytest.raises(ModelMissing, match=f"delete it and run `parlante models pull {ENGLISH}`"):
        pull(models, ENGLISH)


def test_terms_of_service_are_never_asked_for_on_the_terminal(
    models: Path, hub: ModelHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    with pytest.raises(ModelMissing, match="set COQUI_TOS_AGREED=1"):
        pull(models, "tts_models/xx/mini/licensed")
    monkeypatch.setenv("COQUI_TOS_AGREED", "1")
    pull(models, "tts_models/xx/mini/licensed")


def test_the_default_voices_are_in_coquis_own_catalogue(tmp_path: Path) -> None:
    require_coqui()
    from adapters.coqui.catalogue import Catalogue  # noqa: PLC0415 - needs TTS

    catalogue = Catalogue(tmp_path)
    for voice in CoquiOptions().voices.values():
        item = catalogue._item(voice.model)
        assert item["default_vocoder"]
        assert catalogue._item(item["default_vocoder"])


@pytest.fixture
def without_coqui(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if coqui-tts were not installed."""
    for name in ("loading", "engine", "catalogue"):
        monkeypatch.delattr(adapters.coqui, name, raising=False)
        monkeypatch.delitem(sys.modules, f"adapters.coqui.{name}", raising=False)
    for name in [name for name in sys.modules if name == "TTS" or name.startswith("TTS.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "TTS", None)


async def test_without_coqui_the_sentence_says_what_to_install(without_coqui: None, tmp_path: Path) -> None:
    with pytest.raises(DependencyMissing, match=r"run `pip install 'parlante\[coqui\]'`"):
        async with PLUGIN.open(CoquiOptions(), Host(models_dir=tmp_path)):
            pass


def test_without_coqui_nothing_is_pulled(without_coqui: None, tmp_path: Path) -> None:
    assert PLUGIN.pull is not None
    with pytest.raises(DependencyMissing, match=r"run `pip install 'parlante\[coqui\]'`"):
        PLUGIN.pull(ENGLISH, CoquiOptions(), Host(models_dir=tmp_path))
