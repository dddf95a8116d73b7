"""Speech through the service against the same engine called bare, and a repeated request against its first."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx

from app.backends import chosen_backend
from app.service_process import running_service
from app.settings import load_settings
from bench.figures import Figure, alternate, median_ratio
from domain.speech import SpeakOptions

_SENTENCES = (
    "The train from London to Madrid leaves on Monday.",
    "Please send the letter to Maria on Friday.",
    "My name is Peter and I live in Boston.",
    "The meeting starts on Tuesday, and the report is ready.",
    "Open the door of the kitchen and close the window of the office.",
    "I would like seven apples, twelve sandwiches and four coffees.",
)


def _text(number: int) -> str:
    """About 2,000 characters, different for each number."""
    return f"Text number {number}. " + " ".join(_SENTENCES * 6)


def measure(folder: Path, *, quick: bool) -> Iterator[Figure]:
    """Fresh texts in turn with the bare engine, then one text again and again."""
    with (
        (folder / "tts.log").open("wb") as log,
        running_service(
            "demo", {"PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(folder / "speech")}, log=log
        ) as service,
        httpx.Client(base_url=service.url, timeout=120) as client,
        asyncio.Runner() as runner,
    ):
        numbers = iter(range(1_000_000))

        def speak(text: str) -> float:
            began = time.perf_counter()
            client.post("/api/v1/synthesize", json={"text": text, "language": "en"}).raise_for_status()
            return time.perf_counter() - began

        chosen = chosen_backend(load_settings("demo"), "synthesizers")
        opened = chosen.plugin.open(chosen.options, chosen.host)
        engine = runner.run(opened.__aenter__())
        try:
            through, alone = alternate(
                lambda: speak(_text(next(numbers))),
                lambda: runner.run(_speak_bare(engine, _text(next(numbers)))),
                6 if quick else 20,
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
        yield Figure(
            name="tts.one_request.ratio", value=median_ratio(through, alone), unit="x",
            meaning="2,000 characters spoken, encoded, stored and answered, over the bare engine's speaking alone",
        )  # fmt: skip
        again = [speak(_text(0)) for _ in range(10 if quick else 40)]
        yield Figure(
            name="tts.repeated.speed_up", value=statistics.median(through) / statistics.median(again), unit="x",
            bound=">= 20", meaning="first request, over the same again",
        )  # fmt: skip


async def _speak_bare(engine: Any, text: str) -> float:
    began = time.perf_counter()
    async with aclosing(engine.synthesize(text, SpeakOptions(voice=engine.voices()[0]))) as pieces:
        async for _ in pieces:
            pass
    return time.perf_counter() - began
