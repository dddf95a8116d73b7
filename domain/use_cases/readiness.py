"""Use case: can the service do its work now, and if not, which part stands in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from domain.errors import Unavailable
from domain.ports.self_checking import SelfChecking


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the service and whether it works."""

    ready: bool
    """Whether it can work now."""
    detail: str
    """``ok``, or why not."""


class Readiness:
    """Asks every part that can say so whether it works."""

    def __init__(self, parts: Mapping[str, object], *, patience: float) -> None:
        """Args are the opened backends by the name of their part, and the seconds that each has to answer."""
        self._parts = parts
        self._patience = patience

    async def __call__(self) -> dict[str, Part]:
        """The state of every part, all asked at the same time."""
        states = await asyncio.gather(*(self._ask(part) for part in self._parts.values()))
        return dict(zip(self._parts, states, strict=True))

    async def _ask(self, part: object) -> Part:
        if isinstance(part, SelfChecking):
            try:
                async with asyncio.timeout(self._patience):
                    await part.check()
            except Unavailable as err:
                return Part(ready=False, detail=err.message)
            except TimeoutError:
                return Part(ready=False, detail=f"no answer within {self._patience:g} s")
            except Exception as err:  # a bug of a backend is the state of that part, not the end of the answer
                return Part(ready=False, detail=f"its check failed with {type(err).__name__}")
        return Part(ready=True, detail="ok")
