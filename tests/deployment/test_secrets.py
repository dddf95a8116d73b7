"""No secret is seen where it does not belong: in output, in arguments, in other programs' variables, in files left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.deployment.deploying import SCRIPT, SECRETS, Site, psutil_gone

pytestmark = pytest.mark.slow


def secrets_of(site: Site) -> list[str]:
    """Every secret, a key line by line; its first line is the same in all keys of OpenSSH."""
    lines = [line for line in site.server.user_key.splitlines() if line and not line.startswith("-----")][1:]
    assert lines
    return [*SECRETS.values(), *lines]


def found_in(site: Site, text: str) -> list[str]:
    """Which secrets a text has in it."""
    return [secret for secret in secrets_of(site) if secret in text]


class Listing:
    """What `ps` would have shown: arguments of all processes, and the variables of all but the script itself."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.looks = 0

    def look(self) -> None:
        """Look once."""
        self.looks += 1
        for process in psutil.process_iter():
            with psutil_gone():
                words = process.cmdline()
                self.seen.add(" ".join(words))
                if str(SCRIPT) not in words:  # the script, and its children before they become another program
                    self.seen.update(f"{name}={value}" for name, value in process.environ().items())


@contextmanager
def listing() -> Iterator[Listing]:
    """Look at the processes over and over until the body ends."""
    listing, over = Listing(), threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            listing.look()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield listing
    finally:
        over.set()
        watching.join()


@pytest.mark.parametrize(("image", "status"), [("good 2", 0), ("broken 2", 1)])
def test_no_secret_is_in_output_arguments_or_variables(site: Site, image: str, status: int) -> None:
    with listing() as processes:
        first = site.deploy("good 1")
        second = site.deploy(image, DEPLOY_TIMEOUT="3")
    assert (first.status, second.status) == (0, status), second.output
    assert processes.looks > 10
    assert any("StrictHostKeyChecking=yes" in line for line in processes.seen)  # it did see the script's children
    assert any("compose --project-name" in line for line in processes.seen)
    assert found_in(site, "\n".join(processes.seen)) == []
    assert found_in(site, first.output + second.output) == []
    if status:
        assert "'API_KEY': '***'" in second.output  # the service's log had it
    for call in [*site.here.calls, *site.there.calls]:
        assert found_in(site, " ".join(call["arguments"])) == []
        assert found_in(site, " ".join(call["variables"].values())) == []


def test_secrets_of_other_settings_are_blotted_out_too(site: Site) -> None:
    result = site.deploy("broken 1", DEPLOY_TIMEOUT="2", PARLANTE_KEYS__APP="sha256:0123456789abcdef0123")
    assert "'PARLANTE_KEYS__APP': '***'" in result.output


def test_on_the_host_secrets_are_in_private_env_files_only(site: Site) -> None:
    site.deploy("good 1")
    site.deploy("good 2")
    site.deploy("broken 3", DEPLOY_TIMEOUT="2")
    holding = [file for file in site.directory.rglob("*") if file.is_file() and found_in(site, file.read_text())]
    assert {file.name for file in holding} == {".env.dev"}
    assert {file.stat().st_mode & 0o777 for file in holding} == {0o600}


def test_nothing_private_is_left_on_the_machine_that_deploys(site: Site) -> None:
    site.deploy("good 1")
    assert list(site.temporary.iterdir()) == []
    (site.here.folder / "next").write_text("starting 2")
    going = site.start()
    going.wait_for("starting parlante:")
    [private] = site.temporary.iterdir()
    assert private.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in private.iterdir()} == {0o600}
    going.terminate()
    assert list(site.temporary.iterdir()) == []


@pytest.mark.parametrize("value", ["two\nlines", "it's", "a\ttab"])
def test_a_value_that_no_env_file_holds_is_refused_without_showing_it(site: Site, value: str) -> None:
    result = site.deploy("good 1", API_KEY=value)
    assert result.status == 1
    assert "API_KEY has a quote" in result.output
    assert value not in result.output
    assert not Path(site.directory, "dev", "current").exists()
