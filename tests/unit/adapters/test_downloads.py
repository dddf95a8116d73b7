"""What the log says of a download."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.downloads import logged


def test_a_download_is_followed_from_its_start_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(bytes(5_000_000))
    with capture_logs() as lines, logged("tiny", tmp_path, every=0.05):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "part").write_bytes(bytes(2_000_000))
        (tmp_path / "model" / "link").symlink_to(tmp_path / "old")
        time.sleep(0.5)
        (tmp_path / "model" / "rest").write_bytes(bytes(1_000_000))
    first, *progress, last = lines
    assert first["event"] == "model_download_started"
    assert {line["event"] for line in progress} == {"model_download_progress"}
    assert progress[-1]["megabytes"] == 2.0
    assert last["event"] == "model_downloaded"
    assert last["megabytes"] == 3.0
    assert {line["model"] for line in lines} == {"tiny"}


def test_a_download_that_fails_has_no_end(tmp_path: Path) -> None:
    with capture_logs() as lines, pytest.raises(OSError, match="broken off"), logged("tiny", tmp_path):
        raise OSError("broken off")
    assert [line["event"] for line in lines] == ["model_download_started"]
