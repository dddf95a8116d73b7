"""OpenSSH's server on loopback, with a configuration, keys and authorized keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_READY = 20.0  # seconds


@dataclass(frozen=True)
class SshServer:
    """A server that runs."""

    port: int
    user: str
    user_key: str
    """Private key that it takes."""
    known_hosts: str
    """Its line of known_hosts."""
    log: Path


def require_sshd() -> str:
    """Where sshd is; skips the test where it is missing, and fails it where PARLANTE_REQUIRE_SSHD=1 says it must be."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found and shutil.which("ssh"):
        return found
    missing = "OpenSSH is missing; on Debian: apt-get install openssh-server openssh-client"
    if os.environ.get("PARLANTE_REQUIRE_SSHD") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


def make_key(file: Path) -> str:
    """Make an Ed25519 key and return its public half, without its comment."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return " ".join(file.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run a server until the body ends."""
    program = require_sshd()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd of Debian locks its unprivileged half in
    host_key = make_key(folder / "host_key")
    (folder / "authorized_keys").write_text(f"restrict {make_key(folder / 'user_key')}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(f"""
ListenAddress 127.0.0.1:{port}
HostKey {folder / "host_key"}
AuthorizedKeysFile {folder / "authorized_keys"}
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel VERBOSE
""")
    log = folder / "sshd.log"
    with log.open("wb") as output:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=output)
    try:
        deadline = time.monotonic() + _READY
        while b"Server listening" not in log.read_bytes():
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"sshd does not start: {log.read_text()}")
            time.sleep(0.02)
        yield SshServer(
            port=port,
            user=getpass.getuser(),
            user_key=(folder / "user_key").read_text(),
            known_hosts=f"[127.0.0.1]:{port} {host_key}\n",
            log=log,
        )
    finally:
        server.terminate()
        server.wait()
