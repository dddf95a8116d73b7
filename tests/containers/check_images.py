"""Builds images and asks their containers for what the service promises; see `just images`.

Every target: it builds, holds no compiler, runs as uid 10001 on a read-only root without capabilities, becomes healthy,
refuses whoever has no key, transcribes, speaks, keeps its key and its models in the volumes over a restart, ends a
running request before it stops, and stops at once while it starts. embedded also shows that neither a reload nor
another container that takes over loses a request. cpu and cuda run without any network, on models that were put into
the volume.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

import httpx

from app.keys import new_key
from app.service_process import free_port
from tests.containers.engine import REPOSITORY, CheckFailed, Container, Engine
from tests.end_to_end.service import eventually

_VOICES: Final = (
    '{en-mini = {language = "en", model = "coqui-mini/en"}, es-mini = {language = "es", model = "coqui-mini/es"}}'
)
_TESTED: Final = {
    "embedded": ({}, "/samples/meeting.mp3", "Good morning.", {"thursday", "chicago", "report"}),
    "full": (
        {"MODEL_SIZE": "whisper-mini", "DEVICE": "cpu", "PARLANTE_SYNTHESIZERS__COQUI__VOICES": _VOICES},
        "/data/held_out/en-01.flac",
        "Please send the book to Elena on Saturday.",
        {"train", "mexico", "london", "monday"},
    ),
}
_CLIENT: Final = (REPOSITORY / "tests" / "containers" / "client.py").read_text("utf-8")
_GRACE: Final = 45


def check(engine: Engine, target: str) -> None:
    """Build one target and try it; raises ``CheckFailed``."""
    image = f"localhost/parlante-check:{target}"
    seconds, size = engine.build(target, image)
    report(target, "built", f"{size / 1e6:.0f} MB in {seconds:.0f} s")
    _look_at(engine, image)
    report(target, "image", "uid 10001, no compiler, labels, no model and no secret in it")

    variables, recording, text, words = _TESTED["embedded" if target == "embedded" else "full"]
    volumes = [f"parlante-check-{target}-{name}" for name in ("models", "data")]
    engine.try_("volume", "rm", "--force", *volumes)
    mounts = [f"--volume={volumes[0]}:/app/models", f"--volume={volumes[1]}:/app/data"]
    for source, at in (("samples", "/samples"), ("tests/data", "/data")):
        mounts.append(f"--volume={REPOSITORY / source}:{at}:ro")
    if target != "embedded":
        copy = "cp -r /data/models/. /app/models/ && chown -R 10001:10001 /app/models"
        engine.ask("run", "--rm", "--user=0", "--network=none", *mounts, "--entrypoint=sh", image, "-c", copy)
    try:
        name = f"parlante-check-{target}"
        # The small one is also asked from outside; the others show that they need no network.
        network = "--publish=127.0.0.1::8000" if target == "embedded" else "--network=none"
        with Container(engine, image, name, network, *mounts, variables=variables) as container:
            report(target, "healthy", f"{container.wait_healthy():.1f} s after its start")
            key = container.inside("cat", "/app/data/api-key")
            answers = _ask(container, recording, text)
            heard = str(answers["heard"])
            _require(words <= set(heard.lower().rstrip(".").split()), f"it heard {heard!r}")
            report(target, "works", f"heard {heard!r}, spoke {answers['bytes']} bytes")
            _require(key not in container.log(), "the key is in the log")

            if target == "embedded":
                report(target, "drained", _stop_in_the_middle(container, key))
            else:
                report(target, "stopped", f"in {container.stop(_GRACE):.1f} s")

            container.start()
            report(target, "healthy", f"{container.wait_healthy():.1f} s after its second start")
            _require(container.inside("cat", "/app/data/api-key") == key, "the key changed")
            _ask(container, recording, text)
            container.stop(_GRACE)
            for delay in (0.1, 0.6, 1.5):
                container.start()
                time.sleep(delay)
                seconds = container.stop(_GRACE)
                _require(seconds < 10, f"a stop {delay} s after the start took {seconds:.1f} s")
            report(target, "stopped", "at once while it starts")
        if target == "embedded":
            report(target, "replaced", _hand_over(engine, image, *mounts))
    finally:
        engine.try_("volume", "rm", "--force", *volumes)


def _look_at(engine: Engine, image: str) -> None:
    config = json.loads(engine.ask("image", "inspect", image))[0]["Config"]
    _require(config["User"] == "10001:10001", f"its user is {config['User']}")
    _require(config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0", "it lacks OCI labels")
    _require(
        not any("API_KEY" in item or "SECRET" in item for item in config["Env"]), "it has a key in its environment"
    )
    script = (
        "id -u; for p in gcc cc g++ make ld; do command -v $p; done; "
        "find / -xdev -name model.bin -o -xdev -name '.env*' -type f 2>/dev/null | head; ls -A /app/models"
    )
    found = engine.ask("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", f"{script}; true")
    _require(found == "10001", f"not expected in the image: {found}")


def _ask(container: Container, recording: str, text: str) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(container.inside("python", "-", recording, "en", text, stdin=_CLIENT))
    expected = {"without a key": 401, "transcribe": 200, "synthesize": 201, "link": 200, "sound": "RIFF"}
    _require({name: answers[name] for name in expected} == expected, f"it answered {answers}")
    return answers


def _stop_in_the_middle(container: Container, key: str) -> str:
    """Stop it while it transcribes: the answer still comes."""
    url = f"http://{container.address()}/api/v1/transcribe"
    recording = (REPOSITORY / "samples" / "meeting.mp3").read_bytes()
    with ThreadPoolExecutor(1) as others, httpx.Client(trust_env=False, timeout=_GRACE) as client:
        answer = others.submit(client.post, url, files={"audio_file": recording}, headers={"X-API-Key": key})
        time.sleep(1.0)
        _require(not answer.done(), "the request ended before the stop")
        seconds = container.stop(_GRACE)
        _require(answer.result().status_code == 200, f"the running request got {answer.result().status_code}")
    return f"a running request got its answer, stopped after {seconds:.1f} s"


def _hand_over(engine: Engine, image: str, *mounts: str) -> str:
    """Reload a container, and have a second one take over from it, while requests come in on new connections."""
    port = free_port("127.0.0.1")
    variables = {
        "PARLANTE_SERVER__HOST": "127.0.0.1",
        "PARLANTE_SERVER__PORT": str(port),
        "PARLANTE_SERVER__HAND_OVER": "/app/data/hand-over",
        "PARLANTE_SERVER__READY_FILE": "/tmp/ready",
        "API_KEY": new_key(),
    }
    over = threading.Event()

    def ask() -> list[str]:
        answers = []
        while not over.is_set():
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/voices", headers=headers, trust_env=False)
                answers.append(str(answer.status_code))
            except httpx.HTTPError as err:
                answers.append(repr(err))
        return answers

    headers = {"X-API-Key": variables["API_KEY"]}
    names = [f"parlante-check-{which}" for which in ("before", "after")]
    with ExitStack() as stack:
        before = stack.enter_context(Container(engine, image, names[0], "--network=host", *mounts, variables=variables))
        before.wait_healthy()
        others = stack.enter_context(ThreadPoolExecutor(2))
        stack.callback(over.set)  # before the threads are waited for
        asking = [others.submit(ask) for _ in range(2)]
        engine.ask("kill", "--signal", "HUP", names[0])
        _require(eventually(lambda: '"reloaded"' in before.log(), within=60), "it did not reload")
        after = stack.enter_context(Container(engine, image, names[1], "--network=host", *mounts, variables=variables))
        after.wait_healthy()
        _require("listening_socket_taken_over" in after.log(), f"it took nothing over:\n{after.log()[-3000:]}")
        before.stop(_GRACE)
        time.sleep(1)
        over.set()
        answers = [answer for one in asking for answer in one.result()]
        after.stop(_GRACE)
    lost = [answer for answer in answers if answer != "200"]
    _require(not lost, f"of {len(answers)} requests {len(lost)} were lost: {lost[:3]}")
    return f"by a second worker, then by a second container: 0 of {len(answers)} requests lost"


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckFailed(otherwise)


def report(target: str, what: str, how: str) -> None:
    """One line of what was seen."""
    print(f"{target:9} {what:8} {how}", flush=True)


def main() -> int:
    """Check the targets named on the command line."""
    parser = argparse.ArgumentParser(description="Builds images and tries them.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="embedded (default), cpu, cuda")
    targets = parser.parse_args().targets or ["embedded"]
    if unknown := set(targets) - {"embedded", "cpu", "cuda"}:
        parser.error(f"there is no target {', '.join(unknown)}")
    try:
        engine = Engine()
        for target in targets:
            check(engine, target)
    except CheckFailed as err:
        print(f"check_images: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
