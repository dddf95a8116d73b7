from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.backends import chosen_backend
from app.plugins import GROUPS
from app.settings import ENVIRONMENTS, load_settings
from app.settings.schema import Settings
from domain.errors import BackendUnknown, ConfigurationInvalid, DependencyMissing
from tests.app.installed import install_backends
from tests.unit.app.conftest import CONFIG, Configuration

HASH = "sha256:" + "ab" * 32


def refusal(config: Configuration, environment: str = "demo", **variables: str) -> str:
    """The sentence with which a configuration is refused."""
    with pytest.raises(ConfigurationInvalid) as refused:
        config.load(environment, **variables)
    return refused.value.message


# The files of the repository.


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_file_loads(config: Configuration, environment: str) -> None:
    assert config.load(environment, require_access=False).environment == environment


@pytest.mark.parametrize(
    ("environment", "port", "model", "prefix"),
    [("dev", 8001, "base", "dev/"), ("qa", 8002, "base", "qa/"), ("prod", 8000, "medium", "prod/")],
)
def test_each_environment_has_its_port_model_and_prefix(
    config: Configuration, environment: str, port: int, model: str, prefix: str
) -> None:
    settings = config.load(environment, API_KEY="k")
    assert settings.server.port == port
    assert settings.transcribers["faster-whisper"]["model"] == model
    assert settings.storage.prefix == prefix


@pytest.mark.parametrize("environment", ["dev", "qa", "prod"])
def test_deployed_environments_run_the_production_engines_for_holders_of_keys(
    config: Configuration, environment: str
) -> None:
    settings = config.load(environment, API_KEY="k")
    backends = settings.backends
    assert (backends.transcriber, backends.synthesizer, backends.object_store) == ("faster-whisper", "coqui", "s3")
    assert settings.auth == "keys"


def test_the_demo_runs_the_embedded_engines_for_anybody_on_this_machine(config: Configuration) -> None:
    settings = config.load("demo")
    backends = settings.backends
    assert (backends.transcriber, backends.synthesizer, backends.object_store) == ("pocketsphinx", "espeak-ng", "local")
    assert (settings.auth, settings.server.host, settings.server.port) == ("none", "127.0.0.1", 8000)


def test_default_toml_has_every_setting() -> None:
    def names(of: Any, at: str = "") -> set[str]:
        if not isinstance(of, type) or not issubclass(of, msgspec.Struct):
            return {at}
        fields = msgspec.structs.fields(of)
        return {name for field in fields for name in names(field.type, f"{at}.{field.name}".lstrip("."))}

    def written(table: dict[str, Any], at: str = "") -> set[str]:
        return {
            name
            for key, value in table.items()
            for name in (
                written(value, f"{at}{key}.") if isinstance(value, dict) and f"{at}{key}" not in leaves else {at + key}
            )
        }

    leaves = names(Settings) - {"environment"}
    assert written(tomllib.loads((CONFIG / "default.toml").read_text("utf-8"))) == leaves


def test_no_file_of_the_repository_has_a_secret() -> None:
    for file in CONFIG.iterdir():
        tree = tomllib.loads(file.read_text("utf-8"))
        assert tree.get("keys", {}) == {}
        assert not {"access_key_id", "secret_access_key"} & set(tree.get("object_stores", {}).get("s3", {}))
        assert "secret" not in tree.get("object_stores", {}).get("local", {})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("group", GROUPS)
def test_every_chosen_backend_takes_the_options_of_its_environment(
    config: Configuration, environment: str, group: str
) -> None:
    chosen = chosen_backend(config.load(environment, require_access=False), group)
    assert isinstance(chosen.options, chosen.plugin.options)


def test_a_backend_is_told_where_models_lie_and_which_device_to_use(config: Configuration) -> None:
    settings = config.load(MODELS_DIR="/srv/models", DEVICE="cpu")
    host = chosen_backend(settings, "transcribers").host
    assert (host.models_dir, host.device) == (Path("/srv/models"), "cpu")


# Layers.


def test_the_environments_file_lies_over_the_default(config: Configuration) -> None:
    config.replace("default", "port = 8000", "port = 7000")
    assert config.load("demo").server.port == 7000
    config.add("demo", "server", "port = 7001")
    assert config.load("demo").server.port == 7001


def test_a_variable_lies_over_the_files(config: Configuration) -> None:
    config.add("demo", "server", "port = 7001")
    assert config.load(PARLANTE_SERVER__PORT="7002").server.port == 7002


def test_a_table_of_the_environment_keeps_the_defaults_other_settings(config: Configuration) -> None:
    config.add("demo", "speech", "waiting = 3")
    speech = config.load().speech
    assert (speech.waiting, speech.max_characters) == (3, 5000)


def test_the_full_name_of_a_setting_lies_over_its_short_one(config: Configuration) -> None:
    settings = config.load(S3_PREFIX="a/", PARLANTE_STORAGE__PREFIX="b/")
    assert settings.storage.prefix == "b/"


def test_without_a_name_the_environment_is_that_of_the_variable_and_else_prod(config: Configuration) -> None:
    variables = {"PARLANTE_CONFIG_DIR": str(config.directory), "API_KEY": "k"}
    assert load_settings(None, variables).environment == "prod"
    assert load_settings(None, variables | {"PARLANTE_ENV": "qa"}).environment == "qa"
    assert load_settings("dev", variables | {"PARLANTE_ENV": "qa"}).environment == "dev"


def test_without_variables_the_process_own_are_taken(config: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLANTE_CONFIG_DIR", str(config.directory))
    monkeypatch.setenv("PARLANTE_SERVER__PORT", "7003")
    assert load_settings("demo").server.port == 7003


def test_the_working_directorys_configuration_is_found(config: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    config.replace("default", "port = 8000", "port = 7004")
    monkeypatch.chdir(config.directory.parent)
    assert load_settings("demo", {}).server.port == 7004


def test_anywhere_else_the_repositorys_configuration_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings("demo", {}).server.port == 8000


# Variables.


@pytest.mark.parametrize(
    ("variable", "value", "path", "expected"),
    [
        ("MODEL_SIZE", "large-v3", "transcribers.faster-whisper.model", "large-v3"),
        ("DEVICE", "cuda", "device", "cuda"),
        ("MODELS_DIR", "/srv/models", "models_dir", "/srv/models"),
        ("APP_AWS_ACCESS_KEY_ID", "AKIA", "object_stores.s3.access_key_id", "AKIA"),
        ("APP_AWS_SECRET_ACCESS_KEY", "shh", "object_stores.s3.secret_access_key", "shh"),
        ("AWS_REGION", "eu-west-1", "object_stores.s3.region", "eu-west-1"),
        ("S3_BUCKET", "speech", "object_stores.s3.bucket", "speech"),
        ("S3_PREFIX", "team/", "storage.prefix", "team/"),
        ("S3_ENDPOINT_URL", "http://minio:9000", "object_stores.s3.endpoint_url", "http://minio:9000"),
        ("PARLANTE_SERVER__PORT", "9000", "server.port", 9000),
        ("PARLANTE_SERVER__HOST", "::1", "server.host", "::1"),
        ("PARLANTE_SERVER__PUBLIC_URL", "https://speech.example", "server.public_url", "https://speech.example"),
        ("PARLANTE_SPEECH__PATIENCE", "2.5", "speech.patience", 2.5),
        ("PARLANTE_TRANSCRIPTION__MAX_UPLOAD", "2048", "transcription.max_upload", 2048),
        ("PARLANTE_BACKENDS__OBJECT_STORE", "local", "backends.object_store", "local"),
        ("PARLANTE_STORAGE__PREFIX", "", "storage.prefix", ""),
        ("PARLANTE_TRANSCRIBERS__FASTER_WHISPER__BEAM_SIZE", "1", "transcribers.faster-whisper.beam_size", "1"),
        ("PARLANTE_SYNTHESIZERS__ESPEAK_NG__VOICES", '{es = "es"}', "synthesizers.espeak-ng.voices", {"es": "es"}),
    ],
)
def test_a_variable_sets_its_setting(
    config: Configuration, variable: str, value: str, path: str, expected: object
) -> None:
    found: Any = msgspec.to_builtins(config.load(**{variable: value}), enc_hook=str)
    for part in path.split("."):
        found = found[part]
    assert found == expected


@pytest.mark.parametrize(
    "variable", ["MODEL_SIZE", "DEVICE", "MODELS_DIR", "AWS_REGION", "S3_BUCKET", "S3_PREFIX", "API_KEY"]
)
def test_a_known_variable_that_is_empty_is_as_good_as_not_set(config: Configuration, variable: str) -> None:
    assert config.load(**{variable: ""}) == config.load()


def test_variables_of_other_programs_are_passed_over(config: Configuration) -> None:
    assert config.load(PATH="/bin", SERVER__PORT="1", PARLANTES__PORT="1") == config.load()


def test_the_options_of_a_backend_are_decoded_from_text(config: Configuration) -> None:
    settings = config.load(
        "prod",
        API_KEY="k",
        PARLANTE_TRANSCRIBERS__FASTER_WHISPER__BEAM_SIZE="3",
        PARLANTE_TRANSCRIBERS__FASTER_WHISPER__VAD="true",
    )
    options: Any = chosen_backend(settings, "transcribers").options
    assert (options.beam_size, options.vad) == (3, True)


def test_a_value_written_as_a_list_is_one(config: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    install_backends(monkeypatch, ("synthesizers", "choir-of-many", "tests.unit.app.choir:PLUGIN"))
    settings = config.load(
        PARLANTE_BACKENDS__SYNTHESIZER="choir-of-many",
        PARLANTE_SYNTHESIZERS__CHOIR_OF_MANY__SINGERS='["ana", "ben"]',
        PARLANTE_SYNTHESIZERS__CHOIR_OF_MANY__MOTTO="[not TOML",
    )
    options: Any = chosen_backend(settings, "synthesizers").options
    assert options.singers == ("ana", "ben")
    assert options.motto == "[not TOML"


# Keys.


def test_api_key_is_taken_as_a_hash_and_never_kept_in_clear(config: Configuration) -> None:
    settings = config.load("prod", API_KEY="open sesame")
    assert settings.keys == {"API_KEY": "sha256:" + hashlib.sha256(b"open sesame").hexdigest()}
    assert "open sesame" not in repr(settings)


def test_keys_of_the_files_and_of_variables_add_up(config: Configuration) -> None:
    config.add("prod", "keys", f'alice = "{HASH}"')
    settings = config.load("prod", API_KEY="k", PARLANTE_KEYS__BOB=HASH)
    assert set(settings.keys) == {"alice", "bob", "API_KEY"}


@pytest.mark.parametrize("environment", ["dev", "qa", "prod"])
def test_without_any_key_it_is_refused_with_what_to_do(config: Configuration, environment: str) -> None:
    assert "set API_KEY" in (sentence := refusal(config, environment))
    assert "parlante keys new" in sentence


def test_commands_that_serve_nobody_need_no_key(config: Configuration) -> None:
    assert config.load("prod", require_access=False).keys == {}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "speech.example", "::", ""])
def test_no_keys_are_for_the_loopback_address_only(config: Configuration, host: str) -> None:
    assert "loopback" in refusal(config, PARLANTE_SERVER__HOST=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_no_keys_are_needed_on_the_loopback_address(config: Configuration, host: str) -> None:
    assert config.load(PARLANTE_SERVER__HOST=host).auth == "none"


# What is refused: each sentence names the file or the variable, the setting, and what was expected.


@pytest.mark.parametrize(
    ("table", "line", "setting", "expected"),
    [
        ("", 'colour = "red"', "colour", "there is no such setting"),
        ("server", "prot = 1", "server.prot", "there is no such setting"),
        ("server", "port = 0", "server.port", ">= 1"),
        ("server", "port = 65536", "server.port", "<= 65535"),
        ("server", 'port = "many"', "server.port", "Expected `int`"),
        ("server", "port = [1]", "server.port", "Expected `int`"),
        ("speech", "patience = 0", "speech.patience", "> 0"),
        ("speech", "waiting = -1", "speech.waiting", ">= 0"),
        ("transcription", "max_upload = 10", "transcription.max_upload", ">= 1024"),
        ("storage", 'prefix = "no-slash"', "storage.prefix", "matching regex"),
        ("storage", 'prefix = "/abs/"', "storage.prefix", "matching regex"),
        ("storage", "url_expiry = 604801", "storage.url_expiry", "<= 604800"),
        ("transcribers.pocketsphinx", "beem = 1", "transcribers.pocketsphinx.beem", "there is no such setting"),
        ("keys", 'alice = "plain text"', "keys.alice", "matching regex"),
        ("keys", "alice = 7", "keys.alice", "Expected `str`"),
        ("transcribers.babel-fish", "", "transcribers.babel-fish", "no such backend; installed: "),
    ],
)
def test_a_bad_setting_in_a_file(config: Configuration, table: str, line: str, setting: str, expected: str) -> None:
    config.add("demo", table, line)
    sentence = refusal(config)
    assert sentence.startswith(f"config/demo.toml: {setting}: ")
    assert expected in sentence


@pytest.mark.parametrize(
    ("old", "new", "setting"),
    [
        ('level = "warning"', 'level = "loud"', "logs.level"),
        ('auth = "none"', 'auth = "maybe"', "auth"),
    ],
)
def test_a_bad_choice_in_a_file(config: Configuration, old: str, new: str, setting: str) -> None:
    config.replace("demo", old, new)
    assert refusal(config).startswith(f"config/demo.toml: {setting}: Invalid enum value")


def test_a_bad_value_in_the_default_file_names_that_file(config: Configuration) -> None:
    config.replace("default", "backlog = 1024", "backlog = 1")
    assert refusal(config).startswith("config/default.toml: server.backlog: Expected `int` >= 128")


def test_a_table_in_place_of_a_value_and_the_other_way_round(config: Configuration) -> None:
    config.add("demo", "", "speech = 3")
    assert refusal(config).startswith("config/demo.toml: speech: Expected `object`")


def test_a_table_of_keys_that_is_none(config: Configuration) -> None:
    config.add("demo", "", "keys = 3")
    assert refusal(config).startswith("config/demo.toml: keys: Expected `object`")


@pytest.mark.parametrize(
    ("variable", "value", "setting", "expected"),
    [
        ("PARLANTE_SERVER__PORT", "many", "server.port", "Expected `int`"),
        ("PARLANTE_SERVER__PORT", "", "server.port", "Expected `int`"),
        ("PARLANTE_SERVER__COLOUR", "red", "server.colour", "there is no such setting"),
        ("PARLANTE_SEVER__PORT", "1", "sever", "there is no such setting"),
        ("PARLANTE_SERVER__PORT__NUMBER", "1", "server.port.number", "there is no such setting"),
        ("PARLANTE_SPEECH__TIME_LIMIT", "-1", "speech.time_limit", "> 0"),
        ("PARLANTE_LOGS__FORMAT", "xml", "logs.format", "'xml'"),
        ("PARLANTE_KEYS__BOB", "not a hash", "keys.bob", "matching regex"),
        ("PARLANTE_TRANSCRIBERS__POCKETSPHINX__BEEM", "1", "transcribers.pocketsphinx.beem", "no such setting"),
        ("PARLANTE_TRANSCRIBERS__BABEL_FISH__EAR", "left", "transcribers.babel_fish", "no such backend; installed: "),
        ("DEVICE", "abacus", "device", "'abacus'"),
        ("S3_PREFIX", "../up", "storage.prefix", "matching regex"),
    ],
)
def test_a_bad_setting_in_a_variable(
    config: Configuration, variable: str, value: str, setting: str, expected: str
) -> None:
    sentence = refusal(config, **{variable: value})
    assert sentence.startswith(f"{variable}: {setting}: ")
    assert expected in sentence


def test_a_key_that_was_given_in_clear_is_not_repeated(config: Configuration) -> None:
    assert "open sesame" not in refusal(config, PARLANTE_KEYS__BOB="open sesame")


def test_a_bad_option_of_a_backend_names_the_backend(config: Configuration) -> None:
    sentence = refusal(config, "prod", API_KEY="k", PARLANTE_TRANSCRIBERS__FASTER_WHISPER__BEAM_SIZE="wide")
    assert sentence.startswith(
        "PARLANTE_TRANSCRIBERS__FASTER_WHISPER__BEAM_SIZE: transcribers.faster-whisper.beam_size: Expected `int`"
    )


def test_an_unknown_backend_is_refused_with_those_that_are_installed(config: Configuration) -> None:
    with pytest.raises(BackendUnknown, match=r"'babel-fish'.*faster-whisper, pocketsphinx"):
        config.load(PARLANTE_BACKENDS__TRANSCRIBER="babel-fish")


def test_a_backend_whose_library_is_missing_is_refused_with_its_name(
    config: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_backends(monkeypatch, ("transcribers", "broken", "no_such_library.adapter:PLUGIN"))
    with pytest.raises(DependencyMissing, match=r"'broken'.*no_such_library"):
        config.load(PARLANTE_BACKENDS__TRANSCRIBER="broken")


def test_a_backend_that_is_not_chosen_is_not_imported(config: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    install_backends(monkeypatch, ("transcribers", "broken", "no_such_library.adapter:PLUGIN"))
    config.add("demo", "transcribers.broken", "anything = 1")
    assert config.load().backends.transcriber == "pocketsphinx"


def test_an_unknown_environment_is_refused_with_the_known_ones(config: Configuration) -> None:
    assert refusal(config, "staging") == "unknown environment 'staging'; there are demo, dev, qa, prod"


def test_an_unknown_environment_of_the_variable_too(config: Configuration) -> None:
    with pytest.raises(ConfigurationInvalid, match="'staging'"):
        load_settings(None, {"PARLANTE_CONFIG_DIR": str(config.directory), "PARLANTE_ENV": "staging"})


@pytest.mark.parametrize("name", ["default", "demo"])
def test_a_missing_file_is_refused_with_what_to_do(config: Configuration, name: str) -> None:
    (config.directory / f"{name}.toml").unlink()
    assert refusal(config).startswith(f"config/{name}.toml is not there; ")
    assert "PARLANTE_CONFIG_DIR" in refusal(config)


@pytest.mark.parametrize(
    "content", [b"port = = 1", b"[server\n", b"name = '\xff'"], ids=["value", "table", "not UTF-8"]
)
def test_a_file_that_is_not_toml_is_named(config: Configuration, content: bytes) -> None:
    (config.directory / "demo.toml").write_bytes(content)
    assert refusal(config).startswith("config/demo.toml: not TOML: ")
