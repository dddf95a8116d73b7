"""Objects in S3, MinIO or any other store with S3's interface, by aioboto3: one client, one pool of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aioboto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from adapters.s3.options import S3Options, check_options
from adapters.s3.store import S3Store
from domain.errors import ConfigurationInvalid
from domain.ports.object_store import ObjectStore
from domain.ports.plugin import Host, Plugin

__all__ = ["PLUGIN", "S3Options"]


@asynccontextmanager
async def _open(options: S3Options, host: Host) -> AsyncIterator[ObjectStore]:
    """Open the store. The server is not asked: readiness tells whether it answers."""
    check_options(options)
    async with AsyncExitStack() as opened:
        try:
            session = aioboto3.Session(
                aws_access_key_id=options.access_key_id or None,
                aws_secret_access_key=options.secret_access_key or None,
                region_name=options.region,
            )
            if await session.get_credentials() is None:
                raise ConfigurationInvalid(
                    "object_stores.s3.access_key_id: no AWS credentials were found: set APP_AWS_ACCESS_KEY_ID and "
                    "APP_AWS_SECRET_ACCESS_KEY, or give this machine a profile or a role"
                )
            client = signer = await opened.enter_async_context(_client(session, options, options.endpoint_url))
            if options.public_endpoint_url:  # signs only, and so never connects
                signer = await opened.enter_async_context(_client(session, options, options.public_endpoint_url))
        except (BotoCoreError, ValueError) as err:
            raise ConfigurationInvalid(f"object_stores.s3: {err}") from err
        store = S3Store(client, signer, options)
        try:
            yield store
        finally:
            await store.close()


def _client(session: Any, options: S3Options, endpoint_url: str | None) -> Any:
    # AWS answers a link under its global name with a redirect that breaks the signature, and botocore signs such links
    # for any region but with "virtual" (or "path"). Servers other than AWS may not know its newer checksums.
    checksums = "when_required" if options.endpoint_url else "when_supported"
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if options.path_style else "virtual"},
        retries={"total_max_attempts": options.attempts, "mode": "standard"},
        max_pool_connections=options.max_connections,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )
    return session.client("s3", config=config, endpoint_url=endpoint_url or None)


PLUGIN: Final = Plugin[ObjectStore](options=S3Options, open=_open)
