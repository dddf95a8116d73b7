"""Keys of a file that changes while the service runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.key_ring import KeyRing
from app.keys import hash_key
from domain.errors import ConfigurationInvalid

CONFIGURED = {"alice": hash_key("alices")}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def write(file: Path, **keys: str) -> None:
    """Put a new file in the old one's place, as a mounted secret is."""
    draft = file.with_suffix(".new")
    draft.write_text("".join(f'{name} = "{hash_key(key)}"\n' for name, key in keys.items()))
    draft.replace(file)


def spoil(file: Path, text: str | None) -> None:
    file.unlink()
    if text is not None:
        file.write_bytes(text.encode("latin-1"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "keys.toml", bob="bobs")
    return tmp_path / "keys.toml"


async def test_keys_of_the_configuration_and_of_the_file_are_known(file: Path) -> None:
    ring = KeyRing(CONFIGURED, file)
    assert [await ring.name_of(key) for key in ("alices", "bobs", "carols")] == ["alice", "bob", None]


async def test_a_changed_file_holds_a_second_later_and_not_looked_at_more_often(file: Path) -> None:
    clock = Clock()
    ring = KeyRing(CONFIGURED, file, clock)
    write(file, carol="carols")
    clock.now = 0.9
    assert await ring.name_of("bobs") == "bob"
    clock.now = 1.0
    assert [await ring.name_of(key) for key in ("alices", "bobs", "carols")] == ["alice", None, "carol"]


@pytest.mark.parametrize("text", ['bob = "bobs"', "not = = TOML", 'bob = "sha256:\xff"', None])
async def test_a_file_that_says_nothing_sensible_leaves_the_keys_as_they_were(file: Path, text: str | None) -> None:
    clock = Clock()
    ring = KeyRing(CONFIGURED, file, clock)
    spoil(file, text)
    with capture_logs() as logs:
        for clock.now in (1.0, 2.0):
            assert await ring.name_of("bobs") == "bob"
    assert [line["event"] for line in logs] == ["keys_file_invalid"]
    assert '"bobs"' not in logs[0]["reason"], "what stands in the file may be a key"
    write(file, carol="carols")
    clock.now = 3.0
    assert await ring.name_of("carols") == "carol"


def test_at_the_start_such_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be read"):
        KeyRing(CONFIGURED, tmp_path / "none.toml")
