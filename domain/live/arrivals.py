"""The bytes of a client on their way to the decoder."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from enum import Enum, auto
from typing import Final

_AHEAD: Final = 4 * 2**20
"""Bytes that may wait to be decoded; then the client is made to wait.

Reading ahead is what finds out that a client has gone: one that left is only seen behind all that it sent.
"""
_ITEM: Final = 128
"""Bytes that a piece or a mark counts for beside its own, about what holding it takes."""
_PIECE: Final = 64 * 2**10
"""Bytes from which a piece is not made longer by what comes next."""


class Mark(Enum):
    """What stands between bytes."""

    FLUSH = auto()
    """The open utterance ends here."""


class Arrivals:
    """A queue of bytes and marks. One task puts in, another takes out."""

    def __init__(self) -> None:
        self._items: deque[bytearray | Mark] = deque()
        self._held = 0
        self._ended = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Put in the next bytes, once there is room; after the end they are dropped."""
        while self._held >= _AHEAD and not self._ended:
            self._room.clear()
            await self._room.wait()
        if self._ended:
            return
        last = self._items[-1] if self._items else None
        if isinstance(last, bytearray) and len(last) < _PIECE:
            last += data
        else:
            self._items.append(bytearray(data))
            self._held += _ITEM
        self._held += len(data)
        self._arrived.set()

    def mark(self, mark: Mark) -> None:
        """Put in a mark; the same twice is one."""
        if not self._ended and not (self._items and self._items[-1] is mark):
            self._items.append(mark)
            self._held += _ITEM
            self._arrived.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._arrived.set()
        self._room.set()

    async def take(self) -> AsyncGenerator[bytes | Mark, None]:
        """All of it in order, as it comes, to the end."""
        while True:
            while self._items:
                item = self._items.popleft()
                self._held -= _ITEM + (0 if isinstance(item, Mark) else len(item))
                self._room.set()
                yield item if isinstance(item, Mark) else bytes(item)
            if self._ended:
                return
            self._arrived.clear()
            await self._arrived.wait()
