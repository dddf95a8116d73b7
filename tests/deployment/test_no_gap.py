"""Deployments of the real service under a steady load: nothing is lost, whether they succeed or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.service_process import free_port
from tests.deployment.deploying import Site
from tests.end_to_end.live import Client, connected, said, samples
from tests.end_to_end.load import SHORT, Load
from tests.end_to_end.service import WHISPER_MINI, Service

pytestmark = pytest.mark.slow


@pytest.fixture
def service(site: Site, tmp_path: Path) -> Service:
    """The service, deployed once, on the small model and a folder."""
    site.variables |= {
        "MODEL_SIZE": str(WHISPER_MINI),
        "PARLANTE_BACKENDS__SYNTHESIZER": "espeak-ng",
        "PARLANTE_BACKENDS__OBJECT_STORE": "local",
        "PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(tmp_path / "objects"),
        "DEPLOY_TIMEOUT": "60",
    }
    result = site.deploy("service 1")
    assert result.status == 0, result.output
    [container] = site.there.containers
    return Service(f"http://127.0.0.1:{site.port}", container.about["pid"], tmp_path, site.variables["API_KEY"])


async def under_load(service: Service, *steps: Callable[[], object]) -> Load:
    """Take steps while there is load."""
    load = Load(service)
    async with load.on():
        await asyncio.sleep(1)
        for step in steps:
            await asyncio.to_thread(step)
        await asyncio.sleep(1)
    print(dict(load.answers))
    return load


def check(load: Load) -> None:
    assert load.failures == []
    assert all(load.answers[kind] >= 3 for kind in ("transcribed", "synthesized", "connected", "streamed"))


async def held_open(service: Service, step: Callable[[], object]) -> list[Client]:
    """Streams in which all was said before a step, and nothing ended."""
    async with (
        connected(service, events="true", encoding="pcm_s16le") as one,
        connected(service, events="true", encoding="pcm_s16le") as another,
    ):
        for client in (one, another):
            await client.send(samples(SHORT).tobytes())
            await client.next("speech_started")
        await asyncio.gather(asyncio.to_thread(step), one.rest(), another.rest())
    return [one, another]


def test_a_deployment_and_a_rollback_lose_no_request_and_no_utterance(site: Site, service: Service) -> None:
    def deployed() -> None:
        result = site.deploy("service 2", PARLANTE_LOGS__LEVEL="debug")
        assert result.status == 0, result.output

    def rolled_back() -> None:
        result = site.deploy(None, "dev", "127.0.0.1", "--rollback")
        assert result.status == 0, result.output

    [first] = site.there.containers
    load = asyncio.run(under_load(service, deployed, rolled_back))
    check(load)
    for client in asyncio.run(held_open(service, deployed)):
        assert client.text == said(SHORT)
        assert client.closed == (1012, "service_stopping")
    [last] = site.there.containers
    assert last.id != first.id
    assert not first.runs
    assert last.runs


def never_stopped(site: Site, service: Service, load: Load) -> None:
    """What ran before the load runs, and nothing was lost."""
    check(load)
    assert load.answers["cut short and told"] == 0
    [container] = site.there.containers
    assert container.runs
    assert container.about["pid"] == service.pid


def test_a_deployment_that_fails_does_not_stop_what_runs(site: Site, service: Service) -> None:
    def deployed() -> None:
        result = site.deploy("exits 2", DEPLOY_TIMEOUT="4")
        assert result.status == 1
        assert "runs and is ready" in result.output

    never_stopped(site, service, asyncio.run(under_load(service, deployed)))


NO_STORE = {
    "PARLANTE_BACKENDS__OBJECT_STORE": "s3",
    "S3_ENDPOINT_URL": "http://127.0.0.1:9",
    "PARLANTE_OBJECT_STORES__S3__ATTEMPTS": "1",
}


@pytest.mark.parametrize("mistake", [{"MODEL_SIZE": "/nowhere"}, NO_STORE], ids=["no model", "no store"])
def test_a_service_that_does_not_get_ready_does_not_stop_what_runs(
    site: Site, service: Service, mistake: dict[str, str]
) -> None:
    def deployed() -> None:
        result = site.deploy("service 2", DEPLOY_TIMEOUT="8", **mistake)
        assert result.status == 1
        assert "runs and is ready" in result.output

    never_stopped(site, service, asyncio.run(under_load(service, deployed)))


def test_what_an_interrupted_deployment_left_is_cleared(site: Site, service: Service) -> None:
    """Two containers run; deploying the current release again ends with one of that release."""
    [first] = site.there.containers
    (site.directory / "dev" / "newer").mkdir()
    first.keep(directory=str(site.directory / "dev" / "newer"))  # the only one that runs is of another release
    result = site.deploy("service 1")
    assert result.status == 0, result.output
    assert "the same release" in result.output
    [last] = site.there.containers
    assert last.about["directory"] == str(site.current())
    assert last.runs


def test_another_port_is_opened_anew(site: Site, service: Service) -> None:
    port = free_port("127.0.0.1")
    result = site.deploy("service 2", PARLANTE_PORT=str(port))
    assert result.status == 0, result.output
    assert httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200
    assert site.serving() is None
