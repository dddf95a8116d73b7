"""How a stream ends before its time: the engine fails, the sound breaks off, nobody listens any more."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from domain.errors import AudioInvalid, EngineFailed
from tests.unit.domain.live.doubles import ReadingTranscriber, pieces, session, silence, speech, told

TWO = (silence(0.5), speech("one two three four"), silence(1.0), speech("five six"), silence(1.0))


@pytest.mark.parametrize("before", [0, 1, 2])
async def test_an_engine_that_fails_ends_the_stream_with_its_error(before: int) -> None:
    class Fails(ReadingTranscriber):
        def transcribe(self, audio, options):
            if len(self.calls) == before:
                self.errors.append(EngineFailed("it broke"))
            return super().transcribe(audio, options)

    tasks = len(asyncio.all_tasks())
    with pytest.raises(EngineFailed, match="it broke"):
        await told(session(Fails()), pieces(*TWO))
    assert len(asyncio.all_tasks()) == tasks


async def test_sound_that_breaks_off_with_an_error_ends_the_stream_with_it() -> None:
    async def broken():
        async for piece in pieces(speech("one two")):
            yield piece
        raise AudioInvalid("no audio any more")

    with pytest.raises(AudioInvalid, match="any more"):
        await told(session(ReadingTranscriber()), broken())


@pytest.mark.parametrize("reads", [1, 2, 4])
async def test_closing_it_ends_all_its_work_at_once(reads: int) -> None:
    tasks = len(asyncio.all_tasks())
    engine = ReadingTranscriber(takes=0.01)
    async with aclosing(session(engine).events(pieces(*TWO, *TWO, *TWO))) as events:
        for _ in range(reads):
            await anext(events)
    assert engine.running == 0
    assert len(asyncio.all_tasks()) == tasks


async def test_cancelling_whoever_listens_ends_all_its_work() -> None:
    tasks = len(asyncio.all_tasks())
    engine = ReadingTranscriber(wait_for=asyncio.Event())
    listener = asyncio.create_task(told(session(engine), pieces(*TWO)))
    while not engine.running:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    listener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listener
    assert engine.running == 0
    assert len(asyncio.all_tasks()) == tasks
