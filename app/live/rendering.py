"""What a live session tells, as messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from app.controllers.transcription import render_transcript, render_word
from app.live import messages
from domain.live import events


def render_event(event: events.LiveEvent) -> messages.ServerEvent:
    """An event of the domain as a message."""
    return _RENDERERS[type(event)](event)


def _started(event: events.SpeechStarted) -> messages.ServerEvent:
    return messages.SpeechStartedEvent(time=event.time)


def _stopped(event: events.SpeechStopped) -> messages.ServerEvent:
    return messages.SpeechStoppedEvent(time=event.time)


def _partial(event: events.Partial) -> messages.ServerEvent:
    return messages.PartialEvent(utterance=event.utterance, start=event.start, text=event.text, unstable=event.unstable)


def _final(event: events.Final) -> messages.ServerEvent:
    return messages.FinalEvent(
        utterance=event.utterance,
        start=event.start,
        end=event.end,
        text=event.text,
        language=event.language,
        words=[render_word(word) for word in event.words],
    )


def _lag(event: events.Lag) -> messages.ServerEvent:
    return messages.LagEvent(seconds=event.seconds)


def _finished(event: events.Finished) -> messages.ServerEvent:
    whole = render_transcript(event.transcript)
    return messages.TranscriptionEvent(**msgspec.structs.asdict(whole))


_RENDERERS: dict[type[Any], Callable[[Any], messages.ServerEvent]] = {
    events.SpeechStarted: _started,
    events.SpeechStopped: _stopped,
    events.Partial: _partial,
    events.Final: _final,
    events.Lag: _lag,
    events.Finished: _finished,
}
