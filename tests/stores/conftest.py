"""Servers that the stores of these tests talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.s3_servers import Moto, S3Server, run_moto, run_real_s3


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Moto]:
    with run_moto() as server:
        yield server


@pytest.fixture
def moto(moto_server: Moto) -> Iterator[Moto]:
    """Moto's server, unspoilt and with no requests in its list."""
    moto_server.requests.clear()
    yield moto_server
    moto_server.spoil = None


@pytest.fixture
def bucket(moto: Moto) -> Iterator[str]:
    """A bucket of moto's."""
    with moto.bucket() as name:
        moto.requests.clear()
        yield name
        moto.spoil = None


@pytest.fixture(scope="session")
def real_s3() -> Iterator[S3Server]:
    with run_real_s3() as server:
        yield server
