"""What is S3's own, beside the contract of every object store: settings, links, listings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from adapters.s3 import S3Options
from domain.errors import ConfigurationInvalid
from tests.stores.s3_servers import Moto, S3Server, StartResponse, Wsgi
from tests.stores.s3_stores import SECRET, TYPE, content_of, nowhere, opened


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"bucket": ""}, "S3_BUCKET"),
        ({"bucket": "no bucket"}, "S3_BUCKET"),
        ({"bucket": "a/b"}, "S3_BUCKET"),
        ({"secret_access_key": None}, "APP_AWS_SECRET_ACCESS_KEY"),
        ({"access_key_id": ""}, "APP_AWS_ACCESS_KEY_ID"),
        ({"endpoint_url": "minio:9000"}, "S3_ENDPOINT_URL"),
        ({"endpoint_url": "ftp://minio"}, "S3_ENDPOINT_URL"),
        ({"endpoint_url": "http://mi nio"}, "S3_ENDPOINT_URL"),
        ({"endpoint_url": "http://"}, "S3_ENDPOINT_URL"),
        ({"endpoint_url": "http://minio:port"}, r"object_stores\.s3"),
        ({"public_endpoint_url": "files.example.org"}, r"object_stores\.s3\.public_endpoint_url"),
        ({"region": "not a region"}, r"object_stores\.s3"),
    ],
)
async def test_settings_that_cannot_work_stop_the_start_and_are_named(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=names) as invalid:
        await opened(nowhere(**changes)).__aenter__()
    assert SECRET not in invalid.value.message


async def test_opening_needs_no_server() -> None:
    async with opened(nowhere(endpoint_url="http://127.0.0.1:9")):
        pass


def test_keys_do_not_show_in_the_settings_repr() -> None:
    assert SECRET not in repr(nowhere())
    assert "AKID" not in repr(nowhere())


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.usefixtures("no_credentials")
async def test_without_keys_awss_own_chain_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    options = S3Options(bucket="parlante")
    with pytest.raises(ConfigurationInvalid, match="APP_AWS_ACCESS_KEY_ID"):
        await opened(options).__aenter__()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROMTHECHAIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    async with opened(options) as store:
        assert "FROMTHECHAIN" in (await store.url("a", 60)).url


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "https://parlante.s3.us-east-1.amazonaws.com/k?"),
        ({"region": "eu-west-1"}, "https://parlante.s3.eu-west-1.amazonaws.com/k?"),
        ({"region": "eu-west-1", "addressing_style": "path"}, "https://s3.eu-west-1.amazonaws.com/parlante/k?"),
        ({"endpoint_url": "http://minio:9000"}, "http://minio:9000/parlante/k?"),
        ({"endpoint_url": "http://minio:9000", "addressing_style": "virtual"}, "http://parlante.minio:9000/k?"),
        (
            {"endpoint_url": "http://minio:9000", "public_endpoint_url": "https://files.example.org"},
            "https://files.example.org/parlante/k?",
        ),
    ],
)
async def test_a_link_names_the_bucket_where_clients_reach_it(changes: dict[str, Any], start: str) -> None:
    async with opened(nowhere(**changes)) as store:
        url = (await store.url("k", 90)).url
    # us-east-1 is also reached, without a redirect, by the name without a region.
    assert url.startswith((start, start.replace(".s3.us-east-1.", ".s3.")))
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["90"]
    assert SECRET not in url


async def test_a_link_to_the_public_address_is_signed_for_it(real_s3: S3Server) -> None:
    public = real_s3.endpoint_url.replace("127.0.0.1", "localhost")
    with real_s3.bucket() as bucket:
        async with opened(real_s3.options(bucket, public_endpoint_url=public)) as store:
            await store.put("a", content_of(b"abc"), TYPE)
            link = await store.url("a", 60)
        assert link.url.startswith(public)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(link.url)).content == b"abc"
            assert (await client.get(link.url.replace("localhost", "127.0.0.1"))).status_code == 403


async def test_a_listing_of_many_pages_is_whole(moto: Moto, bucket: str) -> None:
    def short_pages(environ: dict[str, Any], start_response: StartResponse, app: Wsgi) -> Iterable[bytes]:
        if "list-type=2" in environ["QUERY_STRING"]:
            environ["QUERY_STRING"] += "&max-keys=3"
        return app(environ, start_response)

    async with opened(moto.options(bucket)) as store:
        for number in range(10):
            await store.put(f"n/{number}", content_of(b"a"), TYPE)
        moto.spoil = short_pages
        moto.requests.clear()
        assert [stored.key async for stored in store.list("n/")] == [f"n/{number}" for number in range(10)]
        assert len(moto.requests) == 4
