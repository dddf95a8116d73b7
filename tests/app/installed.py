"""Backends that are installed for one test, beside the real ones."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from app.plugins import GROUPS

_REAL = EntryPoints(point for group in GROUPS for point in importlib.metadata.entry_points(group=f"parlante.{group}"))
"""Looked up once: every look reads the metadata of every installed package."""


def install_backends(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str, str]) -> None:
    """Have the application find entry points as if a package had brought them.

    Args:
        monkeypatch: Takes them away after the test.
        points: Group (without ``parlante.``), name, and ``module:attribute`` of each.
    """
    brought = EntryPoints(EntryPoint(name, value, f"parlante.{group}") for group, name, value in points)

    def entry_points(**which: Any) -> EntryPoints:
        return EntryPoints([*_REAL.select(**which), *brought.select(**which)])

    monkeypatch.setattr("app.plugins.entry_points", entry_points)
