"""Finds backends by name among the installed entry points; only the one that is asked for is imported."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from domain.errors import BackendUnknown, DependencyMissing
from domain.ports.plugin import Plugin

GROUPS = {
    "transcribers": "transcriber",
    "synthesizers": "synthesizer",
    "object_stores": "object_store",
    "audio_codecs": "audio_codec",
    "voice_activity_detectors": "voice_activity_detector",
}
"""Entry-point groups (after ``parlante.``), which are also tables of the configuration, and the port of each."""


def installed(group: str) -> list[str]:
    """Names of the installed backends of a group, one of ``GROUPS``."""
    return sorted({point.name for point in entry_points(group=f"parlante.{group}")})


def load_plugin(group: str, name: str) -> Plugin[Any]:
    """Import one backend.

    Raises:
        BackendUnknown: none of that name is installed; the message lists those that are.
        DependencyMissing: its module needs a library that is not installed.
    """
    for point in entry_points(group=f"parlante.{group}", name=name):
        try:
            plugin = point.load()
        except ImportError as err:
            raise DependencyMissing(f"the backend {name!r} needs a library that is not installed: {err}") from err
        if not isinstance(plugin, Plugin):
            raise BackendUnknown(f"the entry point {name!r} of parlante.{group} is not a Plugin")
        return plugin
    raise BackendUnknown(f"no backend {name!r} in {group}; installed: {', '.join(installed(group))}")
