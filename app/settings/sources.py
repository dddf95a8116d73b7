"""Where settings come from: ``config/default.toml``, the environment's file over it, environment variables on top."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from app.keys import hash_key
from app.plugins import GROUPS, installed, load_plugin
from app.settings.decode import decode
from app.settings.keys_file import read_keys_file
from app.settings.schema import KeyHash, Settings
from domain.errors import ConfigurationInvalid

ENVIRONMENTS = ("demo", "dev", "qa", "prod")

_PREFIX = "PARLANTE_"
_OWN_VARIABLES = {"PARLANTE_ENV", "PARLANTE_CONFIG_DIR"}
_KNOWN_VARIABLES = {
    "MODEL_SIZE": ("transcribers", "faster-whisper", "model"),
    "DEVICE": ("device",),
    "MODELS_DIR": ("models_dir",),
    "KEYS_FILE": ("keys_file",),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("traces", "endpoint"),
    "APP_AWS_ACCESS_KEY_ID": ("object_stores", "s3", "access_key_id"),
    "APP_AWS_SECRET_ACCESS_KEY": ("object_stores", "s3", "secret_access_key"),
    "AWS_REGION": ("object_stores", "s3", "region"),
    "S3_BUCKET": ("object_stores", "s3", "bucket"),
    "S3_PREFIX": ("storage", "prefix"),
    "S3_ENDPOINT_URL": ("object_stores", "s3", "endpoint_url"),
}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}

Path_ = tuple[str, ...]


class Origins(dict[Path_, str]):
    """Where each setting got its value, by its path."""

    def of(self, path: Path_) -> str:
        """The origin of the setting at ``path``, else of something in it, else of the nearest table that holds it."""
        if path not in self:
            for inner, origin in self.items():
                if inner[: len(path)] == path:
                    return origin
        for length in range(len(path), 0, -1):
            if path[:length] in self:
                return self[path[:length]]
        return "config/default.toml"


def config_directory(variables: Mapping[str, str]) -> Path:
    """``PARLANTE_CONFIG_DIR``, else ``config`` in the working directory, else the one beside the packages."""
    if given := variables.get("PARLANTE_CONFIG_DIR"):
        return Path(given)
    here = Path("config")
    return here if (here / "default.toml").is_file() else Path(__file__).resolve().parents[2] / "config"


def load_settings(
    environment: str | None = None, variables: Mapping[str, str] | None = None, *, require_access: bool = True
) -> Settings:
    """Load the settings of an environment.

    Args:
        environment: One of ``ENVIRONMENTS``; ``None`` takes ``PARLANTE_ENV``, else ``prod``.
        variables: Environment variables; ``None`` takes the process's own.
        require_access: Whether it must be settled who may call; False for commands that serve nobody.

    Raises:
        ConfigurationInvalid: an unknown setting, a bad value, or no key; names the file or variable and the setting.
    """
    variables = os.environ if variables is None else variables
    environment = environment or variables.get("PARLANTE_ENV") or "prod"
    if environment not in ENVIRONMENTS:
        raise ConfigurationInvalid(f"unknown environment {environment!r}; there are {', '.join(ENVIRONMENTS)}")
    directory = config_directory(variables)
    tree: dict[str, Any] = {}
    origins = Origins()
    for name in ("default", environment):
        _lay_over(tree, _read_toml(directory / f"{name}.toml"), f"config/{name}.toml", origins)
    tree["environment"] = environment
    _apply_variables(tree, variables, origins)
    if isinstance(tree.get("keys"), dict):  # one by one: a mistake in a table of any names is said without the name
        for name, hashed in tree["keys"].items():
            _convert(hashed, KeyHash, ("keys", name), origins)
    settings: Settings = _convert(tree, Settings, (), origins)
    if require_access:
        _check_access(settings)
    _check_backends(settings, origins)
    return settings


def _convert(value: Any, to: type[Any], at: Path_, origins: Origins) -> Any:
    """Turn a tree of plain values into a struct; an error names the origin, the setting and what was expected."""
    try:
        return decode(value, to)
    except msgspec.ValidationError as err:
        message, _, where = str(err).partition(" - at `$")
        path = at + tuple(part for part in re.split(r"[.\[\]`']+", where) if part)
        if unknown := re.search(r"unknown field `(.+)`", message):
            path += (unknown.group(1),)
            message = "there is no such setting"
        raise ConfigurationInvalid(f"{origins.of(path)}: {'.'.join(path) or 'settings'}: {message}") from err


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as err:
        raise ConfigurationInvalid(
            f"config/{file.name} is not there; run in the repository, or set PARLANTE_CONFIG_DIR"
        ) from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigurationInvalid(f"config/{file.name}: not TOML: {err}") from err


def _lay_over(tree: dict[str, Any], over: dict[str, Any], origin: str, origins: Origins, at: Path_ = ()) -> None:
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            _lay_over(tree[name], value, origin, origins, (*at, name))
        else:
            tree[name] = value
            origins[(*at, name)] = origin


def _apply_variables(tree: dict[str, Any], variables: Mapping[str, str], origins: Origins) -> None:
    for name, path in _KNOWN_VARIABLES.items():
        if variables.get(name):
            _set(tree, path, variables[name], name, origins)
    if variables.get("API_KEY"):
        _set(tree, ("keys", "API_KEY"), hash_key(variables["API_KEY"]), "API_KEY", origins)
    for name, value in variables.items():
        if name.startswith(_PREFIX) and name not in _OWN_VARIABLES and "__" in name:
            path = _path_of(tree, name.removeprefix(_PREFIX).split("__"))
            _set(tree, path, _listed(value), name, origins)


def _path_of(tree: Any, parts: list[str]) -> Path_:
    """The setting that a variable means: ``FASTER_WHISPER`` finds the table ``faster-whisper``."""
    path: list[str] = []
    for part in parts:
        known = list(tree) if isinstance(tree, dict) else []
        if len(path) == 1 and path[0] in GROUPS:
            known += installed(path[0])
        names = {name.upper().replace("-", "_"): name for name in known}
        path.append(names.get(part.upper(), part.lower()))
        tree = tree.get(path[-1]) if isinstance(tree, dict) else None
    return tuple(path)


def _listed(value: str) -> Any:
    """A value that is written as a TOML array or inline table is one; anything else is text."""
    if value.startswith(("[", "{")):
        try:
            return tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            return value
    return value


def _set(tree: dict[str, Any], path: Path_, value: Any, origin: str, origins: Origins) -> None:
    for name in path[:-1]:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigurationInvalid(f"{origin}: {'.'.join(path)}: there is no such setting")
        tree = inner
    tree[path[-1]] = value
    origins[path] = origin


def _check_backends(settings: Settings, origins: Origins) -> None:
    """Each chosen backend is installed and takes its options; every table of options belongs to an installed one."""
    for group, port in GROUPS.items():
        tables: dict[str, dict[str, Any]] = getattr(settings, group)
        known = installed(group)
        for name in tables:
            if name not in known:
                origin = f"{origins.of((group, name))}: {group}.{name}"
                raise ConfigurationInvalid(f"{origin}: no such backend; installed: {', '.join(known)}")
        chosen = getattr(settings.backends, port)
        _convert(tables.get(chosen, {}), load_plugin(group, chosen).options, (group, chosen), origins)


def _check_access(settings: Settings) -> None:
    filed = read_keys_file(Path(settings.keys_file)) if settings.keys_file else {}
    if settings.auth == "keys" and not (settings.keys or filed):
        raise ConfigurationInvalid(
            "no API key is configured: set API_KEY, or put the line that `parlante keys new NAME` prints under [keys]"
        )
    if settings.auth == "none" and settings.server.host not in _LOOPBACK:
        raise ConfigurationInvalid(f'auth = "none" is only for a loopback address, not for {settings.server.host}')
