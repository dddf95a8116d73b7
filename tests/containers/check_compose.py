"""Resolves compose.yaml with each of its overrides for each environment, and holds what comes out to what was meant.

With `docker compose config` where there is one, else with podman-compose, which is installed for it; neither needs an
engine. Prometheus's rules and their tests go through promtool where that is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from tests.containers.engine import REPOSITORY, CheckFailed

_PORTS: Final = {"dev": "8001", "qa": "8002", "prod": "8000"}
_OVERRIDES: Final = (
    "",
    "compose.hand-over.yaml",
    "compose.minio.yaml",
    "compose.gpu.yaml",
    "compose.observability.yaml",
)
_SECRETS: Final = {"API_KEY": "'k$y with spaces'", "MINIO_ROOT_PASSWORD": "minio-secret", "GRAFANA_PASSWORD": "grafana"}


def resolver() -> list[str]:
    """The program that resolves compose files."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    # It asks podman for its version, also for `config`, which needs no podman: anything that answers will do.
    return [str(Path(sys.executable).with_name("podman-compose")), "--podman-path", "/bin/echo"]


def resolved(program: list[str], project: str, env_file: Path, *files: str) -> dict[str, Any]:
    """What the compose files come to."""
    chosen = [word for file in ("compose.yaml", *files) if file for word in ("-f", file)]
    command = [*program, "-p", project, "--env-file", env_file.name, *chosen, "config"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PARLANTE", "COMPOSE"))}
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=clean)
    if done.returncode:
        raise CheckFailed(f"{' '.join(command)}: {done.stderr.strip()[-1500:]}")
    result: dict[str, Any] = yaml.safe_load(done.stdout)
    return result


def check_environments(program: list[str]) -> int:
    """Every environment with every override; returns how many were seen."""
    seen = 0
    for environment, port in _PORTS.items():
        values = {"PARLANTE_ENV": environment, "PARLANTE_PORT": port, "PARLANTE_IMAGE": "parlante:1", **_SECRETS}
        # Named as a deployment does it; never in the way of an operator's own.
        env_file = REPOSITORY / f".env.{environment}"
        if env_file.exists():
            raise CheckFailed(f"{env_file.name} is there already; this check writes one of that name")
        env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()), "utf-8")
        try:
            for override in _OVERRIDES:
                compose = resolved(program, f"parlante-{environment}", env_file, override)
                service = compose["services"]["parlante"]
                text = json.dumps(service)
                require("127.0.0.1" in text and port in text, f"{environment}: it is not on 127.0.0.1, port {port}")
                on_network = service.get("network_mode") == "host" and not service.get("ports")
                require(on_network == (override == "compose.hand-over.yaml"), f"{environment}: its network")
                require(service["environment"]["PARLANTE_ENV"] == environment, f"{environment}: PARLANTE_ENV")
                require(service["read_only"] is True, f"{environment}: its root is not read-only")
                require(service["image"] == "parlante:1", f"{environment}: its image")
                require({"whisper_models", "parlante_data"} <= set(compose["volumes"]), f"{environment}: its volumes")
                seen += 1
        finally:
            env_file.unlink()
    return seen


def check_example(program: list[str]) -> None:
    """The quick start: .env.example as it is."""
    service = resolved(program, "parlante", REPOSITORY / ".env.example", "")["services"]["parlante"]
    require("8000" in json.dumps(service["ports"]), ".env.example: port 8000")
    require(service["build"]["target"] == "cpu", ".env.example: target cpu")


def check_rules() -> str:
    """Prometheus's rules, if promtool is here."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return "not checked: promtool is not installed (Debian: prometheus)"
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        folder = REPOSITORY / "deploy" / "observability"
        done = subprocess.run([promtool, *words], cwd=folder, capture_output=True, text=True, check=False)
        require(done.returncode == 0, f"promtool {' '.join(words)}: {done.stdout}{done.stderr}")
    return "promtool finds no fault, their tests pass"


def require(holds: bool, otherwise: str) -> None:
    """Raise ``CheckFailed`` unless it holds."""
    if not holds:
        raise CheckFailed(otherwise)


def main() -> int:
    """Check them all."""
    try:
        program = resolver()
        count = check_environments(program)
        print(f"compose   {count} combinations of environment and override, by {Path(program[0]).name}")
        example = REPOSITORY / ".env"
        if not example.exists():  # .env.example names .env as the file that the service reads
            shutil.copy(REPOSITORY / ".env.example", example)
            try:
                check_example(program)
            finally:
                example.unlink()
            print("compose   .env.example as it is")
        print(f"alerts    {check_rules()}")
    except CheckFailed as err:
        print(f"check_compose: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
