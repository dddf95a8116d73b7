"""What the log says while a model is downloaded; the libraries that download show bars on a terminal, or nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

_EVERY: Final = 10.0
"""Seconds between two lines of progress."""

_log = structlog.get_logger(__name__)


@contextmanager
def logged(model: str, models_dir: Path, *, every: float = _EVERY) -> Generator[None, None, None]:
    """Log the start of a download in the body, how far it is now and then, and its end unless it fails.

    Args:
        model: Name of the model.
        models_dir: Where it goes; what this folder grows by is what has come, in decimal megabytes.
        every: Seconds between two lines of progress.
    """
    before, began, over = _size(models_dir), time.monotonic(), threading.Event()

    def so_far() -> dict[str, object]:
        came = (_size(models_dir) - before) / 1e6
        return {"model": model, "megabytes": round(came, 1), "seconds": round(time.monotonic() - began, 1)}

    def watch() -> None:
        while not over.wait(every):
            _log.info("model_download_progress", **so_far())

    _log.info("model_download_started", model=model, models_dir=str(models_dir))
    watcher = threading.Thread(target=watch, name="download", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    _log.info("model_downloaded", **so_far())


def _size(folder: Path) -> int:
    """Bytes of all files below a folder, links not followed; a file may go while it is looked at."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(place, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
