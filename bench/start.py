"""From nothing to ready with the embedded engines, against loading the same engines bare."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from app.service_process import running_service
from bench.figures import Figure, alternate, median_ratio

_LOAD_BARE = "import espeakng_loader, ctypes, pocketsphinx; pocketsphinx.Decoder(); ctypes.CDLL(espeakng_loader.get_library_path())"  # fmt: skip  # noqa: E501


def measure(folder: Path, *, quick: bool) -> Iterator[Figure]:
    """Start the service and a bare process in turn."""
    with (folder / "start.log").open("wb") as log:

        def start_service() -> float:
            variables = {"PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(folder / "start")}
            with running_service("demo", variables, log=log) as service:
                return service.seconds_to_ready

        def load_bare() -> float:
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", _LOAD_BARE], check=True, stdout=log, stderr=log)
            return time.perf_counter() - began

        started, loaded = alternate(start_service, load_bare, 2 if quick else 6)
    yield Figure(
        name="start.embedded.seconds", value=statistics.median(started), unit="s", bound="<= 3.0",
        meaning="start of the command to ready, embedded engines",
    )  # fmt: skip
    yield Figure(
        name="start.embedded.ratio", value=median_ratio(started, loaded), unit="x",
        meaning="the same, over a bare process that loads the engines",
    )  # fmt: skip
