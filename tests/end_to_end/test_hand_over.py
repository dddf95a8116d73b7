"""One service takes the listening socket over from another, or finds that there is none for it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from app.service_process import free_port
from tests.end_to_end.live import log_lines
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


def test_without_the_socket_the_port_is_taken(first: Service) -> None:
    variables = os.environ | EMBEDDED | {"PARLANTE_SERVER__HOST": "127.0.0.1", "PARLANTE_SERVER__PORT": str(first.port)}
    command = [sys.executable, "-m", "app.command_line", "serve", "--env", "dev"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1, port {first.port}: address already in use" in done.stderr


def test_a_place_where_no_socket_can_be_is_said_and_the_service_serves(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    variables["PARLANTE_SERVER__HAND_OVER"] = str(tmp_path / "none" / "hand-over")
    with service(tmp_path / "service", "dev", variables) as running:
        assert eventually(lambda: log_lines(running, "hand_over_unavailable"))
        assert eventually(Path(variables["PARLANTE_SERVER__READY_FILE"]).exists)
