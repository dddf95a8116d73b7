"""A bound on the time that work may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from domain.errors import DeadlineExceeded


@asynccontextmanager
async def deadline(seconds: float) -> AsyncGenerator[None, None]:
    """Cancel the body after ``seconds`` and raise ``DeadlineExceeded``; a ``TimeoutError`` of the body's own passes."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as err:
        if not limit.expired():
            raise
        raise DeadlineExceeded(f"the work took longer than {seconds:g} s and was stopped") from err
