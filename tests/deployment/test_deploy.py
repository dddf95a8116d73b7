"""Deploying to a host over SSH: what runs afterwards, when it goes well and when it does not."""

from __future__ import annotations

import fcntl
import gzip
from pathlib import Path

import pytest

from tests.deployment.deploying import Result, Site
from tests.deployment.engine import saved
from tests.deployment.ssh_server import make_key

pytestmark = pytest.mark.slow

LOCK_HELD = 75
WAYS = pytest.mark.parametrize("compose_file", ["compose.yaml", "compose.yaml:compose.hand-over.yaml"])
"""One after the other, and beside each other."""
NOT_ROLLED_BACK = 70


def ready(result: Result) -> None:
    assert result.status == 0, result.output


def test_the_first_deployment_starts_the_service_and_says_where(site: Site) -> None:
    result = site.deploy("good 1")
    ready(result)
    assert result.output.endswith(f"dev on 127.0.0.1 is ready on port {site.port}\n")
    assert site.serving() == "good"
    assert site.here.called("build", "cpu") == 1
    up = next(call["arguments"] for call in site.there.calls if "up" in call["arguments"])
    assert up[:5] == ["compose", "--project-name", "parlante-dev", "--env-file", ".env.dev"]
    assert "--no-build" in up


def test_the_env_file_holds_the_settings_by_their_names_and_only_its_owner_reads_it(site: Site) -> None:
    settings = {"MODEL_SIZE": "small", "PARLANTE_SERVER__PUBLIC_URL": "https://dev.example/a?b=c d$e", "UNRELATED": "x"}
    ready(site.deploy("good 1", **settings))
    file = site.current() / ".env.dev"
    assert file.stat().st_mode & 0o777 == 0o600
    assert site.current().stat().st_mode & 0o077 == 0
    [image] = site.there.images
    assert file.read_text().splitlines() == [
        "PARLANTE_ENV=dev",
        f"PARLANTE_IMAGE={image}",
        f"PARLANTE_PORT={site.port}",
        f"API_KEY={site.variables['API_KEY']}",
        f"APP_AWS_ACCESS_KEY_ID={site.variables['APP_AWS_ACCESS_KEY_ID']}",
        f"APP_AWS_SECRET_ACCESS_KEY={site.variables['APP_AWS_SECRET_ACCESS_KEY']}",
        "AWS_REGION=eu-west-1",
        "MODEL_SIZE=small",
        "PARLANTE_SERVER__PUBLIC_URL='https://dev.example/a?b=c d$e'",
        "S3_BUCKET=speech",
    ]


@WAYS
def test_the_second_deployment_takes_the_place_of_the_first(site: Site, compose_file: str) -> None:
    site.variables["COMPOSE_FILE"] = compose_file
    ready(site.deploy("good 1"))
    first = site.current()
    ready(site.deploy("good 2", API_KEY="parlante_rotated-key-number-two"))
    assert site.current() != first
    assert "API_KEY=parlante_rotated-key-number-two" in (site.current() / ".env.dev").read_text()
    assert site.serving() == "good"


def test_the_same_again_sends_no_image_and_leaves_the_release_as_it_is(site: Site) -> None:
    ready(site.deploy("good 1"))
    release = site.current()
    result = site.deploy("good 1")
    ready(result)
    assert "the same release" in result.output
    assert site.current() == release
    assert site.there.called("load") == 1


def test_a_changed_setting_alone_sends_no_image(site: Site) -> None:
    ready(site.deploy("good 1"))
    ready(site.deploy("good 1", MODEL_SIZE="medium"))
    assert site.releases() == 2
    assert site.there.called("load") == 1
    assert len(site.there.images) == 1


def test_the_host_keeps_the_last_two_images_and_releases(site: Site) -> None:
    for number in range(4):
        ready(site.deploy(f"good {number}"))
    assert len(site.there.images) == 2
    assert site.releases() == 2


@WAYS
@pytest.mark.parametrize("kind", ["broken", "exits"])
def test_an_image_that_does_not_get_ready_makes_room_for_the_one_before(
    site: Site, kind: str, compose_file: str
) -> None:
    site.variables["COMPOSE_FILE"] = compose_file
    ready(site.deploy("good 1"))
    release, images = site.current(), site.there.images
    result = site.deploy(f"{kind} 2", DEPLOY_TIMEOUT="3")
    assert result.status == 1
    assert "no voice" in result.output  # the last lines of its log
    assert "runs and is ready" in result.output
    assert site.serving() == "good"
    assert site.current() == release
    assert site.there.images == images
    assert site.releases() == 1
    ready(site.deploy("good 3"))


def test_a_container_that_ends_again_and_again_is_not_waited_for(site: Site) -> None:
    ready(site.deploy("good 1"))
    result = site.deploy("exits 2", DEPLOY_TIMEOUT="600")
    assert result.status == 1
    assert "ends again and again" in result.output
    assert site.serving() == "good"


def test_settings_go_back_together_with_the_image(site: Site) -> None:
    ready(site.deploy("good 1"))
    site.deploy("broken 2", DEPLOY_TIMEOUT="2", API_KEY="parlante_key-of-a-failed-release")
    assert f"API_KEY={site.variables['API_KEY']}" in (site.current() / ".env.dev").read_text()
    found = [file for file in site.directory.rglob("*") if file.is_file() and "failed-release" in file.read_text()]
    assert found == []


def test_a_first_deployment_that_does_not_get_ready_is_stopped(site: Site) -> None:
    result = site.deploy("broken 1", DEPLOY_TIMEOUT="2")
    assert result.status == 1
    assert "nothing to go back to" in result.output
    assert site.serving() is None
    assert site.there.images == set()
    assert site.releases() == 0
    ready(site.deploy("good 2"))


def test_it_says_so_when_the_one_before_does_not_work_either(site: Site) -> None:
    site.variables["COMPOSE_FILE"] = "compose.yaml"  # which ends the one before first
    ready(site.deploy("good 1"))
    [image] = site.there.images
    (site.there.folder / "images" / image).write_text("exits 1")
    result = site.deploy("broken 2", DEPLOY_TIMEOUT="2")
    assert result.status == NOT_ROLLED_BACK
    assert f"neither is {image}" in result.output


@WAYS
def test_going_back_by_hand_and_forth_again(site: Site, compose_file: str) -> None:
    site.variables["COMPOSE_FILE"] = compose_file
    ready(site.deploy("good 1"))
    first = site.current()
    ready(site.deploy("good 2"))
    second = site.current()
    ready(site.deploy(None, "dev", "127.0.0.1", "--rollback"))
    assert site.current() == first
    ready(site.deploy(None, "dev", "127.0.0.1", "--rollback"))
    assert site.current() == second


def test_there_must_be_something_to_go_back_to(site: Site) -> None:
    assert site.deploy(None, "dev", "127.0.0.1", "--rollback").status == 1
    ready(site.deploy("good 1"))
    result = site.deploy(None, "dev", "127.0.0.1", "--rollback")
    assert result.status == 1
    assert "no release before" in result.output


def test_environments_do_not_touch_each_other(site: Site) -> None:
    ready(site.deploy("good 1"))
    dev = site.current()
    # On the port of dev, too: that something is ready there says nothing about qa.
    result = site.deploy("exits 2", "qa", "127.0.0.1", DEPLOY_TIMEOUT="20")
    assert result.status == 1
    assert "nothing to go back to" in result.output
    assert site.current() == dev
    assert site.serving() == "good"


@pytest.mark.parametrize("compressed", [False, True])
def test_an_image_that_was_built_elsewhere(site: Site, tmp_path: Path, compressed: bool) -> None:
    archive = tmp_path / "image"
    content = saved("built:elsewhere", "good 7")
    archive.write_bytes(gzip.compress(content) if compressed else content)
    ready(site.deploy(None, "dev", "127.0.0.1", "--archive", str(archive)))
    assert site.serving() == "good"
    assert site.here.calls == []
    ready(site.deploy(None, "dev", "127.0.0.1", "--archive", str(archive)))
    assert site.there.called("load") == 1


def test_what_is_no_image_is_refused(site: Site, tmp_path: Path) -> None:
    archive = tmp_path / "image"
    archive.write_bytes(b"not one")
    result = site.deploy(None, "dev", "127.0.0.1", "--archive", str(archive))
    assert result.status == 1
    assert "is not the archive" in result.output
    assert site.there.called("load") == 0


def test_a_host_with_another_key_is_refused_before_anything_is_sent(site: Site, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    before = site.server.log.read_text()
    result = site.deploy("good 1", LIGHTSAIL_KNOWN_HOSTS=f"[127.0.0.1]:{site.server.port} {other}\n")
    assert result.status == 1
    assert "Host key verification failed" in result.output
    assert "Nothing was sent" in result.output
    assert "Accepted" not in site.server.log.read_text().removeprefix(before)
    assert site.here.calls == []
    assert site.there.calls == []
    assert not site.directory.exists()


def test_without_a_pinned_key_for_the_host_nothing_is_tried(site: Site) -> None:
    for known_hosts in (None, "", site.server.known_hosts.replace("127.0.0.1", "other.example")):
        before = site.server.log.read_text()
        result = site.deploy("good 1", LIGHTSAIL_KNOWN_HOSTS=known_hosts)
        assert result.status == 1
        assert "no host key is pinned" in result.output
        assert site.server.log.read_text() == before


def test_the_pinned_key_may_be_in_a_file_and_the_host_in_a_variable(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(site.server.known_hosts)
    changes = {"LIGHTSAIL_KNOWN_HOSTS": None, "LIGHTSAIL_KNOWN_HOSTS_FILE": str(file), "LIGHTSAIL_HOST": "127.0.0.1"}
    ready(site.deploy("good 1", "dev", **changes))


def test_a_user_key_that_the_host_does_not_take_is_refused(site: Site, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    result = site.deploy("good 1", LIGHTSAIL_SSH_KEY=(tmp_path / "stranger").read_text())
    assert result.status == 1
    assert "Permission denied" in result.output
    assert site.here.calls == []


@pytest.mark.parametrize("spoilt", ["without its last newline", "with carriage returns"])
def test_the_user_key_may_have_lost_its_form_in_a_form(site: Site, spoilt: str) -> None:
    key = site.server.user_key
    key = key.rstrip("\n") if spoilt == "without its last newline" else key.replace("\n", "\r\n")
    ready(site.deploy("good 1", LIGHTSAIL_SSH_KEY=key))


@pytest.mark.parametrize(
    ("name", "value"),
    [("API_KEY", None), ("AWS_REGION", ""), ("LIGHTSAIL_USERNAME", None), ("LIGHTSAIL_USERNAME", "-x")],
)
def test_what_is_missing_is_named_before_anything_begins(site: Site, name: str, value: str | None) -> None:
    result = site.deploy("good 1", **{name: value})
    assert result.status == 1
    assert name in result.output
    assert site.there.calls == []


@pytest.mark.parametrize("host", ["-oProxyCommand=true", "a b", ""])
def test_what_is_no_host_is_refused(site: Site, host: str) -> None:
    result = site.deploy("good 1", "dev", "--", host)
    assert result.status == 1
    assert "is not a host" in result.output


def test_of_two_deployments_at_once_the_second_is_refused(site: Site) -> None:
    (site.here.folder / "next").write_text("starting 1")
    first = site.start()
    first.wait_for("starting parlante:")
    second = site.deploy("good 2")
    assert second.status == LOCK_HELD
    assert "another deployment of dev is at work" in second.output
    assert site.there.called("load") == 1  # it was refused before its image travelled
    ready(first.end())
    assert site.serving() == "starting"
    ready(site.deploy("good 2"))  # the service that runs on does not hold the lock


def test_a_deployment_that_is_overtaken_while_its_image_travels_is_refused_too(site: Site) -> None:
    ready(site.deploy("good 1"))
    (site.here.folder / "next").write_text("good 2")
    (site.there.folder / "hold").touch()
    late = site.start()
    late.wait_for("sending")
    with (site.directory / "dev" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (site.there.folder / "hold").unlink()
        assert late.end().status == LOCK_HELD
    assert site.releases() == 1


def test_what_began_on_the_host_ends_there_when_the_caller_goes_away(site: Site) -> None:
    ready(site.deploy("good 1"))
    first = site.current()
    (site.here.folder / "next").write_text("starting 2")
    going = site.start()
    going.wait_for("starting parlante:")
    assert going.terminate().status != 0
    with (site.directory / "dev" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert site.current() != first
    assert site.serving() == "starting"


def test_a_host_without_a_container_engine_is_refused_before_the_build(site: Site) -> None:
    result = site.deploy("good 1", HOST_CONTAINER_ENGINE="/nowhere/docker")
    assert result.status == 1
    assert "does not work on the host" in result.output
    assert site.here.calls == []


def test_an_image_that_the_host_cannot_load_leaves_alone_what_runs(site: Site) -> None:
    ready(site.deploy("good 1"))
    release = site.current()
    (site.there.command).write_text(
        (site.there.command).read_text().replace("exec", '[ "$1" != load ] || exit 1; exec')
    )
    result = site.deploy("good 2")
    assert result.status == 1
    assert "cannot load the image" in result.output
    assert site.current() == release
    assert site.serving() == "good"
