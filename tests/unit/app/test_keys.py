from __future__ import annotations

import hashlib
import re

import msgspec
import pytest

from app.keys import hash_key, name_of_key, new_key
from app.settings.schema import KeyHash

KEYS = {"alice": hash_key("alices key"), "bob": hash_key("bobs key")}


def test_a_new_key_is_long_random_and_recognizable() -> None:
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"parlante_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_a_hash_is_sha_256_in_the_form_that_settings_take() -> None:
    assert hash_key("k") == "sha256:" + hashlib.sha256(b"k").hexdigest()
    assert msgspec.convert(hash_key(new_key()), KeyHash)


def test_a_key_is_recognized_by_its_hash() -> None:
    assert name_of_key("alices key", KEYS) == "alice"
    assert name_of_key("bobs key", KEYS) == "bob"


@pytest.mark.parametrize("key", ["", "Alices key", "alices key ", "alices", KEYS["alice"], "clé"])
def test_anything_else_is_not_recognized(key: str) -> None:
    assert name_of_key(key, KEYS) is None


def test_every_hash_is_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return given == known

    monkeypatch.setattr("app.keys.hmac.compare_digest", compare)
    assert name_of_key("alices key", KEYS) == "alice"
    assert compared == [known.encode() for known in KEYS.values()]
