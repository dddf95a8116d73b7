"""The API keys that are known right now: those of the configuration and those of a file that may change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from app.keys import name_of_key
from app.settings.keys_file import read_keys_file
from domain.errors import ConfigurationInvalid

_INTERVAL: Final = 1.0
"""Least seconds between two looks at the file."""
_log = structlog.stdlib.get_logger("app.keys")

Version = tuple[int, int, int]


class KeyRing:
    """Recognizes keys; a change of the file holds from the first request that comes a second after it."""

    def __init__(
        self, configured: Mapping[str, str], file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file.

        Args:
            configured: Keys of the configuration: name to hash.
            file: File with further ones, which it is then followed for.
            clock: Seconds that go by.

        Raises:
            ConfigurationInvalid: see ``read_keys_file``.
        """
        self._configured = configured
        self._file = file
        self._clock = clock
        self._looked = clock()
        self._version = None if file is None else _version(file)
        self._hashes = dict(configured) if file is None else {**configured, **read_keys_file(file)}

    async def name_of(self, key: str) -> str | None:
        """The name of a key, ``None`` where it is not known."""
        now = self._clock()
        if self._file is not None and now - self._looked >= _INTERVAL:
            self._looked = now
            await asyncio.to_thread(self._follow, self._file)
        return name_of_key(key, self._hashes)

    def _follow(self, file: Path) -> None:
        """Take over what a changed file says; where it says nothing sensible, the keys stay as they were."""
        version = _version(file)
        if version == self._version:
            return
        self._version = version
        try:
            self._hashes = {**self._configured, **read_keys_file(file)}
        except ConfigurationInvalid as err:
            _log.warning("keys_file_invalid", reason=err.message)
        else:
            _log.info("keys_changed", keys=len(self._hashes))


def _version(file: Path) -> Version | None:
    """What changes with the file: it is rewritten, or another one is put in its place; ``None`` where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
