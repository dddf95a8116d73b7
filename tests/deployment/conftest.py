"""A host on loopback."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.deploying import Site
from tests.deployment.ssh_server import SshServer, ssh_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An SSH server that this session's tests deploy through."""
    with ssh_server(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def site(server: SshServer, tmp_path: Path) -> Iterator[Site]:
    """A host on which nothing was ever deployed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = Site(tmp_path, server, port)
    yield site
    # What a test left going on the host ends before its servers do, so that it starts none afterwards.
    for file in site.directory.glob("*/lock"):
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
    site.there.stop()
