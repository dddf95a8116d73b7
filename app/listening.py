"""The listening socket: opened here, or taken over from a service that runs, and offered to the next one.

With ``server.hand_over`` a service listens at a Unix socket as soon as it is ready, and gives its listening TCP socket,
with the secret that signs tickets, to whoever connects there. A service that starts asks at the same place first. Both
then accept from one queue, until the old one is stopped: no connection is refused or reset in between, which two
sockets on one port cannot promise. Who may connect is a matter of the file's mode, 0600, and of its directory.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import structlog

from domain.errors import StartError

SECRET: Final = 32
"""Bytes of the secret that goes with the socket."""
_PATIENCE: Final = 5.0
"""Seconds to wait for the other service at most."""

_LONGEST: Final = 98
"""Bytes of a path; the kernel takes 107 for a socket's, and this one has a name with more at the end for a moment."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks whether another service that offers is still there."""

_log = structlog.stdlib.get_logger("app.server")


@contextmanager
def one_at_a_time(path: Path) -> Generator[None, None, None]:
    """Keep other services with this ``server.hand_over`` from looking for a socket during the body.

    Raises:
        StartError: its directory is not there or not to be written to, its name is too long for a socket, or another
            service does not come to an end with this.
    """
    if len(os.fsencode(path)) > _LONGEST:
        raise StartError(f"server.hand_over cannot be {path}: it has more than {_LONGEST} bytes")
    until = time.monotonic() + _PATIENCE
    try:
        with path.with_name(f"{path.name}.lock").open("w") as lock:
            while not _locked(lock):
                if time.monotonic() > until:
                    raise StartError(f"another service holds {lock.name}")
                time.sleep(0.05)
            yield
    except OSError as err:
        raise StartError(f"server.hand_over cannot be {path}: {(err.strerror or str(err)).lower()}") from err


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def taken_over(path: Path, host: str, port: int) -> tuple[socket.socket, bytes] | None:
    """The listening socket and the secret of the service that offers them at ``path``.

    ``None`` where nobody does, or the socket is not for this address.
    """
    try:
        offered, address = _offered(path), _address(host, port)[2]
    except OSError:  # nobody is there
        return None
    if offered is None:
        return None
    listening, secret = offered
    if listening.getsockname()[:2] != address[:2]:
        listening.close()
        return None
    _log.info("listening_socket_taken_over")
    return listening, secret


def _offered(path: Path) -> tuple[socket.socket, bytes] | None:
    """What is given at a path, if it is given by a process of this user; ``OSError`` where nobody is there."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_PATIENCE)
        asking.connect(str(path))
        secret, descriptors, _, _ = socket.recv_fds(asking, SECRET, 1)
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        if sockets and len(secret) == SECRET and _user_of(asking) == os.getuid():
            return sockets[0], secret
        for one in sockets:
            one.close()
        return None


def _user_of(connected: socket.socket) -> int:
    """User id of the process at the other end of a Unix socket."""
    _, user, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(user)


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
    """Gives a listening socket to services that ask for it.

    Args:
        path: Where they ask.
        listening: What they get.
        secret: And this; see ``app.application.create_app``.
        shared: Whether another service accepts from it already.
    """

    def __init__(self, path: Path, listening: socket.socket, secret: bytes, *, shared: bool) -> None:
        self._path = path
        self._listening = listening
        self._secret = secret
        self._place: os.stat_result | None = None
        self.shared = shared
        """Whether another service may be accepting from the socket too."""

    def open(self) -> None:
        """Take the place of a service that offered one here before, and give from now on.

        Raises:
            OSError: there can be no Unix socket at that path.
        """
        door = self._make_door()
        threading.Thread(target=self._give, args=[door], name="hand-over", daemon=True).start()

    def _make_door(self) -> socket.socket:
        place = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        door = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            door.bind(str(place))
        finally:
            os.umask(before)
        door.listen()
        door.settimeout(_LOOK_EVERY)
        self._place = place.stat()
        place.rename(self._path)
        return door

    def _give(self, door: socket.socket) -> None:
        while True:
            try:
                if not self._give_to_one(door) and self._nobody_offers():
                    door.close()
                    door = self._make_door()
            except OSError as err:  # whoever asked went away
                _log.warning("hand_over_failed", reason=str(err))
                time.sleep(_LOOK_EVERY)

    def _give_to_one(self, door: socket.socket) -> bool:
        """Wait a moment for somebody who asks; answers whether somebody did."""
        try:
            asking, _ = door.accept()
        except TimeoutError:
            return False
        with asking:
            asking.settimeout(_PATIENCE)
            self.shared = True
            socket.send_fds(asking, [self._secret], [self._listening.fileno()])
        return True

    def _nobody_offers(self) -> bool:
        """Whether the service that took this one's place at the path has gone since."""
        try:
            if self._place and os.path.samestat(self._path.stat(), self._place):
                return False
            if other := _offered(self._path):
                other[0].close()
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        return False
