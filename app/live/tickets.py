"""Tickets: one use, a short life, for clients that cannot set headers. Kept in a Litestar store."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

from litestar.stores.memory import MemoryStore

from domain.errors import Unauthorized


class Tickets:
    """Hands out tickets and takes each once."""

    def __init__(self, store: MemoryStore, lifetime: float) -> None:
        """Args are where tickets are kept and how many seconds they live."""
        self._store = store
        self._lifetime = lifetime
        self._taking = asyncio.Lock()

    async def issue(self, holder: str) -> tuple[str, datetime]:
        """A new ticket for the holder of a key, and when it expires."""
        await self._store.delete_expired()
        ticket = secrets.token_urlsafe(24)
        await self._store.set(ticket, holder or "-", expires_in=timedelta(seconds=self._lifetime))
        return ticket, datetime.now(UTC) + timedelta(seconds=self._lifetime)

    async def redeem(self, ticket: str) -> str:
        """Take a ticket; answers its holder.

        Raises:
            Unauthorized: it is not known, was used, or has expired.
        """
        async with self._taking:
            holder = await self._store.get(ticket)
            await self._store.delete(ticket)
        if holder is None:
            raise Unauthorized("the ticket is not known, was used, or has expired")
        return holder.decode()
