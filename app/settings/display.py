"""Settings as a person reads them, secrets masked."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from app.settings.schema import Settings

_MASK = "********"
_SECRET_WORDS = ("secret", "password", "passphrase", "token", "credential", "api_key", "access_key", "private_key")
_URL_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def effective_settings(settings: Settings) -> list[tuple[str, str]]:
    """Every setting as ``(dotted name, value)``, in order, secrets and key hashes masked."""
    lines: list[tuple[str, str]] = []
    _flatten(msgspec.to_builtins(settings, enc_hook=str), "", lines)
    return lines


def _flatten(value: Any, name: str, lines: list[tuple[str, str]]) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _flatten(inner, f"{name}.{key}" if name else key, lines)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            _flatten(inner, f"{name}[{number}]", lines)
    else:
        lines.append((name, _MASK if value and _is_secret(name) else _URL_PASSWORD.sub(_MASK, repr(value))))


def _is_secret(name: str) -> bool:
    return name.startswith("keys.") or any(word in name.lower() for word in _SECRET_WORDS)
