from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from app.command_line import main
from app.keys import hash_key, name_of_key
from app.settings import ENVIRONMENTS
from tests.unit.app.conftest import CONFIG, Configuration

SECRETS = {
    "API_KEY": "open-sesame-1",
    "APP_AWS_ACCESS_KEY_ID": "open-sesame-2",
    "APP_AWS_SECRET_ACCESS_KEY": "open-sesame-3",
    "PARLANTE_OBJECT_STORES__LOCAL__SECRET": "open-sesame-4",
}


class Terminal:
    """Runs ``parlante`` and keeps what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        self._monkeypatch.setattr(sys, "argv", ["parlante", *words])
        status: object = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
        self.out, self.err = self._capsys.readouterr()
        assert isinstance(status, int)
        return status


@pytest.fixture
def parlante(config: Configuration, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    for name in list(os.environ):
        if name.startswith(("PARLANTE_", "S3_", "APP_AWS_")) or name in {"API_KEY", "MODEL_SIZE", "DEVICE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PARLANTE_CONFIG_DIR", str(config.directory))
    return Terminal(monkeypatch, capsys)


def test_its_help_lists_every_verb(parlante: Terminal) -> None:
    assert parlante("--help") == 0
    assert {"serve", "config", "keys", "models", "demo"} <= set(re.findall(r"^  (\w+) ", parlante.out, re.MULTILINE))


def test_it_knows_its_version(parlante: Terminal) -> None:
    assert parlante("--version") == 0
    assert re.search(r"\d+\.\d+\.\d+", parlante.out)


def test_an_unknown_verb_is_refused(parlante: Terminal) -> None:
    assert parlante("sing") == 2
    assert "sing" in parlante.err


# keys new


def test_keys_new_prints_a_key_and_the_two_ways_to_admit_it(parlante: Terminal) -> None:
    assert parlante("keys", "new", "alice-1") == 0
    (key,) = re.findall(r"parlante_[A-Za-z0-9_-]{43}", parlante.out)
    assert f'alice-1 = "{hash_key(key)}"' in parlante.out
    assert f"PARLANTE_KEYS__ALICE_1={hash_key(key)}" in parlante.out
    assert parlante.out.count(key) == 1


def test_the_printed_variable_admits_the_key(parlante: Terminal, config: Configuration) -> None:
    parlante("keys", "new", "alice")
    (key,) = re.findall(r"parlante_[A-Za-z0-9_-]{43}", parlante.out)
    (variable, hashed) = re.findall(r"(PARLANTE_KEYS__\w+)=(\S+)", parlante.out)[0]
    assert name_of_key(key, config.load("prod", **{variable: hashed}).keys) == "alice"


def test_the_printed_line_admits_the_key(parlante: Terminal, config: Configuration) -> None:
    parlante("keys", "new", "alice")
    (key,) = re.findall(r"parlante_[A-Za-z0-9_-]{43}", parlante.out)
    (line,) = re.findall(r'under \[keys\]: (alice = ".*")', parlante.out)
    config.add("prod", "keys", line)
    assert name_of_key(key, config.load("prod").keys) == "alice"


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "é", "x" * 41])
def test_a_name_that_no_file_could_hold_is_refused(parlante: Terminal, name: str) -> None:
    assert parlante("keys", "new", name) == 2
    assert parlante.out == ""
    assert "1 to 40 letters" in parlante.err


# config check


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_config_check_prints_the_effective_settings_and_no_secret(
    parlante: Terminal, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    assert parlante("config", "check", "--env", environment) == 0
    assert f"environment = '{environment}'\n" in parlante.out
    assert "server.port = 80" in parlante.out
    assert "open-sesame" not in parlante.out + parlante.err
    for secret in SECRETS.values():
        assert hash_key(secret) not in parlante.out


def test_config_check_takes_the_environment_from_its_variable(
    parlante: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLANTE_ENV", "demo")
    assert parlante("config", "check") == 0
    assert "environment = 'demo'\n" in parlante.out


def test_config_check_says_what_is_wrong_and_fails(parlante: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLANTE_SERVER__PORT", "many")
    assert parlante("config", "check", "--env", "demo") == 1
    assert parlante.out == ""
    assert parlante.err == ("parlante: PARLANTE_SERVER__PORT: server.port: Expected `int`, got `str`\n")


# models pull


def test_models_pull_of_an_engine_with_nothing_to_download_says_so(parlante: Terminal) -> None:
    assert parlante("models", "pull", "base", "--env", "demo") == 1
    assert parlante.err.startswith("parlante: the engine pocketsphinx has nothing to download")


def test_models_pull_of_a_voice_goes_to_the_synthesizer(parlante: Terminal) -> None:
    assert parlante("models", "pull", "tts_models/en/x/y", "--env", "demo") == 1
    assert parlante.err.startswith("parlante: the engine espeak-ng has nothing to download")


def test_models_pull_needs_no_key_and_hands_name_options_and_place_to_the_engine(
    parlante: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.app.installed import install_backends  # noqa: PLC0415
    from tests.unit.app import choir  # noqa: PLC0415

    install_backends(monkeypatch, ("transcribers", "choir", "tests.unit.app.choir:PLUGIN"))
    monkeypatch.setenv("PARLANTE_BACKENDS__TRANSCRIBER", "choir")
    monkeypatch.setenv("PARLANTE_TRANSCRIBERS__CHOIR__MOTTO", "sing")
    monkeypatch.setenv("MODELS_DIR", "/srv/models")
    assert parlante("models", "pull", "large", "--env", "prod") == 0
    ((name, options, host),) = choir.PULLED
    assert (name, options.motto, str(host.models_dir)) == ("large", "sing", "/srv/models")
    assert parlante.out == "large is in /srv/models\n"


# serve


def test_serve_without_a_key_refuses_to_start(parlante: Terminal) -> None:
    assert parlante("serve", "--env", "prod") == 1
    assert parlante.err.startswith("parlante: no API key is configured: set API_KEY")
    assert "Traceback" not in parlante.err


def test_serve_without_keys_off_the_loopback_address_refuses_to_start(
    parlante: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLANTE_SERVER__HOST", "0.0.0.0")
    assert parlante("serve", "--env", "demo") == 1
    assert "loopback" in parlante.err


def test_serve_with_an_unknown_backend_refuses_to_start(parlante: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLANTE_BACKENDS__TRANSCRIBER", "babel-fish")
    assert parlante("serve", "--env", "demo") == 1
    assert parlante.err.startswith("parlante: no backend 'babel-fish' in transcribers; installed: ")


def test_serve_hands_the_settings_to_the_server(parlante: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    served = []
    monkeypatch.setattr("app.server.serve", served.append)
    monkeypatch.setenv("PARLANTE_SERVER__PORT", "7777")
    assert parlante("serve", "--env", "demo") == 0
    (load,) = served
    settings = load()
    assert (settings.environment, settings.server.port) == ("demo", 7777)


def test_as_a_process_it_ends_with_its_sentence_and_status_1() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "app.command_line", "serve", "--env", "prod"],
        env={"PATH": os.environ["PATH"], "PARLANTE_CONFIG_DIR": str(CONFIG)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("parlante: no API key is configured")
    assert ended.stderr.count("\n") == 1
