"""A release: the files that make one environment run on the host, and what is written in them."""

from __future__ import annotations

import io
import re
import shlex
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from programs import DeployError

REQUIRED: Final = ("API_KEY", "APP_AWS_ACCESS_KEY_ID", "APP_AWS_SECRET_ACCESS_KEY", "AWS_REGION")
OPTIONAL: Final = (
    "S3_BUCKET",
    "S3_PREFIX",
    "S3_ENDPOINT_URL",
    "MODEL_SIZE",
    "DEVICE",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "PARLANTE_BIND",
    "PARLANTE_GPUS",
)
_SETTING: Final = re.compile(r"PARLANTE_[A-Z0-9_]+__[A-Z0-9_]+")  # every other setting of the service


def is_secret(name: str) -> bool:
    """Whether the value of a variable is never to be shown or inherited."""
    ours = name in (*REQUIRED, *OPTIONAL, "LIGHTSAIL_SSH_KEY") or _SETTING.fullmatch(name)
    return bool(ours and re.search("KEY|SECRET|TOKEN|PASSWORD", name))


def env_file(variables: Mapping[str, str], **more: str) -> str:
    """The env file of an environment: what is given by name, and the variables that the service knows."""
    values = dict(more)
    for name in sorted(variables):
        if name in REQUIRED or (variables[name] and (name in OPTIONAL or _SETTING.fullmatch(name))):
            values[name] = variables[name]
    return "".join(f"{name}={quote(name, value)}\n" for name, value in values.items())


def quote(name: str, value: str) -> str:
    """A value as an env file of compose holds it; what has a meaning there is put between single quotes.

    Raises:
        DeployError: no quotes hold it.
    """
    if re.fullmatch(r"[\w./:@%+=,-]*", value, re.ASCII):
        return value
    if "'" in value or not value.isprintable():
        raise DeployError(
            f"{name} has a quote, a line break or a control character in it, which an env file cannot hold"
        )
    return f"'{value}'"


def bundle(
    repository: Path, environment: str, variables: str, compose_files: list[str], about: Mapping[str, str]
) -> bytes:
    """A release as a tar archive: on-host, its env file, its compose files, and ``release``, which says what it is.

    Args:
        repository: Where on-host and the compose files are.
        environment: Name of the environment.
        variables: Content of its env file.
        compose_files: Paths in the repository.
        about: What on-host reads of the release.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:

        def add(name: str, data: bytes, mode: int = 0o644) -> None:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))

        add("on-host", (repository / "deploy" / "on-host").read_bytes(), 0o755)
        add("release", "".join(f"{key}={shlex.quote(value)}\n" for key, value in about.items()).encode())
        add(f".env.{environment}", variables.encode(), 0o600)
        for file in compose_files:
            if not re.fullmatch(r"[\w./-]+", file, re.ASCII) or ".." in file or not (repository / file).is_file():
                raise DeployError(f"COMPOSE_FILE names {file!r}, which is not a file of the repository")
            add(file, (repository / file).read_bytes())
    return content.getvalue()
