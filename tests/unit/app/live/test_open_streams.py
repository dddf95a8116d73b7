"""Open streams and the end of the service."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.live.open_streams import OpenStreams
from domain.errors import ServiceStopping


async def test_without_streams_there_is_nothing_to_wait_for() -> None:
    began = time.monotonic()
    await OpenStreams().finish(5)
    assert time.monotonic() - began < 0.5


async def test_the_end_waits_for_the_last_stream() -> None:
    streams = OpenStreams()
    with streams.one():
        with streams.one():
            finishing = asyncio.create_task(streams.finish(5))
            await asyncio.sleep(0.01)
            assert streams.stopping.is_set()
        await asyncio.sleep(0.01)
        assert not finishing.done()
    await asyncio.wait_for(finishing, 1)
    assert not streams.overdue.is_set()


async def test_a_service_that_stops_takes_no_more() -> None:
    streams = OpenStreams()
    await streams.finish(1)
    with pytest.raises(ServiceStopping), streams.one():
        pass


async def test_what_is_not_finished_in_time_is_told_so() -> None:
    streams = OpenStreams()
    with streams.one():
        await streams.finish(0.05, last_words=0.05)
        assert streams.overdue.is_set()
