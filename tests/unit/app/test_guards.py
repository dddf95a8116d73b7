from __future__ import annotations

from typing import Any, cast

import pytest
from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.stores.memory import MemoryStore

from app.guards import PUBLIC, ApiKeyGuard
from app.keys import hash_key
from app.live.tickets import Tickets
from domain.errors import Unauthorized
from tests.unit.app.conftest import Configuration


class Handler:
    def __init__(self, **opt: bool) -> None:
        self.opt = opt


def request(**headers: str) -> Request[Any, Any, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope: Any = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw}
    return Request(scope)


async def name_of_caller(guard: ApiKeyGuard, asked: Request[Any, Any, Any], **opt: bool) -> object:
    await guard(asked, cast("BaseRouteHandler", Handler(**opt)))
    return asked.scope.get("auth")


@pytest.fixture
def guard(config: Configuration) -> ApiKeyGuard:
    settings = config.load("prod", API_KEY="operators", PARLANTE_KEYS__ALICE=hash_key("alices"))
    return ApiKeyGuard(settings, Tickets(bytes(32), MemoryStore(), 30))


@pytest.mark.parametrize(
    "headers",
    [
        {"x_api_key": "alices"},
        {"authorization": "Bearer alices"},
        {"authorization": "bearer alices"},
        {"authorization": "BEARER  alices "},
    ],
    ids=str,
)
async def test_a_known_key_passes_by_either_header(guard: ApiKeyGuard, headers: dict[str, str]) -> None:
    assert await name_of_caller(guard, request(**headers)) == "alice"


async def test_each_of_several_keys_passes_under_its_name(guard: ApiKeyGuard) -> None:
    assert await name_of_caller(guard, request(x_api_key="operators")) == "API_KEY"
    assert await name_of_caller(guard, request(x_api_key="alices")) == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_api_key": ""},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "alices"},
        {"authorization": "Basic alices"},
    ],
    ids=str,
)
async def test_without_a_key_one_is_asked_for(guard: ApiKeyGuard, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized, match="an API key is needed"):
        await name_of_caller(guard, request(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"x_api_key": "mallorys"},
        {"x_api_key": "ALICES"},
        {"x_api_key": "clé"},
        {"x_api_key": hash_key("alices")},
        {"authorization": "Bearer mallorys"},
        {"x_api_key": "mallorys", "authorization": "Bearer alices"},
    ],
    ids=str,
)
async def test_an_unknown_key_is_refused_and_not_repeated(guard: ApiKeyGuard, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized) as refused:
        await name_of_caller(guard, request(**headers))
    assert refused.value.message == "the API key is not known"


async def test_what_is_public_needs_no_key(guard: ApiKeyGuard) -> None:
    assert await name_of_caller(guard, request(), **{PUBLIC: True}) is None
    assert await name_of_caller(guard, request(x_api_key="mallorys"), **{PUBLIC: True}) is None


async def test_what_says_that_it_is_not_public_needs_one(guard: ApiKeyGuard) -> None:
    with pytest.raises(Unauthorized):
        await name_of_caller(guard, request(), **{PUBLIC: False})


async def test_where_anybody_may_call_nothing_is_asked(config: Configuration) -> None:
    assert (
        await name_of_caller(ApiKeyGuard(config.load("demo"), Tickets(bytes(32), MemoryStore(), 30)), request()) is None
    )
