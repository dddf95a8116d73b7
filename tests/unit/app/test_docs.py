"""What the documents promise is what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from app.errors import _CODES, refusal
from app.live import messages
from app.live.connection import close_code
from app.plugins import GROUPS, load_plugin
from app.settings.schema import Live, Section, Settings
from app.settings.sources import _KNOWN_VARIABLES
from domain import errors

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
DEFAULTS = tomllib.loads((REPOSITORY / "config" / "default.toml").read_text("utf-8"))
CONFIGURATION = (DOCS / "configuration.md").read_text("utf-8")
LIVE = (DOCS / "live.md").read_text("utf-8")


def kinds(root: type[errors.ParlanteError]) -> Iterator[type[errors.ParlanteError]]:
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


ALL_ERRORS = [kind for kind in kinds(errors.ParlanteError) if kind.__module__ == errors.__name__]
IN_ANSWERS = [kind for kind in ALL_ERRORS if not issubclass(kind, errors.StartError)]


def rows(document: str) -> dict[str, list[str]]:
    """Rows of the tables of a document, by the code in their first column."""
    found = re.findall(r"^\| `([^`]+)` \|(.*)\|$", document, re.MULTILINE)
    return {code: [cell.strip() for cell in rest.split("|")] for code, rest in found}


ERROR_ROWS = rows((DOCS / "errors.md").read_text("utf-8"))


def test_every_error_is_listed_and_no_other() -> None:
    assert set(ERROR_ROWS) == {kind.code for kind in ALL_ERRORS} | set(_CODES.values())


@pytest.mark.parametrize("kind", IN_ANSWERS, ids=lambda kind: kind.code)
def test_an_error_is_listed_as_it_is_answered(kind: type[errors.ParlanteError]) -> None:
    err = kind.__new__(kind)
    errors.ParlanteError.__init__(err, "")
    err.retry_after, err.size = 1.0, 1  # type: ignore[attr-defined]
    status = refusal(err).problem.status
    listed = ERROR_ROWS[kind.code][:3]
    assert listed == [str(status), str(close_code(kind)), "yes" if kind.retryable else "no"]


def test_the_schema_of_the_live_messages_is_true() -> None:
    written = json.loads((DOCS / "live.schema.json").read_text("utf-8"))
    assert written == messages.json_schema(), "run ./just schema"


def test_every_live_message_option_and_limit_is_described() -> None:
    tags = {msgspec.inspect.type_info(kind).tag for kind in get_args(messages.AnyServerEvent)}  # type: ignore[union-attr]
    actions = {msgspec.inspect.type_info(kind).tag for kind in get_args(messages.ClientAction)}  # type: ignore[union-attr]
    options = set(messages.StreamQuery.__struct_fields__)
    described = set(re.findall(r"`(?:live\.)?([a-z_]+)`", LIVE))
    assert tags | options <= described
    assert all(f'"action": "{action}"' in LIVE for action in actions)
    assert set(Live.__struct_fields__) <= described


def test_every_close_code_is_described() -> None:
    codes = {close_code(kind) for kind in IN_ANSWERS}
    assert all(re.search(rf"^\| {code} \|", LIVE, re.MULTILINE) for code in codes | {1000})


def settings_of(section: type[Section], at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Names of all settings of the schema but those of backends and of keys, which anybody may add."""
    found = set()
    for field in msgspec.structs.fields(section):
        if isinstance(field.type, type) and issubclass(field.type, Section):
            found |= settings_of(field.type, (*at, field.name))
        elif field.name not in {*GROUPS, "keys", "environment"}:
            found.add((*at, field.name))
    return found


def flat(tree: dict[str, Any], at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = set()
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, (*at, name))
        else:
            found.add((*at, name))
    return found


def test_the_default_file_has_every_setting_and_no_other() -> None:
    own = {name: value for name, value in DEFAULTS.items() if name not in {*GROUPS, "keys"}}
    assert flat(own) == settings_of(Settings)


@pytest.mark.parametrize("group", GROUPS)
def test_the_default_file_tells_backends_what_they_know(group: str) -> None:
    for name, table in DEFAULTS[group].items():
        if name == "coqui":
            pytest.importorskip("TTS") if table else None
            continue
        assert set(table) <= set(load_plugin(group, name).options.__struct_fields__)


def test_the_configuration_document_names_every_table_and_variable() -> None:
    for name, path in _KNOWN_VARIABLES.items():
        assert f"| `{name}` | `{'.'.join(path)}` |" in CONFIGURATION
    for group, port in GROUPS.items():
        assert f"`backends.{port}`" in CONFIGURATION
        assert f"`[{group}.NAME]`" in CONFIGURATION
        assert all(f"`{name}`" in CONFIGURATION for name in DEFAULTS[group])


def test_the_examples_of_the_configuration_document_are_settings() -> None:
    for block in re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL):
        for path in flat(tomllib.loads(block)):
            assert path in settings_of(Settings) or path[0] in GROUPS
    for section, name in re.findall(r"PARLANTE_([A-Z]+)__([A-Z_]+)=", CONFIGURATION):
        path = (section.lower(), name.lower())
        assert path in settings_of(Settings) | {("keys", "reader")} or path[0] in {"synthesizers", "transcribers"}
