"""Transcription through the service against the same engine called bare."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from faster_whisper import WhisperModel

from app.service_process import running_service
from bench.figures import Figure, alternate, median_ratio
from bench.material import BENCH_SERVICE, WHISPER_MODEL, clip_of_11_seconds

_CLIENTS = (1, 2, 4, 8)


def measure(folder: Path, *, quick: bool) -> Iterator[Figure]:
    """One request at a time in turn with the bare engine, then several clients at once."""
    clip, seconds = clip_of_11_seconds()
    bare = WhisperModel(str(WHISPER_MODEL), device="cpu", compute_type="int8")

    def call_bare() -> float:
        began = time.perf_counter()
        segments, _ = bare.transcribe(str(clip))
        " ".join(segment.text for segment in segments)
        return time.perf_counter() - began

    with (
        (folder / "stt.log").open("wb") as log,
        running_service(
            "demo", BENCH_SERVICE | {"PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(folder)}, log=log
        ) as service,
        httpx.Client(base_url=service.url, timeout=120) as client,
    ):
        content = clip.read_bytes()

        def call_service() -> float:
            began = time.perf_counter()
            client.post("/api/v1/transcribe", files={"audio_file": (clip.name, content)}).raise_for_status()
            return time.perf_counter() - began

        alternate(call_service, call_bare, 2)  # warm
        through, alone = alternate(call_service, call_bare, 10 if quick else 40)
        yield Figure(
            name="stt.one_request.ratio", value=median_ratio(through, alone), unit="x", bound="<= 1.10",
            meaning=f"{seconds:.0f} s clip through the service, over the bare engine",
        )  # fmt: skip
        yield Figure(
            name="stt.bare.real_time_factor", value=statistics.median(alone) / seconds, unit="x",
            meaning="bare engine, time over audio",
        )  # fmt: skip
        for clients in _CLIENTS:
            yield from _load(service.url, content, clients, 8 if quick else 24, alone, seconds)


def _load(
    url: str, content: bytes, clients: int, requests: int, alone: list[float], seconds: float
) -> Iterator[Figure]:
    with httpx.Client(base_url=url, timeout=300) as client, ThreadPoolExecutor(clients) as pool:

        def call(_: int) -> float:
            began = time.perf_counter()
            client.post("/api/v1/transcribe", files={"audio_file": ("clip", content)}).raise_for_status()
            return time.perf_counter() - began

        began = time.perf_counter()
        times = list(pool.map(call, range(requests)))
        speed = requests / (time.perf_counter() - began)
    yield Figure(
        name=f"stt.clients_{clients}.throughput_ratio", value=speed * statistics.median(alone), unit="x",
        meaning=f"requests a second of {clients} clients, over the bare engine's one after the other",
    )  # fmt: skip
    yield Figure(
        name=f"stt.clients_{clients}.p50_real_time_factor", value=statistics.median(times) / seconds, unit="x",
        meaning=f"median time of a request with {clients} clients, over its audio",
    )  # fmt: skip
