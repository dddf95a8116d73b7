"""The container engine of this machine, and how images are built with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
CHECK_IMAGE: Final = REPOSITORY.parent / "shared" / "containers" / "check-image"
_CHECK_IMAGE_CONF: Final = Path.home() / ".cache" / "check-image" / "containers.conf"


class CheckFailed(Exception):
    """Something is not as it must be."""


def engine_variables() -> dict[str, str]:
    """The environment variables that the engine wants."""
    variables = dict(os.environ)
    if CHECK_IMAGE.exists():
        variables["CONTAINERS_CONF"] = str(_CHECK_IMAGE_CONF)
    return variables


class Engine:
    """Docker or podman on the command line."""

    def __init__(self) -> None:
        if CHECK_IMAGE.exists():
            self.name = "podman"
        else:
            found = os.environ.get("CONTAINER_ENGINE") or next(filter(shutil.which, ("docker", "podman")), None)
            if found is None:
                raise CheckFailed("there is no docker and no podman here")
            self.name = found

    def build(self, target: str, tag: str) -> tuple[float, int]:
        """Build a target of the Containerfile; returns the seconds that it took and the bytes of the image."""
        began = time.monotonic()
        if CHECK_IMAGE.exists():
            command = [str(CHECK_IMAGE), "--install", "--quiet", "--target", target, "--tag", tag, str(REPOSITORY)]
        else:
            file = str(REPOSITORY / "Containerfile")
            command = [self.name, "build", "--file", file, "--target", target, "--tag", tag, str(REPOSITORY)]
        if subprocess.run(command, check=False).returncode:
            raise CheckFailed(f"the target {target} does not build")
        took = time.monotonic() - began
        return took, int(self.ask("image", "inspect", "--format", "{{.Size}}", tag))

    def try_(self, *words: str, stdin: str | None = None, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run one of the engine's commands, whatever comes of it."""
        return subprocess.run(
            [self.name, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env=engine_variables(),
        )

    def ask(self, *words: str, stdin: str | None = None, timeout: float = 300) -> str:
        """Run one of the engine's commands and return what it prints."""
        done = self.try_(*words, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise CheckFailed(
                f"{self.name} {' '.join(words)[:200]}: {done.stderr.strip()[-2000:] or done.stdout[-2000:]}"
            )
        return done.stdout.strip()


class Container:
    """A container of ours, locked down as compose.yaml does it; removed at the end of a ``with``."""

    def __init__(self, engine: Engine, image: str, name: str, *options: str, variables: Mapping[str, str]) -> None:
        self._engine = engine
        self.name = name
        engine.try_("rm", "--force", name)
        given = [word for key, value in variables.items() for word in ("--env", f"{key}={value}")]
        hardening = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges")
        self.began = time.monotonic()
        engine.ask("run", "--detach", "--name", name, *hardening, *given, *options, image)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.try_("rm", "--force", self.name)

    def inside(self, *command: str, stdin: str | None = None) -> str:
        """Run a command in it and return what it prints."""
        return self._engine.ask(
            "exec", *(["--interactive"] if stdin is not None else []), self.name, *command, stdin=stdin
        )

    def wait_healthy(self, patience: float = 300) -> float:
        """Wait until its HEALTHCHECK passes; returns the seconds since the start."""
        test = json.loads(self._engine.ask("inspect", "--format", "{{json .Config.Healthcheck}}", self.name))["Test"]
        while time.monotonic() - self.began < patience:
            if self._engine.try_("exec", self.name, *test[1:]).returncode == 0:
                return time.monotonic() - self.began
            if self.state("Running") != "true":
                break
            time.sleep(0.2)
        raise CheckFailed(f"{self.name} is not healthy:\n{self.log()[-3000:]}")

    def stop(self, grace: int) -> float:
        """Stop it; returns the seconds that took. Raises ``CheckFailed`` if it had to be killed."""
        began = time.monotonic()
        self._engine.ask("stop", "--time", str(grace), self.name)
        if self.state("ExitCode") not in {"0", "143"}:
            raise CheckFailed(f"{self.name} ended with {self.state('ExitCode')}:\n{self.log()[-3000:]}")
        return time.monotonic() - began

    def start(self) -> None:
        """Start it again."""
        self.began = time.monotonic()
        self._engine.ask("start", self.name)

    def address(self) -> str:
        """The address and port of this machine that its port 8000 is published at."""
        return self._engine.ask("port", self.name, "8000/tcp").splitlines()[0]

    def state(self, field: str) -> str:
        """A field of its state."""
        return self._engine.ask("inspect", "--format", "{{.State." + field + "}}", self.name)

    def log(self) -> str:
        """What it has written."""
        done = self._engine.try_("logs", self.name)
        return done.stdout + done.stderr
