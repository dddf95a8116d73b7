"""A stand-in for a container engine: `python engine.py STATE ARGUMENTS…`, with the arguments of docker.

It keeps images and containers as files, and runs a server a container, which answers /health/ready as its kind of image
does:

    good     is ready                       starting  is ready after a while
    broken   never is                       exits     ends as soon as it starts
    service  is Parlante itself, run from this checkout with what the compose files say

``STATE/next`` holds the kind and content of the image that the next build makes. Every call is noted in STATE/calls.
While ``STATE/hold`` exists, `load` waits.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]

STARTING = 4.0  # seconds
LONGEST = 300.0
NOBODY = 2**22 + 1  # a process id larger than any


def main(state: Path, arguments: list[str]) -> int:
    with (state / "calls").open("a") as calls:
        calls.write(json.dumps({"arguments": arguments, "variables": dict(os.environ)}) + "\n")
    match arguments:
        case ["build", *options]:
            _remember(state, options[options.index("-t") + 1], (state / "next").read_text())
        case ["image", "inspect", *options]:
            if not _image(state, options[-1]).exists():
                sys.stderr.write("no such image\n")
                return 1
            print("sha256:" + _digest(_image(state, options[-1]).read_text()))
        case ["image", "rm", name]:
            _image(state, name).unlink()
        case ["tag", name, other]:
            _remember(state, other, _image(state, name).read_text())
        case ["save", name]:
            sys.stdout.buffer.write(saved(name, _image(state, name).read_text()))
        case ["load"]:
            _load(state)
        case ["ps", *options]:
            wanted = [value for name, value in pairwise(options) if name == "--filter"]
            print("\n".join(container.id for container in containers(state) if container.matches(wanted)))
        case ["inspect", *_, name]:
            print(Container(state, name).looked_at())
        case ["exec", name, "python", "/app/healthcheck.py"]:
            return 0 if Container(state, name).is_ready() else 1
        case ["stop", "-t", _, *names]:
            for name in names:
                Container(state, name).stop()
        case ["rm", *names]:
            for name in names:
                if name != "--force":
                    Container(state, name).remove()
        case ["compose", *options]:
            return _compose(state, options)
        case ["serve", kind, port]:
            _serve(kind, int(port))
        case _:
            sys.stderr.write(f"the stand-in does not know {arguments}\n")
            return 1
    return 0


def saved(name: str, content: str) -> bytes:
    """What `save` writes for an image."""
    buffer = io.BytesIO()
    manifest = json.dumps([{"Config": f"{_digest(content)}.json", "RepoTags": [name]}])
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file, text in (("content", content), ("manifest.json", manifest)):
            member = tarfile.TarInfo(file)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _image(state: Path, name: str) -> Path:
    return state / "images" / name


def _remember(state: Path, name: str, content: str) -> None:
    _image(state, name).parent.mkdir(parents=True, exist_ok=True)
    _image(state, name).write_text(content)


def _load(state: Path) -> None:
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*") as archive:
        files = {member.name: (archive.extractfile(member) or io.BytesIO()).read().decode() for member in archive}
    while (state / "hold").exists():
        time.sleep(0.02)
    [name] = json.loads(files["manifest.json"])[0]["RepoTags"]
    _remember(state, name, files["content"])
    print(f"Loaded image: {name}")


class Container:
    """What the engine keeps of a container: ``STATE/containers/ID``."""

    def __init__(self, state: Path, name: str) -> None:
        self.id = name
        self.state = state
        self.file = state / "containers" / name
        self.about: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def keep(self, **about: Any) -> None:
        self.about |= about
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(json.dumps(self.about))

    @property
    def runs(self) -> bool:
        try:
            return psutil.Process(self.about["pid"]).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def matches(self, filters: list[str]) -> bool:
        status = "running" if self.runs else "exited"
        statuses = [value for key, _, value in (one.partition("=") for one in filters) if key == "status"]
        labels = {
            f"label=com.docker.compose.project={self.about['project']}",
            "label=com.docker.compose.service=parlante",
            f"label=com.docker.compose.project.working_dir={self.about['directory']}",
        }
        return {one for one in filters if one.startswith("label=")} <= labels and (not statuses or status in statuses)

    def looked_at(self) -> str:
        """Whether it runs and how often it was started again; what ends is started again each time."""
        if self.runs:
            return "true 0"
        self.keep(restarts=self.about["restarts"] + 1)
        return f"false {self.about['restarts']}"

    def is_ready(self) -> bool:
        kind = self.about["kind"]
        if kind != "service":
            return self.runs and (
                kind == "good" or (kind == "starting" and time.time() - self.about["began"] > STARTING)
            )
        check = [sys.executable, str(ROOT / "deploy" / "image" / "healthcheck.py")]
        return subprocess.run(check, env=self.about["variables"], capture_output=True, check=False).returncode == 0

    def start(self, values: dict[str, str], files: list[Path]) -> None:
        """Start what its image says."""
        kind = self.about["kind"]
        variables = dict(os.environ)
        if kind == "service":
            command = [sys.executable, "-m", "app.command_line", "serve"]
            variables |= values | _environment(values, files, self.state / "volumes", self.file.with_suffix(".tmp"))
        else:
            command = [sys.executable, __file__, str(self.state), "serve", kind, values["PARLANTE_PORT"]]
        self.keep(restarts=0, began=time.time(), variables=variables, pid=NOBODY)
        if kind == "exits":
            return
        with self.file.with_suffix(".log").open("wb") as log:
            server = subprocess.Popen(
                command,
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                close_fds=False,  # as an engine might: the lock of the deployment must not live on in it
                start_new_session=True,
            )
        self.keep(pid=server.pid)

    def stop(self) -> None:
        if self.runs:
            process = psutil.Process(self.about["pid"])
            process.terminate()
            with suppress(psutil.TimeoutExpired):
                process.wait(45)
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError, OverflowError):
            os.killpg(self.about["pid"], signal.SIGKILL)

    def remove(self) -> None:
        self.kill()
        self.file.unlink()


def containers(state: Path) -> list[Container]:
    """All containers."""
    folder = state / "containers"
    names = sorted(file.name for file in folder.iterdir() if not file.suffix) if folder.exists() else []
    return [Container(state, name) for name in names]


def _environment(values: dict[str, str], files: list[Path], volumes: Path, temporary: Path) -> dict[str, str]:
    """The variables that compose files give a service on the machine's network; its folders are here."""
    service: dict[str, Any] = {"environment": {}}
    for file in files:
        read = yaml.load(file.read_text(), _ComposeLoader)["services"]["parlante"]
        service |= read | {"environment": service["environment"] | read.get("environment", {})}
    assert service["network_mode"] == "host"
    assert not service["ports"]
    for folder in (volumes / "data", volumes / "models", temporary):
        folder.mkdir(parents=True, exist_ok=True)
    places = {"/app/data": volumes / "data", "/app/models": volumes / "models", "/tmp": temporary}
    variables = {}
    for name, value in service["environment"].items():
        text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: values.get(found[1]) or found[2], str(value))
        place = next((place for place in places if text == place or text.startswith(f"{place}/")), None)
        variables[name] = f"{places[place]}{text.removeprefix(place)}" if place else text
    return variables


class _ComposeLoader(yaml.SafeLoader):
    """Reads compose files."""


_ComposeLoader.add_constructor("!reset", lambda *_: None)


def _compose(state: Path, options: list[str]) -> int:
    if options == ["version"]:
        return 0
    project, variables = (options[options.index(name) + 1] for name in ("--project-name", "--env-file"))
    values = {name: shlex.split(value)[0] if value else "" for name, value in _lines(Path(variables))}
    files = [Path(value) for name, value in pairwise(options) if name == "--file"]
    assert all("services:" in file.read_text() for file in files)
    last = max(number for number, word in enumerate(options) if word == "--file")
    command = options[last + 2 :]
    ours = [one for one in containers(state) if one.about["project"] == project]
    match command[0]:
        case "up":
            wanted = next((int(word.partition("=")[2]) for word in command if word.startswith("parlante=")), 1)
            kind = _image(state, values["PARLANTE_IMAGE"]).read_text().split()[0]
            for container in ours:
                same = container.about["values"] == values and (container.runs or kind == "exits")
                if not same and "--no-recreate" not in command:
                    container.stop()
                    container.remove()
            kept = [container for container in ours if container.file.exists()]
            assert len(kept) <= wanted, "compose would choose which of them ends"
            for _ in range(wanted - len(kept)):
                name = f"c{time.monotonic_ns()}"
                print(f"Container {project} Starting")
                container = Container(state, name)
                container.keep(project=project, kind=kind, values=values, directory=str(Path.cwd()))
                container.start(values, files)
        case "logs":
            # A service that says what it never should.
            print(f"{project}  | started with {values}")
            print(f"{project}  | no voice")
        case "down":
            for container in ours:
                container.remove()
    return 0


def _lines(file: Path) -> list[tuple[str, str]]:
    return [(line.partition("=")[0], line.partition("=")[2]) for line in file.read_text().splitlines()]


def _serve(kind: str, port: int) -> None:
    begin = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ready = kind == "good" or (kind == "starting" and time.monotonic() - begin > STARTING)
            self.send_response(200 if ready and self.path == "/health/ready" else 503)
            self.end_headers()
            self.wfile.write(kind.encode())

    ends = threading.Timer(LONGEST, os._exit, (0,))  # whatever becomes of the test
    ends.daemon = True
    ends.start()
    HTTPServer.allow_reuse_port = True
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
