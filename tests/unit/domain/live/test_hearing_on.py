"""An engine that streams by itself gets each piece of sound once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from domain.audio import Samples, Waveform
from domain.errors import EngineFailed
from domain.live.events import Final, Partial
from domain.live.options import LiveOptions
from domain.ports.streaming_transcriber import StreamedUtterance, StreamingTranscriber
from domain.transcript import Segment, TranscribeOptions
from tests.unit.domain.live.doubles import (
    EAGER,
    RATE,
    ReadingTranscriber,
    heard_in,
    of_kind,
    pieces,
    session,
    silence,
    speech,
    told,
)

TWO = (silence(0.5), speech("one two three four"), silence(1.0), speech("five six"), silence(1.0))


class Streamed:
    def __init__(self, engine: StreamingReader) -> None:
        self.engine = engine
        self.sound: Samples = np.zeros(0, np.float32)
        self.calls = 0

    async def hear(self, sound: Waveform) -> Sequence[str] | None:
        self.sound = np.concatenate([self.sound, sound.samples])
        self.calls += 1
        if self.engine.fails:
            raise EngineFailed("it broke")
        if self.calls % self.engine.answers_every:
            return None
        return [word.word for word in heard_in(self.sound)]

    async def finish(self) -> Sequence[Segment]:
        words = tuple(heard_in(self.sound))
        text = " ".join(word.word for word in words)
        return [Segment(start=words[0].start, end=words[-1].end, text=text, words=words)] if words else []


class StreamingReader(ReadingTranscriber):
    """Reads while it is spoken to."""

    answers_every = 1
    fails = False

    def __init__(self) -> None:
        super().__init__(languages=("en",))
        self.utterances: list[Streamed] = []
        self.open = 0
        self.asked: list[TranscribeOptions] = []

    @asynccontextmanager
    async def utterance(self, options: TranscribeOptions) -> AsyncGenerator[StreamedUtterance, None]:
        self.asked.append(options)
        streamed = Streamed(self)
        self.utterances.append(streamed)
        self.open += 1
        try:
            yield streamed
        finally:
            self.open -= 1


def test_the_double_is_an_engine_that_streams_and_the_other_is_not() -> None:
    assert isinstance(StreamingReader(), StreamingTranscriber)
    assert not isinstance(ReadingTranscriber(), StreamingTranscriber)


async def test_it_gets_the_sound_of_each_utterance_once_and_is_never_asked_to_transcribe() -> None:
    engine = StreamingReader()
    events = await told(session(engine), pieces(*TWO))
    assert [final.text for final in of_kind(events, Final)] == ["one two three four", "five six"]
    assert engine.calls == []
    for streamed, final in zip(engine.utterances, of_kind(events, Final), strict=True):
        assert (
            final.end - final.start <= len(streamed.sound) / RATE <= final.end - final.start + EAGER.endpointing_silence
        )
        assert final.words[0].start == pytest.approx(final.start + heard_in(streamed.sound)[0].start)


async def test_its_words_come_while_somebody_speaks_and_stand_when_it_says_them_twice() -> None:
    events = await told(session(StreamingReader()), pieces(*TWO))
    partials = of_kind(events, Partial)
    assert any(partial.text for partial in partials)
    for final in of_kind(events, Final):
        assert all(final.text.startswith(p.text) for p in partials if p.utterance == final.utterance)


async def test_an_engine_that_heard_nothing_new_confirms_nothing() -> None:
    engine = StreamingReader()
    engine.answers_every = 10**9
    events = await told(session(engine), pieces(*TWO))
    assert of_kind(events, Partial) == []
    assert events[-1].transcript.text == "one two three four five six"


async def test_without_partials_it_gets_an_utterance_in_one_go() -> None:
    engine = StreamingReader()
    options = LiveOptions(partials=False, word_timestamps=False)
    events = await told(session(engine, options), pieces(*TWO))
    assert [streamed.calls for streamed in engine.utterances] == [1, 1]
    assert events[-1].transcript.text == "one two three four five six"
    assert not any(options.word_timestamps for options in engine.asked)


async def test_every_utterance_is_left_also_when_it_fails() -> None:
    engine = StreamingReader()
    await told(session(engine, EAGER), pieces(*TWO))
    assert (len(engine.utterances), engine.open) == (2, 0)
    engine.fails = True
    with pytest.raises(EngineFailed):
        await told(session(engine, EAGER), pieces(*TWO))
    assert engine.open == 0
