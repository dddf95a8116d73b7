"""One service takes the listening socket over from another, or finds that there is none for it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from app.service_process import free_port
from tests.end_to_end.live import log_lines
from tests.end_to_end.load import Load
from tests.end_to_end.service import EMBEDDED, Service, eventually, service

pytestmark = pytest.mark.slow


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {
        **EMBEDDED,
        "PARLANTE_SERVER__HAND_OVER": str(tmp_path / "hand-over"),
        "PARLANTE_SERVER__READY_FILE": str(tmp_path / "ready"),
    }


@pytest.fixture
def first(tmp_path: Path, variables: dict[str, str]) -> Iterator[Service]:
    with service(tmp_path / "first", "dev", variables) as running:
        yield running


def test_the_second_takes_over_and_the_third_from_it(first: Service, tmp_path: Path, variables: dict[str, str]) -> None:
    ready = Path(variables["PARLANTE_SERVER__READY_FILE"])
    pids = []
    with ExitStack() as stack:
        for name in ("second", "third"):
            assert eventually(ready.exists)
            ready.unlink()
            later = stack.enter_context(service(tmp_path / name, "dev", variables, port=first.port))
            assert eventually(ready.exists)
            assert log_lines(later, "listening_socket_taken_over")
            pids.append(later.pid)
        for pid in (first.pid, pids[0]):
            psutil.Process(pid).terminate()
            assert eventually(lambda pid=pid: not psutil.pid_exists(pid) or not psutil.Process(pid).children())
            answers = [httpx.get(f"{first.url}/health/ready", trust_env=False) for _ in range(20)]
            assert {answer.status_code for answer in answers} == {200}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{first.url}/health/ready", trust_env=False)


def test_only_its_user_may_take_the_socket(first: Service, variables: dict[str, str]) -> None:
    door = Path(variables["PARLANTE_SERVER__HAND_OVER"])
    assert eventually(door.exists)
    assert stat.S_IMODE(door.stat().st_mode) == 0o600
    assert door.stat().st_uid == os.getuid()


def test_one_for_another_address_opens_its_own(first: Service, tmp_path: Path, variables: dict[str, str]) -> None:
    assert eventually(Path(variables["PARLANTE_SERVER__HAND_OVER"]).exists)
    with service(tmp_path / "second", "dev", variables, port=free_port("127.0.0.1")) as second:
        assert not log_lines(second, "listening_socket_taken_over")
        assert second.http.get("/health/ready").status_code == 200


def test_where_the_one_before_broke_down_the_next_opens_its_own(tmp_path: Path, variables: dict[str, str]) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(variables["PARLANTE_SERVER__HAND_OVER"])  # and nobody listens
    with service(tmp_path / "second", "dev", variables) as second:
        assert second.http.get("/health/ready").status_code == 200


def started_in_vain(port: int, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    given = {**EMBEDDED, "PARLANTE_SERVER__HOST": "127.0.0.1", "PARLANTE_SERVER__PORT": str(port), **variables}
    command = [sys.executable, "-m", "app.command_line", "serve", "--env", "dev"]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done


def test_without_the_socket_the_port_is_taken(first: Service) -> None:
    done = started_in_vain(first.port, {})
    assert f"cannot listen on 127.0.0.1, port {first.port}: address already in use" in done.stderr


@pytest.mark.parametrize(("place", "why"), [("none/hand-over", "no such file or directory"), ("x" * 100, "bytes")])
def test_a_place_where_no_socket_can_be_stops_the_start(tmp_path: Path, place: str, why: str) -> None:
    variables = {"PARLANTE_SERVER__HAND_OVER": str(tmp_path / place)}
    done = started_in_vain(free_port("127.0.0.1"), variables)
    assert f"server.hand_over cannot be {tmp_path / place}" in done.stderr
    assert why in done.stderr


def test_a_ready_file_that_cannot_be_is_said_and_the_service_serves_and_stops(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    variables["PARLANTE_SERVER__READY_FILE"] = str(tmp_path / "none" / "ready")
    with service(tmp_path / "service", "dev", variables, patience=20) as running:
        assert eventually(lambda: log_lines(running, "ready_file_unavailable"))
        psutil.Process(running.pid).terminate()
        assert eventually(lambda: not running.processes())


def test_where_the_second_breaks_down_the_first_offers_again(
    first: Service, tmp_path: Path, variables: dict[str, str]
) -> None:
    ready = Path(variables["PARLANTE_SERVER__READY_FILE"])
    assert eventually(ready.exists)
    ready.unlink()
    with service(tmp_path / "second", "dev", variables, port=first.port) as second:
        assert eventually(ready.exists)
        for process in second.processes():
            process.kill()
        assert eventually(lambda: not second.processes())
    time.sleep(3)  # it looks every second
    ready.unlink()
    with service(tmp_path / "third", "dev", variables, port=first.port) as third:
        assert eventually(ready.exists)
        assert log_lines(third, "listening_socket_taken_over")
    assert first.http.get("/health/ready").status_code == 200


def test_the_second_may_end_and_the_first_goes_on(first: Service, tmp_path: Path, variables: dict[str, str]) -> None:
    """Both accept from one socket, so the one that ends takes its leave, whichever it is."""
    ready = Path(variables["PARLANTE_SERVER__READY_FILE"])
    assert eventually(ready.exists)
    ready.unlink()

    def second() -> None:
        with service(tmp_path / "second", "dev", variables, port=first.port):
            assert eventually(ready.exists)
            time.sleep(2)

    async def under_load() -> Load:
        load = Load(first, ("synthesize", "connect"))
        async with load.on():
            await asyncio.to_thread(second)
            await asyncio.sleep(1)
        return load

    load = asyncio.run(under_load())
    assert load.failures == []
    assert all(load.answers[kind] >= 20 for kind in ("synthesized", "connected"))
