"""The real service in a process of its own, and what a test may look at from outside: HTTP, files, processes, log."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import jiwer
import psutil

from app.service_process import repository, running_service
from domain.errors import StartError

REPOSITORY = repository()
DATA = REPOSITORY / "tests" / "data"
WHISPER_MINI = DATA / "models" / "whisper-mini"
COQUI_MINI = DATA / "models" / "coqui-mini"
API_KEY = "parlante_end-to-end-key-0123456789abcdef"

EMBEDDED = {
    "PARLANTE_BACKENDS__TRANSCRIBER": "pocketsphinx",
    "PARLANTE_BACKENDS__SYNTHESIZER": "espeak-ng",
    "PARLANTE_BACKENDS__OBJECT_STORE": "local",
    "API_KEY": API_KEY,
}
"""Variables over the environment ``dev`` for the embedded engines behind an API key."""

WHISPER = {
    **EMBEDDED,
    "PARLANTE_BACKENDS__TRANSCRIBER": "faster-whisper",
    "MODEL_SIZE": str(WHISPER_MINI),
    "DEVICE": "cpu",
}
"""The same with Whisper on the small test model."""


class Service:
    """A service that runs, with a folder of its own for objects, temporary files and its log."""

    def __init__(self, url: str, pid: int, folder: Path, key: str | None) -> None:
        self.url = url
        self.pid = pid
        self.folder = folder
        self.objects = folder / "objects"
        self.temporary = folder / "tmp"
        self.log = folder / "log"
        self.headers = {"X-API-Key": key} if key else {}
        self.http = httpx.Client(base_url=url, headers=self.headers, timeout=100, trust_env=False)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def transcribe(self, audio: Path | bytes, name: str = "audio", **fields: Any) -> httpx.Response:
        content = audio if isinstance(audio, bytes) else audio.read_bytes()
        return self.http.post("/api/v1/transcribe", files={"audio_file": (name, content)}, data=fields)

    def synthesize(self, text: str, language: str = "en", **fields: Any) -> httpx.Response:
        return self.http.post("/api/v1/synthesize", json={"text": text, "language": language, **fields})

    def metric(self, name: str, **labels: str) -> float:
        """The value of a sample of ``/metrics``; 0 where it has not been counted yet."""
        for line in self.http.get("/metrics").text.splitlines():
            found = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")) == labels:
                return float(found[3])
        return 0.0

    def places_taken(self) -> float:
        return sum(self.metric("parlante_places_taken", use_case=use_case) for use_case in ("transcribe", "synthesize"))

    def worker(self) -> psutil.Process:
        """The process with the engines and the HTTP server."""
        (worker,) = psutil.Process(self.pid).children()
        return worker

    def decoder(self) -> psutil.Process | None:
        """PocketSphinx's process, unless it is just being replaced."""
        children = self.worker().children()
        return children[0] if children else None

    def processes(self) -> list[psutil.Process]:
        """All processes of its session that have not ended."""
        return processes_of_session(self.pid)

    def stored(self) -> list[Path]:
        """Files of the local store, drafts too, but for the secret that signs its links."""
        return [file for file in self.objects.rglob("*") if file.is_file() and file.name != "secret"]

    def temporary_files(self) -> list[str]:
        """Temporary files of the worker: named ones, and unnamed ones that it holds open or mapped."""
        named = [str(file) for file in self.temporary.rglob("*")]
        folder = Path("/proc", str(self.worker().pid))
        held = []
        for descriptor in (folder / "fd").iterdir():
            try:
                held.append(str(descriptor.readlink()))
            except FileNotFoundError:  # closed meanwhile
                continue
        held += [line.split(maxsplit=5)[-1] for line in (folder / "maps").read_text().splitlines()]
        return named + [path for path in held if path.startswith(f"{self.temporary}/")]


@contextmanager
def service(
    folder: Path,
    environment: str = "demo",
    variables: Mapping[str, str] | None = None,
    *,
    port: int | None = None,
    patience: float = 100.0,
) -> Generator[Service, None, None]:
    """Run the service with its files under ``folder``, on a free port where none is given."""
    for name in ("objects", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    own = {"TMPDIR": str(folder / "tmp"), "PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(folder / "objects")}
    variables = own | dict(variables or {})
    with (folder / "log").open("wb") as log, ExitStack() as stack:
        try:
            running = stack.enter_context(
                running_service(environment, variables, port=port, log=log, patience=patience)
            )
        except StartError as err:
            raise AssertionError((folder / "log").read_text("utf-8")) from err
        opened = Service(running.url, running.pid, folder, variables.get("API_KEY"))
        with opened.http:
            yield opened


def processes_of_session(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def eventually(holds: Callable[[], object], *, within: float = 20.0) -> bool:
    """Whether ``holds`` says yes within so many seconds."""
    until = time.monotonic() + within
    while not (yes := holds()) and time.monotonic() < until:
        time.sleep(0.05)
    return bool(yes)


def words(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation."""
    return "".join(c for c in text.lower() if c.isalnum() or c in " '").split()


def word_error_rate(said: str, heard: str) -> float:
    """Wrong, missing and extra words over all words; case and punctuation do not count."""
    return float(jiwer.wer(" ".join(words(said)), " ".join(words(heard))))
