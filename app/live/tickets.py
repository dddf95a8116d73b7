"""Tickets: one use, a short life, for clients that cannot set headers.

A ticket is signed and says all about itself, so a worker takes those of the one before it; what it keeps, in a Litestar
store, is which were used.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Final

import msgspec
from litestar.stores.memory import MemoryStore

from domain.errors import Unauthorized

_SIGNATURE: Final = 16
"""Bytes of a signature."""
_LONGEST: Final = 1024
"""Characters of a ticket that is looked at."""


class _Ticket(msgspec.Struct, array_like=True, frozen=True):
    holder: str
    expires: float
    number: str


class Tickets:
    """Hands out tickets and takes each once."""

    def __init__(self, secret: bytes, used: MemoryStore, lifetime: float) -> None:
        """Prepare.

        Args:
            secret: Signs them; workers with the same one take each other's.
            used: Keeps which ones were used.
            lifetime: Seconds that they live.
        """
        self._secret = secret
        self._used = used
        self._lifetime = lifetime
        self._taking = asyncio.Lock()

    async def issue(self, holder: str) -> tuple[str, datetime]:
        """A new ticket for the holder of a key, and when it expires."""
        ticket = _Ticket(holder=holder or "-", expires=time.time() + self._lifetime, number=secrets.token_urlsafe(12))
        said = msgspec.json.encode(ticket)
        return urlsafe_b64encode(self._sign(said) + said).decode(), datetime.fromtimestamp(ticket.expires, UTC)

    async def redeem(self, ticket: str) -> str:
        """Take a ticket; answers its holder.

        Raises:
            Unauthorized: it is not known, was used, or has expired.
        """
        found = self._read(ticket)
        if found is not None and (left := found.expires - time.time()) > 0:
            async with self._taking:
                if not await self._used.exists(found.number):
                    await self._used.delete_expired()
                    await self._used.set(found.number, b"", expires_in=max(1, round(left + 1)))
                    return found.holder
        raise Unauthorized("the ticket is not known, was used, or has expired")

    def _read(self, ticket: str) -> _Ticket | None:
        try:
            whole = urlsafe_b64decode(ticket[:_LONGEST])
        except ValueError:
            return None
        signature, said = whole[:_SIGNATURE], whole[_SIGNATURE:]
        return msgspec.json.decode(said, type=_Ticket) if hmac.compare_digest(signature, self._sign(said)) else None

    def _sign(self, said: bytes) -> bytes:
        return hmac.digest(self._secret, said, hashlib.sha256)[:_SIGNATURE]
