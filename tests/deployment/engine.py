"""A stand-in for a container engine: `python engine.py STATE ARGUMENTS…`, with the arguments of docker.

It keeps images as files and runs one server a project, which answers /health/ready as its kind of image does:

    good     is ready                       starting  is ready after a while
    broken   never is                       exits     ends as soon as it starts

``STATE/next`` holds the kind and content of the image that the next build makes. Every call is noted in STATE/calls.
While ``STATE/hold`` exists, `load` waits.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

STARTING = 4.0  # seconds
LONGEST = 300.0


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
            print(options[-1].removeprefix("label=com.docker.compose.project="))
        case ["inspect", *_, project]:
            runs = (state / project).exists()
            with (state / "inspected").open("a+") as inspected:  # what ends is started again by then
                inspected.write("" if runs else "x")
            print("true 0" if runs else f"false {len((state / 'inspected').read_text())}")
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


def _compose(state: Path, options: list[str]) -> int:
    if options == ["version"]:
        return 0
    project, variables, file = (options[options.index(name) + 1] for name in ("--project-name", "--env-file", "--file"))
    values = dict(line.split("=", 1) for line in Path(variables).read_text().splitlines())
    pid_file = state / project
    command = options[options.index("--file") + 2 :]
    assert "services:" in Path(file).read_text()
    match command[0]:
        case "up":
            _stop(pid_file)
            kind = _image(state, values["PARLANTE_IMAGE"]).read_text().split()[0]
            print(f"Container {project} Starting")
            if kind == "exits":
                return 0
            server = subprocess.Popen(
                [sys.executable, __file__, str(state), "serve", kind, values["PARLANTE_PORT"]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=False,  # as an engine might: the lock of the deployment must not live on in it
                start_new_session=True,
            )
            pid_file.write_text(str(server.pid))
        case "logs":
            # A service that says what it never should.
            print(f"{project}  | started with {values}")
            print(f"{project}  | no voice")
        case "down":
            _stop(pid_file)
    return 0


def _stop(pid_file: Path) -> None:
    if pid_file.exists():
        with suppress(ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
        pid_file.unlink()


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
    HTTPServer.allow_reuse_address = True
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
