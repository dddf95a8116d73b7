"""Starting and stopping, and backends of other people's."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from litestar.types import ASGIApp

from app.application import create_app
from app.server import announce_start_errors
from app.settings import Settings
from domain.errors import BackendUnknown, ModelMissing
from tests.app.backends import ENTRY_POINTS, Backends
from tests.app.conftest import REPOSITORY, StartService
from tests.app.installed import install_backends


async def test_backends_open_at_the_start_and_close_at_the_stop(start: StartService, backends: Backends) -> None:
    async with start():
        assert sorted(backends.opened) == ["synthesizer opened", "transcriber opened"]
    assert sorted(backends.opened[2:]) == ["synthesizer closed", "transcriber closed"]


async def test_nothing_opens_before_the_start(settings: Callable[..., Settings], backends: Backends) -> None:
    create_app(settings())
    assert backends.opened == []


class Life:
    """What a server and an application tell each other at the start and the stop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._from_server = iter(["lifespan.startup", "lifespan.shutdown"])
        self.told: list[Any] = []

    async def run(self) -> list[str]:
        """Types of the messages that the application sends."""
        await self._app({"type": "lifespan", "state": {}}, self._receive, self._send)  # type: ignore[arg-type]
        return [message["type"] for message in self.told]

    async def _receive(self) -> Any:
        return {"type": next(self._from_server)}

    async def _send(self, message: Any) -> None:
        self.told.append(message)


async def test_a_start_and_a_stop_are_said(settings: Callable[..., Settings]) -> None:
    life = Life(announce_start_errors(create_app(settings())))
    assert await life.run() == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_backend_that_cannot_open_stops_the_start_with_its_sentence(
    settings: Callable[..., Settings], backends: Backends
) -> None:
    backends.fail_to_open = ModelMissing("run `parlante models pull base`")
    after: list[str] = []
    life = Life(announce_start_errors(create_app(settings()), afterwards=lambda: after.append("ended")))
    assert await life.run() == ["lifespan.startup.failed"]
    assert life.told[0]["message"] == "parlante cannot start: run `parlante models pull base`"
    assert after == ["ended"]


async def test_a_bug_at_the_start_keeps_its_traceback(settings: Callable[..., Settings], backends: Backends) -> None:
    backends.fail_to_open = ZeroDivisionError("a bug")
    life = Life(announce_start_errors(create_app(settings())))
    with pytest.RaisesGroup(ZeroDivisionError, allow_unwrapped=True, flatten_subgroups=True):
        await life.run()
    assert "ZeroDivisionError: a bug" in life.told[0]["message"]


async def test_where_one_backend_cannot_open_the_others_close(
    settings: Callable[..., Settings], backends: Backends
) -> None:
    backends.fail_to_open = ModelMissing("run `parlante models pull base`")
    await Life(announce_start_errors(create_app(settings()))).run()
    assert backends.opened.count("synthesizer opened") == backends.opened.count("synthesizer closed")


async def test_an_unknown_backend_stops_it_before_the_start(settings: Callable[..., Settings]) -> None:
    with pytest.raises(BackendUnknown, match=r"'babel-fish'.*fake"):
        settings(PARLANTE_BACKENDS__TRANSCRIBER="babel-fish")


async def test_two_services_of_one_process_share_nothing(start: StartService) -> None:
    async with start() as one, start() as other:
        async with one.client() as client:
            await client.post("/api/v1/synthesize", json={"text": "Good morning.", "language": "en"})
        assert await one.metric('parlante_audio_spoken_seconds_total{cached="false"}') > 0
        assert await other.metric('parlante_audio_spoken_seconds_total{cached="false"}') == 0


class TestAThirdPartysPackage:
    """``tests/packages/parlante-morse``, found by its entry points and chosen by configuration."""

    MORSE = {"PARLANTE_BACKENDS__TRANSCRIBER": "morse", "PARLANTE_BACKENDS__SYNTHESIZER": "morse"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _installed(self, backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
        package = REPOSITORY / "tests" / "packages" / "parlante-morse"
        monkeypatch.syspath_prepend(str(package))
        install_backends(monkeypatch, *ENTRY_POINTS, *entry_points_of(package))

    async def test_speaks_and_hears(self, start: StartService) -> None:
        async with start(**self.MORSE) as service, service.client() as client:
            spoken = await client.post("/api/v1/synthesize", json={"text": "SOS Titanic 1912", "language": "en"})
            assert spoken.status_code == 201
            assert spoken.json()["voice"] == "key"
            audio = (await client.get(spoken.json()["url"])).content
            heard = await client.post("/api/v1/transcribe", files={"audio_file": ("a.wav", audio)})
            assert heard.json()["transcription"] == "SOS TITANIC 1912"
            assert heard.json()["model"] == "itu-r-m.1677"

    async def test_is_in_the_catalogue(self, start: StartService) -> None:
        async with start(**self.MORSE) as service, service.client() as client:
            engines = (await client.get("/api/v1/models")).json()["models"]
            assert [engine["engine"] for engine in engines] == ["morse", "morse"]

    async def test_takes_its_options_from_the_configuration(self, start: StartService) -> None:
        durations = []
        for unit in ("0.05", "0.1"):
            variables = self.MORSE | {"PARLANTE_SYNTHESIZERS__MORSE__UNIT": unit}
            async with start(**variables) as service, service.client() as client:
                spoken = await client.post("/api/v1/synthesize", json={"text": f"SOS {unit}", "language": "en"})
                durations.append(spoken.json()["duration"])
        assert durations[1] > 1.7 * durations[0]

    async def test_refuses_what_it_cannot(self, start: StartService) -> None:
        async with start(**self.MORSE) as service, service.client() as client:
            answer = await client.post("/api/v1/synthesize", json={"text": "SOS", "language": "en", "pitch": 1.5})
            assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_option")


def entry_points_of(package: Path) -> list[tuple[str, str, str]]:
    """What its ``pyproject.toml`` registers."""
    groups = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    return [
        (group.removeprefix("parlante."), name, value)
        for group, points in groups.items()
        for name, value in points.items()
    ]
