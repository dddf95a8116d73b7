from __future__ import annotations

import sys

import pytest

from app.plugins import GROUPS, installed, load_plugin
from domain.errors import BackendUnknown, DependencyMissing
from domain.ports.plugin import Plugin
from tests.app.installed import install_backends


@pytest.fixture(autouse=True)
def _choir(monkeypatch: pytest.MonkeyPatch) -> None:
    install_backends(
        monkeypatch,
        ("synthesizers", "choir", "tests.unit.app.choir:PLUGIN"),
        ("synthesizers", "crowd", "tests.unit.app.choir:NOT_A_PLUGIN"),
        ("synthesizers", "broken", "no_such_library:PLUGIN"),
    )


def test_the_built_in_backends_are_installed_like_anybody_elses() -> None:
    assert {"faster-whisper", "pocketsphinx"} <= set(installed("transcribers"))
    assert {"coqui", "espeak-ng", "choir"} <= set(installed("synthesizers"))
    assert {"s3", "local"} <= set(installed("object_stores"))
    assert installed("audio_codecs") == ["pyav"]


def test_names_are_in_order() -> None:
    assert installed("synthesizers") == sorted(installed("synthesizers"))


def test_a_backend_is_found_by_its_name() -> None:
    assert isinstance(load_plugin("synthesizers", "choir"), Plugin)


def test_a_name_belongs_to_its_group_only() -> None:
    with pytest.raises(BackendUnknown):
        load_plugin("transcribers", "choir")


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_name_is_refused_with_the_known_ones(group: str) -> None:
    with pytest.raises(BackendUnknown) as refused:
        load_plugin(group, "babel-fish")
    assert refused.value.message == f"no backend 'babel-fish' in {group}; installed: {', '.join(installed(group))}"


def test_a_missing_library_is_named() -> None:
    with pytest.raises(DependencyMissing, match=r"'broken'.*no_such_library"):
        load_plugin("synthesizers", "broken")


def test_an_entry_point_that_is_no_plugin_is_refused() -> None:
    with pytest.raises(BackendUnknown, match=r"'crowd' of parlante\.synthesizers is not a Plugin"):
        load_plugin("synthesizers", "crowd")


def test_looking_names_up_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tests.unit.app.choir", raising=False)
    assert "choir" in installed("synthesizers")
    assert "tests.unit.app.choir" not in sys.modules
