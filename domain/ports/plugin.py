"""How a backend presents itself: an options struct plus an async context manager that opens the adapter.

A package registers a ``Plugin`` under one of the entry-point groups (``parlante.transcribers``,
``parlante.synthesizers``, ``parlante.object_stores``, ``parlante.audio_codecs``); the entry point's name is the name
that the configuration chooses it by.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

PortT = TypeVar("PortT", covariant=True)


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a plugin that has none."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the service gives every backend: settings that are not one backend's own."""

    models_dir: Path
    """Directory of models and of their download cache."""
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda``."""


class Plugin(msgspec.Struct, Generic[PortT], frozen=True, kw_only=True):
    """A backend of a port."""

    options: type[msgspec.Struct]
    """Its settings: a frozen struct with ``forbid_unknown_fields``, defaults for all, a docstring under each field."""
    open: Callable[[Any, Host], AbstractAsyncContextManager[PortT]]
    """Opens the adapter with its options; models are loaded when it has been entered.

    Raises ``StartError`` (``ModelMissing``, ``DependencyMissing``, ``ConfigurationInvalid``) with one sentence that
    says what to do.
    """
    pull: Callable[[str, Any, Host], None] | None = None
    """Downloads a model by name into ``Host.models_dir`` with a progress bar on the terminal; blocking.

    Raises ``ModelMissing``. ``None`` for a backend that has nothing to download.
    """
