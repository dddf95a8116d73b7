"""Objects in a store, and parts of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec


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
