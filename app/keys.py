"""API keys: made, hashed, recognized."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping


def new_key() -> str:
    """A fresh key of 256 random bits."""
    return "parlante_" + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """The form in which a key is configured. Keys are random and long, so a plain hash cannot be searched."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def name_of_key(key: str, hashes: Mapping[str, str]) -> str | None:
    """The name of a key among ``hashes`` (name to hash), in a time that does not depend on which one matches."""
    given = hash_key(key).encode()
    found = None
    for name, known in hashes.items():
        if hmac.compare_digest(given, known.encode()):
            found = name
    return found
