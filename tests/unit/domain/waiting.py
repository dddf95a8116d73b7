"""Giving other tasks their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def let_others_run(turns: int = 20) -> None:
    """Let every other task run until it waits for something."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object], seconds: float = 2.0) -> None:
    """Wait until ``condition`` holds; fail the test when it does not."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of any kind
            await asyncio.sleep(0.001)
