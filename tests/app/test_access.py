"""Who may call what."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute, WebSocketRoute
from msgspec.structs import replace

from app.application import create_app
from app.keys import hash_key
from app.settings import Settings
from tests.app.backends import Backends
from tests.app.conftest import ALICES_KEY, KEY, Service, StartService, running
from tests.app.raw import Exchange

PUBLIC = re.compile(r"/health/(live|ready)|/openapi\.json|/docs(/.*)?|/files/\{key:path\}")
"""Health, the docs with their assets, and signed files: what anybody may call."""


def every_call(app: Litestar) -> list[tuple[str, str, str]]:
    """Kind, method and path template of everything that the application answers."""
    calls = []
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            calls += [("http", str(method), route.path) for method in route.methods]
        else:
            assert isinstance(route, WebSocketRoute), f"a new kind of route: {route!r}"
            calls.append(("websocket", "GET", route.path))
    return sorted(calls)


def path_of(template: str) -> str:
    return re.sub(r"\{\w+(:\w+)?\}", "something", template)


async def refused(service: Service, kind: str, method: str, template: str, **headers: str) -> bool:
    """Whether a call is answered 401."""
    call = Exchange(service.app, method, path_of(template), headers, kind=kind, key=None)
    if kind == "websocket":
        call.gone.set()
    await call.run()
    assert "websocket.accept" not in call.messages or headers
    if call.status == 401:
        assert call.answer["www-authenticate"] == 'Bearer realm="parlante"'
        assert call.answer["content-type"].startswith("application/problem+json")
    return call.status == 401


async def test_without_a_key_exactly_health_docs_and_signed_files_answer(service: Service) -> None:
    calls = every_call(service.app)
    open_calls = {
        (method, template)
        for kind, method, template in calls
        if method != "OPTIONS" and not await refused(service, kind, method, template)
    }
    assert open_calls == {
        (method, template) for _, method, template in calls if method != "OPTIONS" and PUBLIC.fullmatch(template)
    }
    assert {template for _, template in open_calls} >= {
        "/health/live",
        "/health/ready",
        "/openapi.json",
        "/docs",
        "/docs/assets/{file_path:path}",
        "/files/{key:path}",
    }


async def test_everything_else_is_there_and_answers_401(service: Service) -> None:
    closed = [call for call in every_call(service.app) if not PUBLIC.fullmatch(call[2])]
    assert {template for *_, template in closed} >= {
        "/api/v1/transcribe",
        "/api/v1/synthesize",
        "/api/v1/voices",
        "/api/v1/models",
        "/metrics",
    }
    for kind, method, template in closed:
        assert await refused(service, kind, method, template), f"{method} {template} is open"
        wrong = {"x-api-key": "mallorys"}
        assert await refused(service, kind, method, template, **wrong), f"{method} {template} takes any key"


async def test_with_a_key_nothing_answers_401(service: Service) -> None:
    for kind, method, template in every_call(service.app):
        if kind == "http":
            assert not await refused(service, kind, method, template, **{"x-api-key": KEY})


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"X-API-Key": ALICES_KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer {ALICES_KEY}"},
    ],
    ids=["operator by header", "alice by header", "operator as bearer", "alice as bearer"],
)
async def test_each_key_passes_by_either_header(stranger: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await stranger.get("/api/v1/voices", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "an API key is needed: send it as X-API-Key or Authorization: Bearer"),
        ({"Authorization": f"Basic {KEY}"}, "an API key is needed: send it as X-API-Key or Authorization: Bearer"),
        ({"X-API-Key": "mallorys"}, "the API key is not known"),
        ({"Authorization": "Bearer mallorys"}, "the API key is not known"),
        ({"X-API-Key": KEY.upper()}, "the API key is not known"),
    ],
)
async def test_no_key_and_a_wrong_key_are_told_apart(
    stranger: httpx.AsyncClient, headers: dict[str, str], detail: str
) -> None:
    answer = await stranger.get("/api/v1/voices", headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {
        "title": "Unauthorized",
        "status": 401,
        "code": "unauthorized",
        "detail": detail,
        "retryable": False,
    }
    assert answer.headers["www-authenticate"] == 'Bearer realm="parlante"'


async def test_without_a_key_an_upload_is_refused_unread(service: Service) -> None:
    call = Exchange(
        service.app,
        "POST",
        "/api/v1/transcribe",
        {"content-type": "multipart/form-data; boundary=x"},
        content=[b"x" * 1000] * 10,
        key=None,
    )
    assert (await call.run()).status == 401
    assert call.consumed_at_answer == 0


async def test_a_wrong_method_or_path_needs_no_key_and_tells_nothing(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/api/v1/synthesize")).status_code == 405
    answer = await stranger.get("/no/such/path")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_where_the_configuration_says_so_anybody_may_call(
    settings: Callable[..., Settings], backends: Backends
) -> None:
    app = create_app(replace(settings(PARLANTE_SERVER__HOST="127.0.0.1"), auth="none"))
    async with running(app), Service(app, backends).client(key=None) as client:
        assert (await client.get("/api/v1/voices")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200


async def test_a_key_of_the_keys_file_is_admitted_and_gone_when_its_line_is(
    start: StartService, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'bob = "{hash_key("bobs")}"\n')
    async with start(KEYS_FILE=str(file)) as service, service.client("bobs") as client:
        assert (await client.get("/api/v1/voices")).status_code == 200
        file.write_text(f'carol = "{hash_key("carols")}"\n')
        await asyncio.sleep(1.1)
        assert (await client.get("/api/v1/voices")).status_code == 401
        answer = await client.get("/api/v1/voices", headers={"X-API-Key": "carols"})
        assert answer.status_code == 200
