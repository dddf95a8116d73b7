"""When hearing, or the client, cannot keep up: partials are dropped before anything else is, and the client is told."""

from __future__ import annotations

import asyncio

import pytest

from domain.audio import Waveform
from domain.errors import DeadlineExceeded
from domain.live import hearing
from domain.live.events import Final, Lag, Partial
from domain.live.options import LiveLimits, LiveOptions
from domain.live.turns import Turns, Urgency
from tests.unit.domain.live.doubles import (
    RATE,
    ReadingTranscriber,
    kinds,
    of_kind,
    pieces,
    session,
    silence,
    speech,
    told,
)
from tests.unit.domain.waiting import until

SENTENCE = (speech("one two three four"), silence(1.0))


def limits(*, lag_threshold: float = 2.0, max_behind: float = 1e9) -> LiveLimits:
    return LiveLimits(max_duration=600.0, lag_threshold=lag_threshold, max_behind=max_behind, max_utterance=20.0)


async def test_a_stream_that_is_heard_in_time_tells_no_lag() -> None:
    events = await told(session(ReadingTranscriber(), limits=limits()), pieces(*SENTENCE * 3, pause=0.005))
    assert of_kind(events, Lag) == []


async def test_lag_is_told_when_more_sound_waits_than_the_threshold() -> None:
    engine = ReadingTranscriber(wait_for=asyncio.Event())
    listening = session(engine, limits=limits())
    lags = []
    async for event in listening.events(pieces(*SENTENCE * 2)):
        if isinstance(event, Lag):
            lags.append(event.seconds)
            assert engine.wait_for is not None
            engine.wait_for.set()
    assert len(lags) == 1  # not more often than once a second
    assert 2.0 < lags[0] < 2.5


async def test_the_client_is_made_to_wait_when_too_much_sound_waits() -> None:
    engine = ReadingTranscriber(wait_for=asyncio.Event())
    listening = session(engine, LiveOptions(partials=False), limits(max_behind=3.0))
    listener = asyncio.create_task(told(listening, pieces(*SENTENCE * 10, pause=0)))
    await until(lambda: engine.running)
    await asyncio.sleep(0.1)
    assert listening.duration <= 3.0 + 3.0 + 0.2  # the utterance that is being heard, what may wait, a piece
    assert engine.wait_for is not None
    engine.wait_for.set()
    events = await asyncio.wait_for(listener, 5)
    assert [final.text for final in of_kind(events, Final)] == ["one two three four"] * 10


async def test_it_goes_on_even_when_all_was_heard_while_lag_was_told() -> None:
    for takes in (0.0, 0.001, 0.003):
        engine = ReadingTranscriber(takes=takes)
        listening = session(engine, LiveOptions(partials=False), limits(lag_threshold=0.1, max_behind=0.2))
        events = await asyncio.wait_for(told(listening, pieces(*SENTENCE * 5, of=0.5, pause=0)), 10)
        assert len(of_kind(events, Final)) == 5


async def test_a_client_that_does_not_read_loses_partials_and_no_final() -> None:
    engine = ReadingTranscriber()
    listening = session(engine)
    texts, seen = [], []
    events = listening.events(pieces(*SENTENCE * 30, of=0.25, pause=0))
    seen.append(await anext(events))
    await asyncio.sleep(1.0)  # the queue is full by now
    waiting = listening._out.qsize()
    async for event in events:
        seen.append(event)
        if isinstance(event, Final):
            texts.append(event.text)
    assert waiting <= 64
    assert texts == ["one two three four"] * 30
    assert kinds(seen).count("SpeechStarted") == kinds(seen).count("SpeechStopped") == 30


async def test_a_client_that_never_reads_makes_its_own_stream_wait_and_nothing_grows() -> None:
    listening = session(ReadingTranscriber(), LiveOptions(partials=False), limits(max_behind=3.0))
    events = listening.events(pieces(*SENTENCE * 200, of=1.0, pause=0))
    await anext(events)
    await asyncio.sleep(0.5)
    taken = listening.duration
    await asyncio.sleep(0.1)
    assert listening.duration == taken < 300
    assert len(listening._sound._buffer) < 30 * RATE
    await events.aclose()


async def test_a_final_does_not_wait_for_partials_of_others_that_came_earlier() -> None:
    engine, turns = ReadingTranscriber(), Turns(1)
    order = []

    async def other(name: str, urgency: Urgency) -> None:
        async with turns.turn(urgency):
            order.append(name)

    async with turns.turn(Urgency.FINAL):
        listener = asyncio.create_task(told(session(engine, turns=turns), pieces(*SENTENCE)))
        await until(lambda: turns._waiting)  # its partial waits
        others = [asyncio.create_task(other(f"partial {n}", Urgency.PARTIAL)) for n in range(3)]
        await until(lambda: [urgency for urgency, *_ in turns._waiting].count(Urgency.FINAL) == 1)
        assert order == []
    await asyncio.gather(*others)
    assert len(engine.drafts) == 0  # the partial was given up when the utterance ended
    assert [final.text for final in of_kind(await listener, Final)] == ["one two three four"]


async def test_streams_that_share_an_engine_are_all_heard() -> None:
    engine = ReadingTranscriber(takes=0.005)
    turns = Turns(1)
    streams = [told(session(engine, turns=turns), pieces(*SENTENCE * 2, pause=0.005)) for _ in range(6)]
    for events in await asyncio.gather(*streams):
        assert [final.text for final in of_kind(events, Final)] == ["one two three four"] * 2


async def test_a_stream_that_is_closed_leaves_its_turn_to_the_others() -> None:
    engine, turns = ReadingTranscriber(takes=0.02), Turns(1)
    leaver = asyncio.create_task(told(session(engine, turns=turns), pieces(*SENTENCE * 20)))
    stayer = asyncio.create_task(told(session(engine, turns=turns), pieces(*SENTENCE)))
    await until(lambda: engine.running)
    leaver.cancel()
    assert len(of_kind(await asyncio.wait_for(stayer, 5), Final)) == 1


async def test_an_engine_that_hangs_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "_LONGEST", 0.05)
    engine = ReadingTranscriber(wait_for=asyncio.Event())
    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(told(session(engine), pieces(*SENTENCE)), 5)
    assert engine.running == 0


async def test_partials_thin_out_when_the_engine_is_slow_and_the_final_is_right() -> None:
    engine = ReadingTranscriber(takes=0.2)
    events = await told(session(engine, limits=limits()), pieces(*SENTENCE, pause=0.01))
    assert len(of_kind(events, Partial)) <= 2
    assert of_kind(events, Final)[0].text == "one two three four"


async def test_an_empty_stream_is_finished_at_once() -> None:
    async def nothing():
        return
        yield Waveform(samples=silence(0), sample_rate=RATE)

    assert kinds(await told(session(ReadingTranscriber()), nothing())) == ["Finished"]
