"""The file of API keys: TOML lines ``name = "sha256:…"``, as ``parlante keys new`` prints them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from app.settings.schema import KeyHash
from domain.errors import ConfigurationInvalid


def read_keys_file(file: Path) -> dict[str, str]:
    """The hash of each key by its name.

    Raises:
        ConfigurationInvalid: the file cannot be read, or a line is none of a key; no value is repeated.
    """
    try:
        lines = tomllib.loads(file.read_text("utf-8"))
    except OSError as err:
        raise ConfigurationInvalid(f"keys_file: {file} cannot be read: {(err.strerror or str(err)).lower()}") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigurationInvalid(f'keys_file: {file} is not TOML; a key is a line: name = "sha256:…"') from err
    keys = {}
    for name, hashed in lines.items():
        try:
            keys[name] = msgspec.convert(hashed, KeyHash)
        except msgspec.ValidationError as err:
            raise ConfigurationInvalid(f"keys_file: {file}: the hash of {name!r} is none: {err}") from err
    return keys
