"""The listening socket: opened here, or taken over from a service that runs, and offered to the next one.

With ``server.hand_over`` a service listens at a Unix socket as soon as it is ready, and gives its listening TCP socket
to whoever connects there. A service that starts asks at the same place first. Both then accept from one queue, until
the old one is stopped: no connection is refused or reset in between, which two sockets on one port cannot promise. Who
may connect is a matter of the file's mode, 0600, and of its directory.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Final

import structlog

from domain.errors import StartError

_PATIENCE: Final = 5.0
"""Seconds to wait for the other service at most."""

_log = structlog.stdlib.get_logger("app.server")


def taken_over(path: Path, host: str, port: int) -> socket.socket | None:
    """The listening socket of the service that offers one at ``path``; ``None`` where that is not for this address."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_PATIENCE)
        try:
            asking.connect(str(path))
            _, descriptors, _, _ = socket.recv_fds(asking, 1, 1)
        except OSError:  # nobody is there
            return None
    if not descriptors:
        return None
    listening = socket.socket(fileno=descriptors[0])
    if listening.getsockname()[:2] != _address(host, port)[2][:2]:
        listening.close()
        return None
    _log.info("listening_socket_taken_over")
    return listening


def check_address(host: str, port: int) -> None:
    """Raise ``StartError`` where nothing can listen; Granian would end with a traceback of its Rust code."""
    try:
        family, kind, address = _address(host, port)
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as err:
        raise StartError(
            f"cannot listen on {host}, port {port}: {(err.strerror or str(err)).lower()}; "
            "change server.host or server.port"
        ) from err


def _address(host: str, port: int) -> tuple[socket.AddressFamily, socket.SocketKind, tuple[str, int]]:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, kind, address  # type: ignore[return-value]


class Offer:
    """Gives a listening socket to services that ask for it."""

    def __init__(self, path: Path, listening: socket.socket) -> None:
        self._path = path
        self._listening = listening
        self.taken = False
        """Whether another service may be accepting from the socket too."""

    def open(self) -> None:
        """Take the place of a service that offered one here before, and give from now on.

        Raises:
            OSError: there can be no Unix socket at that path.
        """
        place = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        place.unlink(missing_ok=True)  # of a process that had this number
        door = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            door.bind(str(place))
        finally:
            os.umask(before)
        door.listen()
        place.rename(self._path)
        threading.Thread(target=self._give, args=[door], name="hand-over", daemon=True).start()

    def _give(self, door: socket.socket) -> None:
        while True:
            asking, _ = door.accept()
            with asking:
                asking.settimeout(_PATIENCE)
                self.taken = True
                try:
                    socket.send_fds(asking, [b"1"], [self._listening.fileno()])
                except OSError as err:  # it went away
                    _log.warning("hand_over_failed", reason=str(err))
