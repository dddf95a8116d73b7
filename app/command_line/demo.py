"""``parlante demo``: the service does its main job in front of the user, through HTTP, on the embedded engines."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.service_process import is_free, repository, running_service
from app.settings import load_settings

_SAMPLES = repository() / "samples"
_SENTENCES = (
    ("en", "Good morning. The speech service is ready to talk and to listen."),
    ("es", "Buenos días. El servicio de voz está listo para hablar y escuchar."),
)
_REQUEST_SECONDS = 600.0


@click.command("demo")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--once", is_flag=True, help="End after the table instead of leaving the service up.")
def command(files: tuple[Path, ...], once: bool) -> None:
    """Start the service with the embedded engines, transcribe recordings, speak two sentences, stay up.

    FILES are recordings of your own (English, for the embedded engine).
    """
    console = Console()
    failed = False
    with tempfile.TemporaryDirectory(prefix="parlante-demo-") as folder, _service(Path(folder), console) as url:
        with httpx.Client(base_url=url, timeout=_REQUEST_SECONDS) as client:
            failed |= _transcribe_all(client, [*_bundled(), *((file, None) for file in files)], console)
            failed |= _speak_all(client, console)
        console.print(
            "\nThese are the embedded engines (PocketSphinx, espeak-ng: no download); for Whisper and Coqui run "
            "[bold]./just coqui && API_KEY=… S3_BUCKET=… ./just serve --env dev[/bold]",
            soft_wrap=True,
        )
        if not once:
            console.print(f"The service is up at [bold]{url}[/bold], its docs at {url}/docs. Ctrl-C ends it.")
            _wait_for_stop()
    sys.exit(1 if failed else 0)


def _wait_for_stop() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()


def _bundled() -> list[tuple[Path, str | None]]:
    entries = json.loads((_SAMPLES / "samples.json").read_text("utf-8"))
    return [(_SAMPLES / entry["file"], entry["text"]) for entry in entries]


@contextmanager
def _service(folder: Path, console: Console) -> Generator[str, None, None]:
    server = load_settings("demo").server
    variables = {"PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(folder / "objects")}
    port = server.port if is_free(server.host, server.port) else None
    service = running_service("demo", variables, host=server.host, port=port)
    with _progress(console) as progress:
        progress.add_task("starting the service")
        running = service.__enter__()
    with ExitStack() as stack:
        stack.push(service)
        console.print(f"The service is ready after {running.seconds_to_ready:.1f} s at {running.url}\n")
        yield running.url


def _transcribe_all(client: httpx.Client, recordings: list[tuple[Path, str | None]], console: Console) -> bool:
    table = _table("Speech to text", "recording", "heard")
    failed = False
    with _progress(console) as progress:
        task = progress.add_task("")
        for number, (file, said) in enumerate(recordings, 1):
            progress.update(task, description=f"transcribing {file.name} ({number} of {len(recordings)})")
            began = time.perf_counter()
            with file.open("rb") as stream:
                response = client.post("/api/v1/transcribe", files={"audio_file": (file.name, stream)})
            took = time.perf_counter() - began
            answer = response.json()
            if response.is_error:
                failed = True
                table.add_row(file.name, "", f"{took:.2f} s", "", f"[red]{answer['code']}: {answer['detail']}")
                continue
            text = answer["transcription"]
            right = said is None or _words(said) == _words(text)
            failed |= not right
            note = "" if right else f"  [yellow](said: {said})"
            table.add_row(
                file.name, f"{answer['duration']:.1f} s", f"{took:.2f} s", _factor(took, answer), f"{text}{note}"
            )
    console.print(table)
    return failed


def _speak_all(client: httpx.Client, console: Console) -> bool:
    table = _table("Text to speech", "language", "spoken")
    links: list[tuple[str, str]] = []
    failed = False
    with _progress(console) as progress:
        task = progress.add_task("")
        for language, text in _SENTENCES:
            progress.update(task, description=f"speaking {language}")
            began = time.perf_counter()
            response = client.post("/api/v1/synthesize", json={"text": text, "language": language})
            took = time.perf_counter() - began
            answer = response.json()
            if response.is_error:
                failed = True
                table.add_row(language, "", f"{took:.2f} s", "", f"[red]{answer['code']}: {answer['detail']}")
                continue
            downloaded = httpx.get(answer["url"], timeout=_REQUEST_SECONDS)
            whole = downloaded.is_success and len(downloaded.content) == answer["size"]
            failed |= not whole
            note = f"{len(downloaded.content)} bytes" if whole else f"[red]download failed: {downloaded.status_code}"
            table.add_row(
                language, f"{answer['duration']:.1f} s", f"{took:.2f} s", _factor(took, answer), f"{text} ({note})"
            )
            links.append((language, answer["url"]))
    console.print(table)
    for language, link in links:
        console.print(f"{language}: {link}", soft_wrap=True)
    return failed


def _table(title: str, what: str, result: str) -> Table:
    return Table(what, "audio", "took", "real-time factor", result, title=title, title_justify="left")


def _factor(took: float, answer: dict[str, Any]) -> str:
    return f"{took / answer['duration']:.2f}" if answer["duration"] else "-"


def _words(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c in " '").split()


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    )
