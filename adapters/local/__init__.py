"""Objects in a directory: no server, no account; the service itself answers the links."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from adapters.bridge import Bridge
from adapters.local.files import ObjectFiles
from adapters.local.signing import LinkSigner, load_secret
from adapters.local.store import LocalStore
from domain.errors import ConfigurationInvalid
from domain.ports.object_store import SelfServedStore
from domain.ports.plugin import Host, Plugin

__all__ = ["PLUGIN", "LocalOptions"]

_THREADS: Final = 8
_SHORTEST_SECRET: Final = 16


class LocalOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the object store ``local``."""

    directory: Path = Path("data/objects")
    """Where objects are kept; made if it is not there. Several processes may share it."""
    secret: str = ""
    """Key that links are signed with, at least 16 characters; empty makes one and keeps it in the directory."""

    def __repr__(self) -> str:
        return f"LocalOptions(directory={str(self.directory)!r})"  # the secret stays out of logs


@asynccontextmanager
async def _open(options: LocalOptions, host: Host) -> AsyncIterator[SelfServedStore]:
    if options.secret and len(options.secret) < _SHORTEST_SECRET:
        raise ConfigurationInvalid(f"object_stores.local.secret: expected at least {_SHORTEST_SECRET} characters")
    files = ObjectFiles(options.directory)
    bridge = Bridge("local-store", threads=_THREADS)
    try:
        secret = await bridge.call(_prepare, files, options)
        yield LocalStore(files, LinkSigner(secret), bridge)
    finally:
        bridge.close()


def _prepare(files: ObjectFiles, options: LocalOptions) -> bytes:
    try:
        files.prepare()
        return options.secret.encode() if options.secret else load_secret(options.directory)
    except OSError as err:
        raise ConfigurationInvalid(
            f"object_stores.local.directory: {options.directory} cannot be used: {err.strerror or type(err).__name__}"
        ) from err


PLUGIN: Final = Plugin[SelfServedStore](options=LocalOptions, open=_open)
