"""Objects in a store, and parts of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from domain.errors import KeyInvalid

_LONGEST_KEY = 512
_PART = "[A-Za-z0-9._=-]+"
_KEY = re.compile(f"{_PART}(/{_PART})*")
_PREFIX = re.compile("[A-Za-z0-9/._=-]*")


class StoredObject(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows of an object without reading it."""

    key: str
    """The key that it was put under."""
    size: int
    """Size in bytes."""
    content_type: str
    """Media type, as it was put."""
    modified: datetime
    """When it was put, in UTC."""
    metadata: Mapping[str, str] = {}
    """What the caller stored beside it: lower-case ASCII names, ASCII values, at most 2 KiB in all."""


class ByteRange(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes ``start`` to ``end`` of an object, both included, as in HTTP's ``Range``."""

    start: int
    """First byte, at least 0."""
    end: int | None = None
    """Last byte, at least ``start``; ``None`` or past the end means to the end of the object."""


class SignedUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A link to an object that works without a key until it expires."""

    url: str
    """Absolute, or a path of this service starting with ``/`` where the service itself serves the object."""
    expires_at: datetime
    """When it stops working, in UTC."""


def validate_key(key: str) -> None:
    """Check a key by the rules of ``ObjectStore``; every store does so first in every method.

    Raises:
        KeyInvalid: it breaks one of them.
    """
    if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key) or not {".", ".."}.isdisjoint(key.split("/")):
        raise KeyInvalid(
            f"an object key has 1 to {_LONGEST_KEY} characters of letters, digits and / . _ - =, "
            "and no empty, . or .. part between its slashes"
        )


def validate_prefix(prefix: str) -> None:
    """Check what keys are asked to start with.

    Raises:
        KeyInvalid: it holds a character that no key has, or is longer than any key.
    """
    if len(prefix) > _LONGEST_KEY or not _PREFIX.fullmatch(prefix):
        raise KeyInvalid(
            f"the start of an object key has at most {_LONGEST_KEY} characters of letters, digits and / . _ - ="
        )
