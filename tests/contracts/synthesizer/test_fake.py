"""The fake does what its scripts say, so that tests of the use cases can rely on it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from domain.audio import Waveform
from domain.errors import EngineFailed, EngineUnavailable
from domain.speech import SpeakOptions
from tests.fakes.synthesizer import VOICES, FakeSynthesizer

OPTIONS = SpeakOptions(voice=VOICES[0])


async def test_speaks_its_script_and_remembers_what_it_was_asked() -> None:
    script = [Waveform(samples=np.full(n, 0.1, dtype=np.float32), sample_rate=22_050) for n in (10, 20)]
    fake = FakeSynthesizer(script=script)
    assert [piece async for piece in fake.synthesize("Hello.", OPTIONS)] == script
    assert fake.calls == [("Hello.", OPTIONS)]
    assert (fake.pieces, fake.running) == (2, 0)


@pytest.mark.parametrize("pieces", [0, 1, 2])
async def test_fails_after_as_many_pieces_as_it_is_told(pieces: int) -> None:
    fake = FakeSynthesizer(fail_after=pieces)
    with pytest.raises(EngineFailed):
        [piece async for piece in fake.synthesize("One. Two.", OPTIONS)]
    assert (fake.pieces, fake.running) == (pieces, 0)


async def test_fails_with_the_error_that_it_is_given() -> None:
    fake = FakeSynthesizer(fail_after=0, error=EngineUnavailable("not now"))
    with pytest.raises(EngineUnavailable, match="not now"):
        await anext(fake.synthesize("One.", OPTIONS))


async def test_waits_for_its_event_before_the_second_piece() -> None:
    fake = FakeSynthesizer(wait_for=asyncio.Event())
    async with aclosing(fake.synthesize("One. Two.", OPTIONS)) as pieces:
        await anext(pieces)
        second = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0.01)
        assert (second.done(), fake.running) == (False, 1)
        assert fake.wait_for is not None
        fake.wait_for.set()
        await second
    assert fake.running == 0
