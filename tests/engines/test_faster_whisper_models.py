"""Where faster-whisper's models come from: a directory, the hub's cache with the network cut, the hub itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.faster_whisper import PLUGIN, FasterWhisperOptions
from adapters.faster_whisper.models import find
from domain.errors import ModelMissing
from domain.ports.plugin import Host
from tests.engines.hub import Hub, cached, serving
from tests.engines.recordings import RECORDINGS, WHISPER_MINI, hear, text_of

TINY = "Systran/faster-whisper-tiny"
SENTENCE = RECORDINGS["en-00"]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was tried on the network, which is cut."""
    tried: list[str] = []

    def refuse(what: str) -> Any:
        def refused(*args: object, **kwargs: object) -> None:
            tried.append(f"{what} {args}")
            raise OSError("the network is cut")

        return refused

    monkeypatch.setattr(socket.socket, "connect", refuse("connect"))
    monkeypatch.setattr(socket, "getaddrinfo", refuse("getaddrinfo"))
    return tried


async def heard_with(model: str, models_dir: Path) -> str:
    options = FasterWhisperOptions(model=model, cpu_threads=2)
    async with PLUGIN.open(options, Host(models_dir=models_dir, device="cpu")) as transcriber:
        return text_of((await hear(transcriber, SENTENCE.waveform()))[1])


class TestWithoutNetwork:
    @pytest.mark.parametrize("model", ["tiny", TINY])
    async def test_starts_from_the_cache(self, tmp_path: Path, no_network: list[str], model: str) -> None:
        cached(tmp_path, TINY, WHISPER_MINI)
        assert await heard_with(model, tmp_path) == SENTENCE.text
        assert no_network == []

    async def test_starts_from_a_directory(self, tmp_path: Path, no_network: list[str]) -> None:
        assert await heard_with(str(WHISPER_MINI), tmp_path) == SENTENCE.text
        assert await heard_with("whisper-mini", WHISPER_MINI.parent) == SENTENCE.text
        assert no_network == []

    async def test_a_model_that_is_not_here_stops_the_start_with_what_to_do(
        self, tmp_path: Path, no_network: list[str]
    ) -> None:
        with pytest.raises(ModelMissing, match=r"'tiny' is not in .* cannot be fetched .* `parlante models pull tiny`"):
            await heard_with("tiny", tmp_path)
        assert no_network

    async def test_local_files_only_tries_nothing(self, tmp_path: Path, no_network: list[str]) -> None:
        options = FasterWhisperOptions(model="tiny", local_files_only=True)
        with pytest.raises(ModelMissing, match="`parlante models pull tiny`"):
            async with PLUGIN.open(options, Host(models_dir=tmp_path)):
                pass
        assert no_network == []

    @pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json"])
    def test_a_download_that_was_broken_off_is_not_taken_for_a_model(self, tmp_path: Path, missing: str) -> None:
        (cached(tmp_path, TINY, WHISPER_MINI) / missing).unlink()
        assert find("tiny", tmp_path) is None

    def test_a_directory_without_a_whole_model_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelMissing, match=r"no whole model: it has no config.json, model.bin, tokenizer.json"):
            find(str(tmp_path), tmp_path)

    @pytest.mark.parametrize("name", ["gigantic", "/nowhere/model", "a/b/c"])
    def test_a_name_that_can_be_nothing_is_refused_with_the_names_there_are(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ModelMissing, match=r"there is no model .* tiny.* large-v3"):
            find(name, tmp_path)


PROGRAM = f"""
import asyncio, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from adapters.faster_whisper import PLUGIN, FasterWhisperOptions
from domain.errors import ParlanteError
from domain.ports.plugin import Host
from tests.engines.recordings import RECORDINGS, hear, text_of

command, model, models_dir = sys.argv[1:]
host = Host(models_dir=pathlib.Path(models_dir), device="cpu")

async def start():
    async with PLUGIN.open(FasterWhisperOptions(model=model, cpu_threads=2), host) as transcriber:
        print("heard:", text_of((await hear(transcriber, RECORDINGS["en-00"].waveform()))[1]))

try:
    if command == "pull":
        PLUGIN.pull(model, FasterWhisperOptions(), host)
    else:
        asyncio.run(start())
except ParlanteError as err:
    print(type(err).__name__, err.message)
"""


def run(command: str, model: str, models_dir: Path, hub: Hub) -> subprocess.CompletedProcess[str]:
    """Start or pull in a process of its own, since ``HF_ENDPOINT`` is read when the hub's library is imported."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(models_dir / "home")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, command, model, str(models_dir)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestHub:
    """Downloads, from a stand-in for the hub."""

    @pytest.fixture
    def hub(self) -> Iterator[Hub]:
        with serving({TINY: WHISPER_MINI}) as hub:
            yield hub

    def test_the_first_start_downloads_and_the_next_needs_no_hub(self, tmp_path: Path) -> None:
        with serving({TINY: WHISPER_MINI}) as hub:
            first = run("start", "tiny", tmp_path, hub)
        assert f"heard: {SENTENCE.text}" in first.stdout, first.stderr
        assert hub.downloads == [
            "config.json",
            "model.bin",
            "preprocessor_config.json",
            "tokenizer.json",
            "vocabulary.json",
        ]
        assert "model_download_started" in first.stdout
        assert "model_downloaded" in first.stdout
        asked = len(hub.requests)
        second = run("start", "tiny", tmp_path, hub)
        assert f"heard: {SENTENCE.text}" in second.stdout, second.stderr
        assert len(hub.requests) == asked
        assert "download" not in second.stdout

    def test_a_second_start_asks_a_hub_that_is_there_nothing(self, tmp_path: Path, hub: Hub) -> None:
        run("start", "tiny", tmp_path, hub)
        hub.requests.clear()
        assert f"heard: {SENTENCE.text}" in run("start", "tiny", tmp_path, hub).stdout
        assert hub.requests == []

    def test_pull_downloads_with_a_progress_bar(self, tmp_path: Path, hub: Hub) -> None:
        pulled = run("pull", "tiny", tmp_path, hub)
        assert (pulled.returncode, pulled.stdout) == (0, "")
        assert "%" in pulled.stderr
        assert "model.bin" in hub.downloads
        assert find("tiny", tmp_path) is not None
        hub.requests.clear()
        assert run("pull", "tiny", tmp_path, hub).returncode == 0
        assert hub.downloads == []

    def test_a_repository_that_is_not_there_is_named(self, tmp_path: Path, hub: Hub) -> None:
        for command in ("pull", "start"):
            answer = run(command, "someone/unknown", tmp_path, hub)
            assert answer.stdout.count("ModelMissing the model 'someone/unknown' is not in ") == 1, answer.stderr
            assert f"cannot be fetched from {hub.endpoint}" in answer.stdout

    def test_a_download_that_breaks_off_is_taken_up_again(self, tmp_path: Path, hub: Hub) -> None:
        hub.break_off = "model.bin"
        assert "ModelMissing" in run("start", "tiny", tmp_path, hub).stdout
        assert find("tiny", tmp_path) is None
        hub.break_off = None
        assert f"heard: {SENTENCE.text}" in run("start", "tiny", tmp_path, hub).stdout
