"""Optional port: a backend that can say whether it still works."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class SelfChecking(Protocol):
    """A backend whose parts can fail after it was opened: a process of its own, a server elsewhere."""

    async def check(self) -> None:
        """Return when the backend can work now; raise ``Unavailable`` when it cannot."""
        ...
