#!/usr/bin/env python3
"""Deploys one environment to a host over SSH; docs/deployment.md tells how, on-host is the part that runs there.

Needs Python's standard library, ssh and a container engine. Secrets come as environment variables; they go on through
private files and standard input only, never as arguments, and no program that is started here inherits them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import signal
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NoReturn

from connection import pinned_ssh
from programs import DeployError, Programs, Terminal, find_program
from release import REQUIRED, bundle, env_file, is_secret

REPOSITORY: Final = Path(__file__).resolve().parent.parent
PORTS: Final = {"dev": 8001, "qa": 8002, "prod": 8000}
HAND_OVER: Final = "compose.hand-over.yaml"  # with it, a release takes over from the one before while that one serves
LOCK_HELD: Final = 75  # exit status, also of on-host

# What the host's shell runs: it takes the environment's lock on descriptor 9, and what it starts then inherits it.
LOCKED: Final = 'set -eu; umask 077; mkdir -p "$1"; cd "$1"; exec 9>lock; flock --wait 2 --conflict-exit-code 75 9; '
ACTIVATE: Final = LOCKED + (
    "rm -rf incoming; mkdir incoming; tar -x --no-same-owner -f - -C incoming; exec sh incoming/on-host activate"
)
ROLL_BACK: Final = LOCKED + (
    "[ -e current ] || { echo 'nothing was ever deployed here'; exit 1; }; exec sh current/on-host rollback"
)


@dataclass(frozen=True)
class Deployment:
    """One environment, the host that it goes to, and the engines here and there."""

    environment: str
    variables: Mapping[str, str]
    programs: Programs
    ssh: tuple[str, ...]
    host: str

    def setting(self, name: str, default: str) -> str:
        """A variable, or its default where it is missing or empty."""
        return self.variables.get(name) or default

    @property
    def engine(self) -> tuple[str, ...]:
        """The container engine's command here."""
        return tuple(shlex.split(self.setting("CONTAINER_ENGINE", "docker")))

    @property
    def host_engine(self) -> str:
        """The container engine's command on the host, as words."""
        return self.setting("HOST_CONTAINER_ENGINE", "docker")

    @property
    def directory(self) -> str:
        """Where deployments live on the host; relative to the user's home."""
        return self.setting("DEPLOY_DIRECTORY", "parlante")

    @property
    def port(self) -> str:
        """The port of the service on the host."""
        return self.setting("PARLANTE_PORT", str(PORTS[self.environment]))

    def remote(self, script: str, *arguments: str) -> tuple[str, ...]:
        """The ssh command that has the host's shell run a script."""
        return (*self.ssh, shlex.join(["sh", "-c", script, "sh", *arguments]))

    def check_host(self, image: str) -> bool:
        """Whether the host has the image already; it is refused here when it cannot be deployed to."""
        words = shlex.join(["sh", "-s", "check", self.directory, self.environment, image, self.host_engine])
        status, answer = self.programs.ask(*self.ssh, words, stdin=(REPOSITORY / "deploy" / "on-host").read_bytes())
        if status == 0:
            return answer.endswith("present")
        self.programs.terminal.show(answer)
        if status == 255:
            raise DeployError(
                f"cannot log in to {self.host} over SSH: it cannot be reached, its host key is not the pinned one, or "
                "it does not take the user's key. Nothing was sent to it"
            )
        if status == LOCK_HELD:
            raise self._lock_held()
        raise DeployError(f"{self.host} is not prepared for deployments")

    def build(self) -> str:
        """Build the image and name it after its content."""
        _, revision = self.programs.ask("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12")
        name = f"parlante:{self.environment}-build"
        target = self.setting("PARLANTE_TARGET", "cpu")
        torch = self.setting("TORCH_BACKEND", "cpu" if target == "cpu" else "locked")
        arguments = ["--target", target, "--build-arg", f"TORCH_BACKEND={torch}", "--build-arg", f"REVISION={revision}"]
        file = str(REPOSITORY / "Containerfile")
        if self.programs.run(*self.engine, "build", "-f", file, *arguments, "-t", name, str(REPOSITORY)):
            raise DeployError("the image cannot be built")
        status, digest = self.programs.ask(*self.engine, "image", "inspect", "--format", "{{.Id}}", name)
        if status:
            raise DeployError(f"the image {name} cannot be found after it was built: {digest}")
        image = self._image_name(digest)
        if self.programs.run(*self.engine, "tag", name, image):
            raise DeployError(f"the image cannot be named {image}")
        return image

    def ship_built(self, image: str) -> None:
        """Send an image from the engine here to the engine on the host."""
        with self.programs.pipe((*self.engine, "save", image), (find_program("gzip"), "-1")) as stream:
            self._load(f"{self.host_engine} load", stream)

    def ship_archive(self, archive: Path, name: str, image: str) -> None:
        """Send a saved image to the engine on the host, and name it there."""
        with archive.open("rb") as stream:
            self._load(f"{self.host_engine} load && {self.host_engine} tag {shlex.quote(name)} {image}", stream)

    def _load(self, command: str, stream: IO[bytes]) -> None:
        if self.programs.run(*self.remote(command), stdin=stream):
            raise DeployError("the host cannot load the image; what runs there was not touched")

    def read_archive(self, archive: Path) -> tuple[str, str]:
        """The name of the image in an archive that ``save`` wrote, and the name after its content."""
        try:
            with tarfile.open(archive) as content:
                manifest = json.load(content.extractfile("manifest.json") or io.BytesIO())
            name, config = str(manifest[0]["RepoTags"][0]), str(manifest[0]["Config"])
        except (OSError, tarfile.TarError, KeyError, IndexError, TypeError, ValueError) as err:
            raise DeployError(f"{archive} is not the archive of a named image, as `docker save` writes it") from err
        return name, self._image_name(config)

    def _image_name(self, digest: str) -> str:
        found = re.search(r"[0-9a-f]{64}", digest)
        if not found:
            raise DeployError(f"the image has no digest: {digest}")
        return f"parlante:{self.environment}-{found[0][:12]}"

    def activate(self, image: str) -> None:
        """Send the release and start it in the place of the one before."""
        self._finish(self.programs.run(*self.remote(ACTIVATE, self._place), stdin=self._bundle(image)))

    def roll_back(self) -> None:
        """Start the release before the current one."""
        self._finish(self.programs.run(*self.remote(ROLL_BACK, self._place)))

    @property
    def _place(self) -> str:
        return f"{self.directory}/{self.environment}"

    def _finish(self, status: int) -> None:
        if status == LOCK_HELD:
            raise self._lock_held()
        if status == 255:
            raise DeployError("the connection broke; what began on the host goes on there, and ends ready or as before")
        if status:
            raise DeployError(f"{self.environment} was not deployed to {self.host}; the reason is above", status)

    def _lock_held(self) -> DeployError:
        return DeployError(f"another deployment of {self.environment} is at work on {self.host}; try again", LOCK_HELD)

    def _bundle(self, image: str) -> bytes:
        files = self.setting("COMPOSE_FILE", f"compose.yaml:{HAND_OVER}").split(":")
        listens = f"{self.setting('PARLANTE_BIND', '127.0.0.1')}:{self.port}"
        about = {
            "environment": self.environment,
            "image": image,
            "port": self.port,
            "hands_over": listens if HAND_OVER in files else "",
            "compose_files": " ".join(files),
            "engine": self.host_engine,
            "timeout": self.setting("DEPLOY_TIMEOUT", "900"),
        }
        variables = env_file(
            self.variables, PARLANTE_ENV=self.environment, PARLANTE_IMAGE=image, PARLANTE_PORT=self.port
        )
        return bundle(REPOSITORY, self.environment, variables, files, about)


def deploy(environment: str, host: str, archive: Path | None, *, roll_back: bool, variables: Mapping[str, str]) -> None:
    """Deploy an environment.

    Args:
        environment: ``dev``, ``qa`` or ``prod``.
        host: Name or address of the host.
        archive: An image as ``save`` wrote it, compressed or not; ``None`` builds one.
        roll_back: Go back to the release before instead.
        variables: Where settings and secrets come from.

    Raises:
        DeployError: it did not come to that.
    """
    missing = [name for name in REQUIRED if not variables.get(name)]
    if missing and not roll_back:
        raise DeployError(f"these environment variables are missing: {', '.join(missing)}")
    terminal = Terminal(value for name, value in variables.items() if is_secret(name))
    programs = Programs(terminal, {name: value for name, value in variables.items() if not is_secret(name)})
    with pinned_ssh(host, variables, programs) as ssh:
        deployment = Deployment(environment, variables, programs, ssh, host)
        deployment.check_host("")
        if roll_back:
            deployment.roll_back()
        elif archive:
            name, image = deployment.read_archive(archive)
            if not deployment.check_host(image):
                terminal.show(f"sending {image}")
                deployment.ship_archive(archive, name, image)
            deployment.activate(image)
        else:
            image = deployment.build()
            if not deployment.check_host(image):
                terminal.show(f"sending {image}")
                deployment.ship_built(image)
            deployment.activate(image)
    terminal.show(f"{environment} on {host} is ready on port {deployment.port}")


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)  # so that private files are removed


def main() -> None:
    """Read the command line and the environment, and deploy."""
    parser = argparse.ArgumentParser(description="Deploys one environment; docs/deployment.md names the variables.")
    parser.add_argument("environment", choices=PORTS)
    parser.add_argument("host", nargs="?", default=os.environ.get("LIGHTSAIL_HOST", ""), help="or LIGHTSAIL_HOST")
    parser.add_argument("--archive", type=Path, metavar="FILE", help="an image that `save` wrote, instead of a build")
    parser.add_argument("--rollback", action="store_true", help="go back to the release before")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        deploy(
            arguments.environment,
            arguments.host,
            arguments.archive,
            roll_back=arguments.rollback,
            variables=dict(os.environ),
        )
    except (DeployError, OSError) as err:
        sys.stderr.write(f"deploy: {err}\n")
        sys.exit(getattr(err, "status", 1))


if __name__ == "__main__":
    main()
