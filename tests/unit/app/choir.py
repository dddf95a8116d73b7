"""A backend with options of several kinds."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import msgspec

from domain.ports.plugin import Host, Plugin


class ChoirOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    singers: tuple[str, ...] = ()
    motto: str = ""


PULLED: list[tuple[str, ChoirOptions, Host]] = []
"""What was downloaded."""


def _pull(name: str, options: ChoirOptions, host: Host) -> None:
    PULLED.append((name, options, host))


PLUGIN: Plugin[Any] = Plugin(options=ChoirOptions, open=lambda options, host: nullcontext(options), pull=_pull)
NOT_A_PLUGIN = object()
