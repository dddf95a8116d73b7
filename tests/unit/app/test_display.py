from __future__ import annotations

import msgspec
import pytest

from app.settings import Settings
from app.settings.display import effective_settings
from tests.unit.app.conftest import Configuration

SECRET = "hunter2hunter2hunter2"


def shown(settings: Settings) -> dict[str, str]:
    return dict(effective_settings(settings))


def test_every_setting_is_shown_by_its_dotted_name(config: Configuration) -> None:
    lines = shown(config.load("qa", API_KEY="k"))
    assert lines["environment"] == "'qa'"
    assert lines["server.port"] == "8002"
    assert lines["transcribers.faster-whisper.model"] == "'base'"
    assert lines["storage.prefix"] == "'qa/'"
    assert lines["models_dir"] == "'models'"
    sections = {name.partition(".")[0] for name in lines}
    assert sections == {field.name for field in msgspec.structs.fields(Settings)}


def test_an_empty_table_is_shown_too(config: Configuration) -> None:
    assert shown(config.load())["keys"] == "{}"


@pytest.mark.parametrize(
    "variable",
    [
        "API_KEY",
        "APP_AWS_ACCESS_KEY_ID",
        "APP_AWS_SECRET_ACCESS_KEY",
        "PARLANTE_OBJECT_STORES__LOCAL__SECRET",
        "PARLANTE_OBJECT_STORES__S3__SECRET_ACCESS_KEY",
        "PARLANTE_SYNTHESIZERS__COQUI__API_KEY",
        "PARLANTE_SYNTHESIZERS__COQUI__HUB_TOKEN",
        "PARLANTE_SYNTHESIZERS__COQUI__PASSWORD",
        "PARLANTE_SYNTHESIZERS__COQUI__CREDENTIALS",
    ],
)
def test_a_secret_is_nowhere_in_what_is_shown(config: Configuration, variable: str) -> None:
    lines = effective_settings(config.load("demo", **{variable: SECRET}))
    assert SECRET not in repr(lines)
    assert len(lines) > 30


def test_a_secret_in_a_table_within_a_list_is_masked(config: Configuration) -> None:
    lines = effective_settings(
        config.load(PARLANTE_SYNTHESIZERS__COQUI__MIRRORS=f'[{{host = "a.example", password = "{SECRET}"}}]')
    )
    assert SECRET not in repr(lines)
    assert "a.example" in repr(lines)


def test_everything_in_a_secret_table_is_masked(config: Configuration) -> None:
    lines = effective_settings(
        config.load(PARLANTE_SYNTHESIZERS__COQUI__CREDENTIALS=f'{{user = "{SECRET}", more = ["{SECRET}"]}}')
    )
    assert SECRET not in repr(lines)


def test_a_password_in_a_url_is_masked(config: Configuration) -> None:
    lines = shown(config.load(S3_ENDPOINT_URL=f"http://minio:{SECRET}@store.example:9000/"))
    assert SECRET not in repr(lines)
    assert "store.example:9000" in lines["object_stores.s3.endpoint_url"]


def test_hashes_of_keys_are_masked_and_their_names_shown(config: Configuration) -> None:
    lines = shown(config.load(PARLANTE_KEYS__BOB="sha256:" + "ab" * 32))
    assert lines["keys.bob"] == "********"
    assert "abab" not in repr(lines)


def test_a_secret_that_is_not_set_is_shown_as_such(config: Configuration) -> None:
    assert shown(config.load(PARLANTE_OBJECT_STORES__LOCAL__SECRET=""))["object_stores.local.secret"] == "''"
