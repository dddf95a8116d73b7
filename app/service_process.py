"""The service in a process of its own: started, waited for, stopped. For the demo, the benchmarks and the tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import msgspec

from domain.errors import StartError

_POLL = 0.02
"""Seconds between two questions whether it is ready."""


class RunningService(msgspec.Struct, frozen=True, kw_only=True):
    """A service that is ready."""

    url: str
    """Its address."""
    pid: int
    """Process id of its supervisor."""
    seconds_to_ready: float
    """From its start to its first yes at ``/health/ready``."""


@contextmanager
def running_service(
    environment: str,
    variables: Mapping[str, str],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    log: IO[bytes] | None = None,
    patience: float = 60.0,
) -> Generator[RunningService, None, None]:
    """Run the service of an environment until the body ends.

    Args:
        environment: One of ``app.settings.ENVIRONMENTS``.
        variables: Environment variables over this process's own.
        host: Address to listen on.
        port: Port to listen on; ``None`` takes a free one.
        log: Where its output goes; ``None`` leaves it to the terminal.
        patience: Seconds that it has to get ready, and to stop.

    Raises:
        StartError: it ended, or was not ready in time.
    """
    port = port or free_port(host)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.command_line", "serve", "--env", environment],
        env=os.environ | {"PARLANTE_SERVER__HOST": host, "PARLANTE_SERVER__PORT": str(port)} | dict(variables),
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C in a terminal is for this process, which then stops that one
    )
    url = f"http://{host}:{port}"
    try:
        seconds = _wait_until_ready(url, process, patience)
        yield RunningService(url=url, pid=process.pid, seconds_to_ready=seconds)
    finally:
        _stop(process, patience)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], patience: float) -> float:
    began = time.monotonic()
    with httpx.Client(timeout=5) as client:
        while (waited := time.monotonic() - began) < patience:
            if process.poll() is not None:
                raise StartError("the service ended while it started; its last message says why")
            try:
                if client.get(f"{url}/health/ready").status_code == httpx.codes.OK:
                    return time.monotonic() - began
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(_POLL)
    raise StartError(f"the service was not ready within {waited:.0f} s")


def _stop(process: subprocess.Popen[bytes], patience: float) -> None:
    """Ask it to stop; end it and its workers by force when it does not."""
    process.terminate()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str) -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def repository() -> Path:
    """The checkout that this package runs from: its ``config``, ``samples``, ``tests``."""
    return Path(__file__).resolve().parents[1]
