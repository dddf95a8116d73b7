"""Plain values to structs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def decode(value: Any, to: type[T]) -> T:
    """Turn a tree of plain values, numbers also as text, into ``to``; raises ``msgspec.ValidationError``."""
    return msgspec.convert(value, to, strict=False, dec_hook=_path)


def _path(expected: type[Any], value: Any) -> Any:
    if expected is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"no setting can be of type {expected}")
