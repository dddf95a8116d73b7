"""A deployment as a test sees it: the script, run for real, and what is then on the host and in the engines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.deployment.engine import Container, containers
from tests.deployment.ssh_server import SshServer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "deploy.py"

SECRETS = {
    "API_KEY": "parlante_r4Zt-deployed-api-key-91",
    "APP_AWS_ACCESS_KEY_ID": "AKIAQ7DEPLOYEDEXAMPLE",
    "APP_AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCY=deployed",
}
"""Made up for these tests."""


@dataclass
class Result:
    """How a run of the script ended."""

    status: int
    output: str


class Run:
    """A run of the script that goes on."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self._process = process
        self._output = output
        self.pid = process.pid

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str, patience: float = 30.0) -> None:
        """Wait until it has said something."""
        deadline = time.monotonic() + patience
        while text not in self.output:
            assert self._process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def end(self) -> Result:
        """Wait for its end."""
        status = self._process.wait(timeout=90)
        return Result(status, self.output)

    def terminate(self) -> Result:
        """Ask it to end, and wait."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()


class Engine:
    """A stand-in for a container engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "images").mkdir(parents=True)
        self.command = folder / "docker"
        stand_in = Path(__file__).with_name("engine.py")
        self.command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stand_in}" "{folder}" "$@"\n')
        self.command.chmod(0o755)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every call so far: its arguments and its environment variables."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def called(self, *words: str) -> int:
        """How often it was called with these words in its arguments."""
        return sum(set(words) <= set(call["arguments"]) for call in self.calls)

    @property
    def images(self) -> set[str]:
        """Names of its images."""
        return {file.name for file in (self.folder / "images").iterdir()}

    @property
    def containers(self) -> list[Container]:
        """Its containers."""
        return containers(self.folder)

    def stop(self) -> None:
        """End the servers that it started."""
        for container in self.containers:
            container.remove()


@contextmanager
def psutil_gone() -> Iterator[None]:
    """A process may end while it is looked at."""
    try:
        yield
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return


class Site:
    """A host to deploy to, and the machine that it is deployed from."""

    def __init__(self, folder: Path, server: SshServer, port: int) -> None:
        self.server = server
        self.here = Engine(folder / "here")
        self.there = Engine(folder / "there")
        self.directory = folder / "parlante"
        self.port = port
        self._folder = folder
        (folder / "tmp").mkdir()
        self.temporary = folder / "tmp"
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(self.temporary),
            **SECRETS,
            "AWS_REGION": "eu-west-1",
            "S3_BUCKET": "speech",
            "LIGHTSAIL_USERNAME": server.user,
            "LIGHTSAIL_PORT": str(server.port),
            "LIGHTSAIL_SSH_KEY": server.user_key,
            "LIGHTSAIL_KNOWN_HOSTS": server.known_hosts,
            "CONTAINER_ENGINE": str(self.here.command),
            "HOST_CONTAINER_ENGINE": str(self.there.command),
            "DEPLOY_DIRECTORY": str(self.directory),
            "DEPLOY_TIMEOUT": "20",
            "PARLANTE_PORT": str(port),
        }

    def start(self, *arguments: str, **changes: str | None) -> Run:
        """Start the script; ``None`` takes a variable away."""
        given = {**self.variables, **changes}
        output = self._folder / f"output-{time.monotonic_ns()}"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), *(arguments or ("dev", "127.0.0.1"))],
                env={name: value for name, value in given.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return Run(process, output)

    def deploy(self, image: str | None, *arguments: str, **changes: str | None) -> Result:
        """Build an image, named by its kind and some content, and deploy it."""
        if image is not None:
            (self.here.folder / "next").write_text(image)
        return self.start(*arguments, **changes).end()

    def serving(self) -> str | None:
        """The kind of the image that answers on the environment's port; ``None`` where nothing does."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False).text
        except httpx.TransportError:
            return None

    def current(self, environment: str = "dev") -> Path:
        """Folder of the current release."""
        return (self.directory / environment / "current").resolve(strict=True)

    def releases(self, environment: str = "dev") -> int:
        """How many releases the host keeps."""
        return len(list((self.directory / environment / "releases").iterdir()))
