"""Links that prove themselves: HMAC-SHA256 (RFC 2104) over the key and the second at which the link expires."""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from domain.errors import ConfigurationInvalid, SignatureInvalid
from domain.stored_object import SignedUrl

_SECRET_BYTES: Final = 32
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,11}")


class LinkSigner:
    """Makes links to ``/files/…`` and checks them."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        """Take the secret and a clock, in seconds since 1970."""
        self._secret = secret
        self._clock = clock

    def sign(self, key: str, expires_in: float) -> SignedUrl:
        """A link to ``key`` that works for ``expires_in`` seconds, rounded up to a whole second."""
        expires = math.ceil(self._clock() + expires_in)
        url = f"/files/{quote(key, safe='/=')}?expires={expires}&signature={self._signature(key, str(expires))}"
        return SignedUrl(url=url, expires_at=datetime.fromtimestamp(expires, UTC))

    def verify(self, key: str, expires: str, signature: str) -> None:
        """See ``SelfServedStore.verify``."""
        expected = self._signature(key, expires)
        # Compared first and always, so that nothing can be learnt from the time that an answer takes.
        genuine = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
        if not genuine or not _SECONDS.fullmatch(expires):
            raise SignatureInvalid("the link is not one of this service, or was altered")
        if self._clock() >= int(expires):
            raise SignatureInvalid("the link has expired")

    def _signature(self, key: str, expires: str) -> str:
        # A key has no line break, so no two pairs make the same message.
        message = f"GET\n{key}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()


def load_secret(directory: Path) -> bytes:
    """The secret kept in ``directory``, made at the first call; processes that call at once agree on one.

    Raises:
        ConfigurationInvalid: the file is not what this function wrote.
        OSError: it can be neither read nor made.
    """
    file = directory / "secret"
    if not file.exists():
        _make_secret(file)
    secret = file.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise ConfigurationInvalid(f"{file} is damaged; delete it, which ends all links that were given out")
    return secret


def _make_secret(file: Path) -> None:
    draft = file.with_name(f"secret.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(secrets.token_bytes(_SECRET_BYTES))
            opened.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was first: its secret counts
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
