"""Other programs: found, run without secrets in their environment, and shown without secrets in what they say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO


class DeployError(Exception):
    """The deployment failed or was refused; the message says why, ``status`` is the program's exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Terminal:
    """Standard output, on which secrets are blotted out line by line; what is shorter than six characters is none."""

    def __init__(self, secrets: Iterable[str]) -> None:
        lines = {line.strip() for secret in secrets for line in secret.splitlines()}
        self._secrets = sorted(
            (line for line in lines if len(line) > 5 and not line.startswith("-----")), key=len, reverse=True
        )

    def show(self, line: str) -> None:
        """Write one line."""
        for secret in self._secrets:
            line = line.replace(secret, "***")
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Programs:
    """How other programs are run: without secrets in their environment, and with what they say on the terminal."""

    terminal: Terminal
    variables: Mapping[str, str]

    def run(self, *command: str, stdin: bytes | IO[bytes] = b"") -> int:
        """Run a program, show its output as it comes, and return its exit status."""
        given = stdin if isinstance(stdin, bytes) else None
        process = subprocess.Popen(
            command,
            stdin=stdin if given is None else subprocess.PIPE,  # type: ignore[arg-type]
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.variables,
        )
        if given is not None and process.stdin:
            with suppress(BrokenPipeError):  # it ended before it read all; its exit status says more
                process.stdin.write(given)
                process.stdin.close()
        assert process.stdout  # noqa: S101  # it is a pipe
        for line in process.stdout:
            self.terminal.show(line.decode(errors="replace").rstrip("\r\n"))
        return process.wait()

    def ask(self, *command: str, stdin: bytes = b"") -> tuple[int, str]:
        """Run a program and return its exit status and what it said."""
        done = subprocess.run(
            command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.variables, check=False
        )
        return done.returncode, done.stdout.decode(errors="replace").strip()

    @contextmanager
    def pipe(self, *commands: tuple[str, ...]) -> Iterator[IO[bytes]]:
        """Run programs, each reading what the one before writes, and hand out what the last one writes."""
        running: list[subprocess.Popen[bytes]] = []
        stream: IO[bytes] | None = None
        for command in commands:
            running.append(subprocess.Popen(command, stdin=stream, stdout=subprocess.PIPE, env=self.variables))
            if stream is not None:
                stream.close()  # so that a program learns when the one after it ends
            stream = running[-1].stdout
        assert stream is not None  # noqa: S101  # there is a command
        with stream:
            yield stream
        for process, command in zip(running, commands, strict=True):
            if process.wait():
                raise DeployError(f"{command[0]} failed with exit status {process.returncode}")


def find_program(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name)
    if not found:
        raise DeployError(f"the program {name} is missing on this machine")
    return found
