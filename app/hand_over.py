"""A worker's part in a reload: it tells when it is ready, and leaves when another one is.

To leave is to take no new connection, to let those that came go on for a moment with the word that they end, and then
to stop as ever. Granian closes its listening socket only together with everything else, so until then another socket,
to which nobody connects, takes that one's place in this process; the other worker keeps the real one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

HAND_OVER: Final = signal.SIGUSR1
"""Tells a worker that another one has taken over."""
FAREWELL: Final = 1.0
"""Seconds in which connections that came to a worker that leaves still bring requests and streams."""

_DESCRIPTORS: Final = Path("/proc/self/fd")
_log = structlog.stdlib.get_logger("app.server")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor gives a worker."""

    listening: int
    """Inode of the listening socket."""
    started: Connection
    """Takes a byte once the worker is ready."""
    secret: bytes
    """What the workers that come and go share."""
    takes_over: bool
    """Whether another worker, of this service or of another one, accepts from that socket."""


class HandOver:
    """Follows one worker from its start to its leaving."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._leaving = False

    async def leave(self) -> None:
        """Take no new connections, and return when those that had come have had their say."""
        self._leaving = True
        _stop_listening(self._place.listening)
        _log.info("worker_leaves")
        await asyncio.sleep(FAREWELL)

    def follow(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application: tell the supervisor when it has started, and clients when it leaves."""

        async def service(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_and_tell(message: Message) -> None:
                kind: str = message["type"]
                if kind == "http.response.start" and self._leaving and scope["http_version"][0] == "1":
                    started: Any = message
                    MutableScopeHeaders(started)["Connection"] = "close"
                await send(message)
                if kind == "lifespan.startup.complete":
                    self._place.started.send_bytes(b"1")

            await app(scope, receive, send_and_tell)

        return service


def _stop_listening(inode: int) -> None:
    """Replace a listening socket in this process, by its inode; where there is no ``/proc``, nothing happens."""
    if not _DESCRIPTORS.is_dir():
        return
    with socket.socket(socket.AF_UNIX) as nobodys:
        nobodys.bind("")  # a name that the kernel makes up
        nobodys.listen(1)
        nobodys.setblocking(False)
        for descriptor in [int(entry.name) for entry in _DESCRIPTORS.iterdir()]:
            try:
                status = os.fstat(descriptor)
                found = stat.S_ISSOCK(status.st_mode) and status.st_ino == inode
            except OSError:  # closed meanwhile
                continue
            if found:
                os.dup2(nobodys.fileno(), descriptor, inheritable=False)
