"""Brings compose.yaml up with a real S3 server beside it, and follows what is spoken into the bucket and out again.

It needs the image that check_images built, a container engine, and the S3 server of ``shared/``, which listens on this
machine's loopback address: so the service is on the machine's network too, as deployments have it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx
import pytest

from app.keys import new_key
from app.service_process import free_port
from tests.containers.check_compose import resolver
from tests.containers.engine import REPOSITORY, CheckFailed, Engine, engine_variables
from tests.end_to_end.service import eventually
from tests.stores.s3_servers import S3Server, run_real_s3

_IMAGE: Final = "localhost/parlante-check:embedded"
_PROJECT: Final = "parlante-check-stack"
_PATIENCE: Final = 60.0


def compose(env_file: Path, *words: str) -> None:
    """Run compose on the files of a deployment."""
    program, *options = resolver()
    if Path(program).name == "podman-compose":
        options = []  # here it needs its podman
    files = ("-f", "compose.yaml", "-f", "compose.hand-over.yaml")
    command = [program, *options, "-p", _PROJECT, "--env-file", str(env_file), *files, *words]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=engine_variables(), capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise CheckFailed(f"compose {' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")


def is_ready(client: httpx.Client) -> bool:
    """Whether the service says so; no where it does not listen yet."""
    try:
        return client.get("/health/ready").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def speak(client: httpx.Client, server: S3Server, bucket: str) -> str:
    """Speak a sentence, look for it in the bucket, and open its link, whole and altered."""
    answer = client.post("/api/v1/synthesize", json={"text": "Good morning.", "language": "en"})
    if answer.status_code != httpx.codes.CREATED:
        raise CheckFailed(f"it answered {answer.status_code}: {answer.text}")
    spoken = answer.json()
    if not spoken["url"].startswith(server.endpoint_url):
        raise CheckFailed(f"the link leads to {spoken['url'][:60]}")
    kept = server.client.head_object(Bucket=bucket, Key=spoken["key"])["ContentLength"]
    sound = httpx.get(spoken["url"], trust_env=False)
    altered = httpx.get(spoken["url"].replace("X-Amz-Expires=", "X-Amz-Expires=9"), trust_env=False)
    if (sound.status_code, len(sound.content), altered.status_code) != (200, kept, 403):
        raise CheckFailed(f"its link answers {sound.status_code}, and {altered.status_code} when it is altered")
    return f"spoke {kept} bytes into the bucket as {spoken['key'][:12]}…; its link answers 200, altered 403"


def check(server: S3Server, bucket: str) -> str:
    """Bring it up, try it, take it down; answers what was seen."""
    port, key = free_port("127.0.0.1"), new_key()
    values = {
        "PARLANTE_IMAGE": _IMAGE,
        "PARLANTE_ENV": "dev",
        "PARLANTE_PORT": str(port),
        "PARLANTE_BACKENDS__TRANSCRIBER": "pocketsphinx",
        "PARLANTE_BACKENDS__SYNTHESIZER": "espeak-ng",
        "API_KEY": key,
        "S3_BUCKET": bucket,
        "S3_ENDPOINT_URL": server.endpoint_url,
        "APP_AWS_ACCESS_KEY_ID": server.access_key_id,
        "APP_AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        "AWS_REGION": "us-east-1",
    }
    with tempfile.TemporaryDirectory(prefix="parlante-check-") as folder:
        env_file = Path(folder, ".env.dev")
        values["PARLANTE_ENV_FILE"] = str(env_file)
        env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()), "utf-8")
        try:
            compose(env_file, "up", "-d", "--no-build")
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": key}, timeout=60, trust_env=False
            ) as client:
                if not eventually(lambda: is_ready(client), within=_PATIENCE):
                    raise CheckFailed(f"the service was not ready within {_PATIENCE:g} s")
                return speak(client, server, bucket)
        finally:
            compose(env_file, "down", "--volumes")


def main() -> int:
    """Check it, where there is all that it needs."""
    try:
        if Engine().try_("image", "inspect", _IMAGE).returncode:
            print("stack     not checked: the target embedded was not built")
            return 0
        with run_real_s3() as server, server.bucket() as bucket:
            print(f"stack     {check(server, bucket)}")
    except pytest.skip.Exception as why:
        print(f"stack     not checked: {why}")
    except CheckFailed as err:
        print(f"check_stack: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
