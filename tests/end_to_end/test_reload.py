"""SIGHUP replaces the worker without a lost request or utterance, or leaves it where the new one does not start."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.keys import hash_key
from tests.end_to_end.live import SENTENCE, Client, connected, log_lines, said, samples, soon
from tests.end_to_end.load import SHORT, Load, utter
from tests.end_to_end.service import REPOSITORY, WHISPER, WHISPER_MINI, Service, eventually, service

LONG = 4
"""Times that a sentence is said by one who goes on until the service stops."""
LOCAL = '[backends]\nobject_store = "local"\n'
IN_THE_FILE = {"MODEL_SIZE", "PARLANTE_BACKENDS__OBJECT_STORE"}
NO_STORE = """
[backends]
object_store = "s3"
[object_stores.s3]
bucket = "speech"
endpoint_url = "http://127.0.0.1:9"
access_key_id = "a"
secret_access_key = "b"
attempts = 1
"""
BOBS_KEY = "parlante_bobs-key"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of the test's own, on the small model."""
    folder = tmp_path / "config"
    shutil.copytree(REPOSITORY / "config", folder)
    (folder / "dev.toml").write_text(f'{LOCAL}[transcribers.faster-whisper]\nmodel = "{WHISPER_MINI}"\n')
    return folder


@pytest.fixture
def running(config: Path, tmp_path: Path) -> Iterator[Service]:
    variables = {name: value for name, value in WHISPER.items() if name not in IN_THE_FILE}
    variables["PARLANTE_CONFIG_DIR"] = str(config)
    with service(tmp_path / "service", "dev", variables) as started:
        yield started


async def reloaded_under_load(running: Service, load: Load) -> tuple[Client, Client, Client]:
    """Reload while there is load; answers streams that were open: two with all said but not ended, one that speaks."""
    old = running.worker()
    async with (
        load.on(),
        connected(running, events="true", encoding="pcm_s16le") as one,
        connected(running, events="true", encoding="pcm_s16le") as another,
        connected(running, events="true", encoding="pcm_s16le") as slow,
    ):
        await asyncio.sleep(1)
        speaking = asyncio.create_task(utter(slow, SENTENCE, pace=0.5, times=LONG))
        assert await soon(lambda: slow.of("final"), within=30)
        for client in (one, another):
            await client.send(samples(SHORT).tobytes())
            await client.next("speech_started")
        psutil.Process(running.pid).send_signal(signal.SIGHUP)
        await asyncio.gather(one.rest(), another.rest(), speaking)
        assert await asyncio.to_thread(eventually, lambda: not old.is_running(), within=30)
        await asyncio.sleep(1.5)
    return one, another, slow


async def opens(running: Service, ticket: str) -> None:
    """Open a stream with a ticket."""
    async with connected(running, headers={}, ticket=ticket, events="true") as client:
        await client.next("ready")


@pytest.mark.slow
def test_a_reload_loses_no_request_and_no_utterance(running: Service, config: Path) -> None:
    old, load = running.worker().pid, Load(running)
    ticket = running.http.post("/api/v1/streaming/tickets").json()["ticket"]
    with (config / "dev.toml").open("a") as file:
        file.write(f'\n[keys]\nbob = "{hash_key(BOBS_KEY)}"\n')
    *held, slow = asyncio.run(reloaded_under_load(running, load))
    print(dict(load.answers))
    assert load.failures == []
    assert all(load.answers[kind] >= 3 for kind in ("transcribed", "synthesized", "connected", "streamed"))
    for client in held:
        assert client.text == said(SHORT)
        assert client.closed == (1012, "service_stopping")
    assert slow.closed == (1012, "service_stopping")
    assert slow.told[-1]["type"] == "transcription"
    assert slow.text[: len(said(SENTENCE))] == said(SENTENCE)  # what was heard whole; a word may have been cut in two
    assert len(slow.text) < LONG * len(said(SENTENCE))
    assert running.worker().pid != old
    assert httpx.get(f"{running.url}/api/v1/voices", headers={"X-API-Key": BOBS_KEY}).status_code == 200
    asyncio.run(opens(running, ticket))  # which the old worker gave


async def kept_under_load(running: Service, load: Load, told: Callable[[], object]) -> None:
    async with load.on():
        await asyncio.sleep(0.5)
        psutil.Process(running.pid).send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(eventually, told, within=60), running.log.read_text("utf-8")
        await asyncio.sleep(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["nonsense = 1\n", "not = = TOML"])
def test_a_configuration_with_a_mistake_leaves_the_worker_in_place(
    running: Service, config: Path, mistake: str
) -> None:
    old, load = running.worker().pid, Load(running)
    (config / "dev.toml").write_text(mistake)
    asyncio.run(kept_under_load(running, load, lambda: log_lines(running, "reload_failed")))
    assert load.failures == []
    assert load.answers["cut short and told"] == 0
    assert load.answers["streamed"] >= 1
    assert running.worker().pid == old
    (reason,) = log_lines(running, "configuration_invalid")
    assert "config/dev.toml" in reason["reason"]


@pytest.mark.slow
def test_an_engine_that_does_not_open_leaves_the_worker_in_place(running: Service, config: Path) -> None:
    old, load = running.worker().pid, Load(running)
    (config / "dev.toml").write_text(f'{LOCAL}[transcribers.faster-whisper]\nmodel = "/nowhere"\n')
    asyncio.run(kept_under_load(running, load, lambda: log_lines(running, "reload_failed")))
    assert load.failures == []
    assert running.worker().pid == old


@pytest.mark.slow
def test_a_store_that_does_not_answer_leaves_the_worker_in_place(running: Service, config: Path) -> None:
    old, load = running.worker().pid, Load(running, ("synthesize", "connect"))
    model = f'[transcribers.faster-whisper]\nmodel = "{WHISPER_MINI}"\n'
    (config / "dev.toml").write_text(NO_STORE + model)
    asyncio.run(kept_under_load(running, load, lambda: log_lines(running, "reload_failed")))
    assert load.failures == []
    assert running.worker().pid == old
    assert "it is not ready: object_store" in running.log.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.01, 0.1, 1])
def test_a_stop_during_a_reload_ends_everything(running: Service, seconds: float) -> None:
    supervisor = psutil.Process(running.pid)
    supervisor.send_signal(signal.SIGHUP)
    time.sleep(seconds)
    supervisor.terminate()
    assert eventually(lambda: not running.processes(), within=20), running.log.read_text("utf-8")
