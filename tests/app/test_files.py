"""``/files/…``: objects of a store without a server of its own, by signed links."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx
import pytest

from domain.errors import KeyInvalid
from tests.app.conftest import Service
from tests.app.raw import Exchange

CONTENT = bytes(range(256)) * 4
KEY = "prod/speech/ab/abc.wav"


async def content() -> AsyncGenerator[bytes, None]:
    yield CONTENT[:100]
    yield CONTENT[100:]


async def nothing() -> AsyncGenerator[bytes, None]:
    for piece in ():
        yield piece


@pytest.fixture
async def link(service: Service) -> str:
    """A signed link to an object of 1024 bytes, as path and query."""
    await service.backends.store.put(KEY, content, "audio/wav", {"duration": "1.0"})
    return (await service.backends.store.url(KEY, 60)).url


def changed(link: str, **parameters: str | None) -> str:
    """The link with other parameters, or without some."""
    parts = urlsplit(link)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    kept = "&".join(f"{name}={value}" for name, value in query.items() if value is not None)
    return urlunsplit(parts._replace(query=kept))


# Whole.


async def test_a_link_gives_the_object_to_anybody(stranger: httpx.AsyncClient, link: str) -> None:
    answer = await stranger.get(link)
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["last-modified"].endswith(" GMT")
    assert "content-range" not in answer.headers


async def test_head_answers_the_headers_alone(stranger: httpx.AsyncClient, link: str) -> None:
    answer, whole = await stranger.head(link), await stranger.get(link)
    assert (answer.status_code, answer.content) == (200, b"")
    for name in ("content-type", "content-length", "accept-ranges", "last-modified", "cache-control"):
        assert answer.headers[name] == whole.headers[name]


async def test_an_empty_object_is_given_too(service: Service, stranger: httpx.AsyncClient) -> None:
    await service.backends.store.put("empty", nothing, "audio/wav")
    url = (await service.backends.store.url("empty", 60)).url
    answer = await stranger.get(url)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await stranger.get(url, headers={"range": "bytes=0-"})).status_code == 416


# Ranges.


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=1000-", 1000, 1023),
        ("bytes=0-", 0, 1023),
        ("bytes=-24", 1000, 1023),
        ("bytes=-5000", 0, 1023),
        ("bytes=1000-5000", 1000, 1023),
        ("bytes=1023-1023", 1023, 1023),
        ("bytes=0-999999999999999999", 0, 1023),
    ],
)
async def test_a_range_gives_its_bytes(
    stranger: httpx.AsyncClient, link: str, asked: str, first: int, last: int
) -> None:
    answer = await stranger.get(link, headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/1024"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=--5",
        "bytes 0-5",
        "lines=0-5",
        "0-5",
        "",
        "bytes=" + "9" * 5000 + "-",
        "bytes=٠-٥".encode().decode("latin-1"),
    ],
    ids=lambda asked: asked[:20].encode("unicode_escape").decode(),
)
async def test_what_is_no_single_range_is_passed_over(stranger: httpx.AsyncClient, link: str, asked: str) -> None:
    answer = await stranger.get(link, headers={"range": asked.encode("latin-1")})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=1024-2000", "bytes=-0"])
async def test_a_range_past_the_end_is_a_416_with_the_size(stranger: httpx.AsyncClient, link: str, asked: str) -> None:
    answer = await stranger.get(link, headers={"range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */1024"


# Links that do not hold.


@pytest.mark.parametrize(
    "parameters",
    [
        {"signature": None},
        {"expires": None},
        {"signature": None, "expires": None},
        {"signature": ""},
        {"signature": "00" * 32},
        {"signature": "é"},
        {"expires": ""},
        {"expires": "tomorrow"},
        {"expires": "99999999999"},
        {"expires": "-1"},
        {"expires": "1e12"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_tampered_link_is_a_403(
    stranger: httpx.AsyncClient, link: str, method: str, parameters: dict[str, str | None]
) -> None:
    answer = await stranger.request(method, changed(link, **parameters))
    assert answer.status_code == 403
    assert method == "HEAD" or answer.json()["code"] == "signature_invalid"


async def test_a_link_with_one_character_of_its_signature_changed_is_a_403(
    stranger: httpx.AsyncClient, link: str
) -> None:
    last = "0" if link[-1] != "0" else "1"
    assert (await stranger.get(link[:-1] + last)).status_code == 403


async def test_a_link_does_not_open_another_object(service: Service, stranger: httpx.AsyncClient, link: str) -> None:
    await service.backends.store.put("prod/speech/ab/abd.wav", content, "audio/wav")
    assert (await stranger.get(link.replace("abc.wav", "abd.wav"))).status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_expired_link_is_a_403(service: Service, stranger: httpx.AsyncClient, link: str, method: str) -> None:
    expired = (await service.backends.store.url(KEY, -5)).url
    answer = await stranger.request(method, expired)
    assert answer.status_code == 403
    assert method == "HEAD" or answer.json()["detail"] == "the link has expired"
    assert (await stranger.request(method, link)).status_code == 200


async def test_a_key_does_not_replace_the_signature(client: httpx.AsyncClient, link: str) -> None:
    assert (await client.get(changed(link, signature=None))).status_code == 403


async def test_a_good_link_to_an_object_that_is_gone_is_a_404(
    service: Service, stranger: httpx.AsyncClient, link: str
) -> None:
    await service.backends.store.delete(KEY)
    answer = await stranger.get(link)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await stranger.head(link)).status_code == 404


HOSTILE = [
    "/files/../secret",
    "/files/%2e%2e%2fsecret",
    "/files/%2e%2e/%2e%2e/etc/passwd",
    "/files/..%2f..%2f..%2fetc%2fpasswd",
    "/files/%252e%252e%252fsecret",
    "/files/a/../../secret",
    "/files//etc/passwd",
    "/files/%2fetc%2fpasswd",
    "/files/a%00b",
    "/files/a%0ab",
    "/files/a\\..\\b",
    "/files/a//b",
    "/files/./a",
    "/files/a/.",
    "/files/",
    "/files",
    "/files/" + "a" * 600,
    "/files/%ff%fe",
    "/files/ñandú".encode().decode("latin-1"),
]


@pytest.mark.parametrize("query", ["", "?expires=99999999999&signature=" + "00" * 32], ids=["bare", "with a signature"])
async def test_a_hostile_key_opens_nothing_and_breaks_nothing(service: Service, query: str) -> None:
    assert (service.backends.directory / "secret").is_file()
    for path in HOSTILE:
        for method in ("GET", "HEAD"):
            call = await Exchange(service.app, method, path + query, key=None).run()
            assert call.status in {403, 404, 405}, path
            assert b"root:" not in call.body
            assert str(service.backends.directory).encode() not in call.body


async def test_a_hostile_key_is_not_signed_either(service: Service) -> None:
    with pytest.raises(KeyInvalid):
        await service.backends.store.url("../secret", 60)


async def test_a_store_that_is_down_is_a_503(service: Service, stranger: httpx.AsyncClient, link: str) -> None:
    service.backends.store.down = True
    answer = await stranger.get(link)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
async def test_nothing_can_be_changed_by_a_link(
    service: Service, stranger: httpx.AsyncClient, link: str, method: str
) -> None:
    assert (await stranger.request(method, link, content=b"x")).status_code == 405
    assert await service.backends.store.keys() == [KEY]
