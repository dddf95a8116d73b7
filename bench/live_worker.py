"""What live streams cost the worker, the process with the engines: processor time, and memory over a long stream."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import psutil

from bench.figures import Figure

_EVERY = 0.25
_PARTS = 6
"""Into so many parts the time of a stream is divided: of 30 minutes, 5 minutes each."""


@contextmanager
def working(worker: psutil.Process, prefix: str) -> Generator[list[Figure], None, None]:
    """The processor time of the body, as figures that are there after it."""
    figures: list[Figure] = []
    spent, began = sum(worker.cpu_times()[:2]), time.monotonic()
    psutil.cpu_percent()
    yield figures
    cores = (sum(worker.cpu_times()[:2]) - spent) / (time.monotonic() - began)
    busy = psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)
    figures += [
        Figure(name=f"{prefix}.cores", value=cores, unit="", meaning="processor cores that the service was busy on"),
        Figure(name=f"{prefix}.cores_others", value=busy - cores, unit="", meaning="cores busy with all else here"),
    ]


@contextmanager
def watched(worker: psutil.Process) -> Generator[list[int], None, None]:
    """Resident memory of the worker while the body runs, in bytes, four times a second."""
    sizes: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY):
            sizes.append(worker.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sizes
    finally:
        ended.set()
        thread.join()


def growth(sizes: Sequence[int], seconds: float) -> Iterator[Figure]:
    """How memory grew over a stream of so many seconds of sound."""
    part = max(1, len(sizes) // _PARTS)
    first, last = statistics.median(sizes[:part]), statistics.median(sizes[-part:])
    yield Figure(
        name="live.memory.growth", value=100 * (last / first - 1), unit="%", bound="<= 5",
        meaning=f"memory of the worker, the last sixth of a stream of {seconds:g} s over the first",
    )  # fmt: skip
    yield Figure(name="live.memory.worker", value=last / 2**20, unit="MiB", meaning="resident memory of the worker")
