"""The backend that the settings choose for a port, with its options."""

from __future__ import annotations

from typing import Any

import msgspec

from app.plugins import GROUPS, load_plugin
from app.settings import Settings
from app.settings.decode import decode
from domain.ports.plugin import Host, Plugin


class ChosenBackend(msgspec.Struct, frozen=True, kw_only=True):
    """A backend, ready to be opened."""

    name: str
    """Its name in the configuration."""
    plugin: Plugin[Any]
    options: msgspec.Struct
    host: Host


def chosen_backend(settings: Settings, group: str) -> ChosenBackend:
    """The backend that ``settings`` choose in a group, one of ``GROUPS``. Settings were checked when they were loaded.

    Raises:
        StartError: see ``load_plugin``.
    """
    name = getattr(settings.backends, GROUPS[group])
    plugin = load_plugin(group, name)
    return ChosenBackend(
        name=name,
        plugin=plugin,
        options=decode(getattr(settings, group).get(name, {}), plugin.options),
        host=Host(models_dir=settings.models_dir, device=settings.device),
    )
