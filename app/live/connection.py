"""One WebSocket connection of the live endpoint: reads the client, tells it what is heard, ends with a clear word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

import msgspec
import structlog
from litestar import WebSocket

from app.controllers.transcription import Transcription, render_transcript, render_word
from app.live import messages
from app.settings.schema import Live
from domain import errors
from domain.audio import RawFormat
from domain.live import events
from domain.live.options import LiveOptions
from domain.ports.transcriber import TranscriberCapabilities
from domain.transcript import Task
from domain.use_cases.listen import Listen, LiveStream

_log = structlog.stdlib.get_logger("app.live")

_CLOSE_CODES: dict[type[errors.ParlanteError], int] = {
    errors.AudioInvalid: 1003,
    errors.MessageInvalid: 1007,
    errors.MessageTooLarge: 1009,
    errors.InvalidRequest: 1008,
    errors.Unavailable: 1013,
    errors.ParlanteError: 1011,
}
"""RFC 6455, section 7.4.1, and 1013 (try again later) of its registry."""

_action = msgspec.json.Decoder(messages.ClientAction)


class ClientLeft(Exception):
    """The client closed the connection or vanished."""


class Connection:
    """Runs one accepted connection to its end."""

    def __init__(
        self,
        socket: WebSocket[Any, Any, Any],
        query: messages.StreamQuery,
        listen: Listen,
        limits: Live,
        capabilities: TranscriberCapabilities,
    ) -> None:
        self._socket = socket
        self._query = query
        self._listen = listen
        self._limits = limits
        self._can = capabilities
        self._options = live_options(query, limits)
        self._received = 0
        self._began = time.monotonic()
        self._stream: asyncio.Future[LiveStream] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve the client until the stream has ended, failed, or been left."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tell())]
        try:
            if self._query.events:
                await self._send(
                    messages.ReadyEvent(
                        engine=self._can.engine, model=self._can.model, sample_rate=self._can.sample_rate
                    )
                )
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done:
                tasks[0].result()
                await tasks[1]
            else:
                tasks[1].result()
            await self._close(1000, "")
        except ClientLeft:
            pass
        except errors.ParlanteError as err:
            await self._fail(err)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # What the client sends.

    async def _read(self) -> None:
        """Read until ``stop``; after it, only that the client leaves matters, which ``_tell``'s sending finds."""
        while True:
            message = await self._receive()
            if message.get("bytes") is not None:
                self._count(len(message["bytes"]))
                await self._begin().feed(message["bytes"])
            elif await self._act(message.get("text") or ""):
                return

    async def _receive(self) -> Any:
        try:
            async with asyncio.timeout(self._limits.idle_timeout):
                message: Any = await self._socket.receive()
        except TimeoutError:
            raise errors.StreamIdle(f"nothing came for {self._limits.idle_timeout:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise ClientLeft
        return message

    async def _act(self, text: str) -> bool:
        try:
            action = _action.decode(text)
        except msgspec.DecodeError as err:
            raise errors.MessageInvalid(f"the text message is none that is known: {err}") from None
        match action:
            case messages.StopAction():
                await self._begin().end()
                return True
            case messages.FlushAction():
                await self._begin().flush()
            case messages.PingAction():
                if self._query.events:
                    await self._send(messages.PongEvent())
            case messages.ConfigAction():
                self._configure(action)
        return False

    def _configure(self, action: messages.ConfigAction) -> None:
        if self._stream.done():
            raise errors.MessageInvalid("config comes before any audio")
        given = {name: value for name in action.__struct_fields__ if (value := getattr(action, name)) is not None}
        if "task" in given:
            given["task"] = Task(given["task"])
        options = msgspec.structs.replace(self._options, **given)
        self._listen.check(options)
        self._options = options

    def _begin(self) -> LiveStream:
        if not self._stream.done():
            self._stream.set_result(self._listen.stream(self._options, raw_format(self._query)))
        return self._stream.result()

    def _count(self, size: int) -> None:
        if size > self._limits.max_message:
            raise errors.MessageTooLarge(f"a message has more than {self._limits.max_message} bytes")
        self._received += size
        allowed = self._limits.max_rate * (time.monotonic() - self._began + self._limits.rate_burst)
        if self._received > allowed:
            raise errors.RateExceeded(f"more than {self._limits.max_rate} bytes a second came")

    # What the service says.

    async def _tell(self) -> None:
        stream = await self._stream
        async with aclosing(stream.events()) as heard:
            async for event in heard:
                if self._query.events:
                    await self._send(render_event(event))
                elif isinstance(event, events.Finished):
                    await self._send(render_transcript(event.transcript))

    async def _send(self, message: messages.ServerEvent | Transcription) -> None:
        try:
            async with asyncio.timeout(self._limits.send_timeout):
                await self._socket.send_text(msgspec.json.encode(message).decode())
        except TimeoutError:
            raise errors.ClientNotReading(f"the client did not read for {self._limits.send_timeout:g} s") from None
        except (RuntimeError, ConnectionError) as err:
            raise ClientLeft from err

    async def _fail(self, err: errors.ParlanteError) -> None:
        """Say what went wrong: as an event where the client knows events, always as the reason of the close."""
        if type(err).__mro__[1] is errors.ParlanteError or isinstance(err, errors.Unavailable):
            _log.warning("stream_failed", code=err.code)
        code = next(_CLOSE_CODES[kind] for kind in type(err).__mro__ if kind in _CLOSE_CODES)
        with suppress(ClientLeft, errors.ClientNotReading):
            if not isinstance(err, errors.ClientNotReading):
                await self._send(messages.ErrorEvent(code=err.code, message=err.message, retryable=err.retryable))
        await self._close(code, err.code)

    async def _close(self, code: int, reason: str) -> None:
        with suppress(TimeoutError, RuntimeError, ConnectionError):
            async with asyncio.timeout(self._limits.send_timeout):
                await self._socket.close(code=code, reason=reason)


def live_options(query: messages.StreamQuery, limits: Live) -> LiveOptions:
    """The options that a query asks for, the service's defaults where it says nothing."""
    return LiveOptions(
        language=query.language,
        task=Task(query.task),
        prompt=query.prompt,
        hotwords=query.hotwords,
        endpointing_silence=query.endpointing_silence or limits.endpointing_silence,
        partial_interval=query.partial_interval or limits.partial_interval,
        partials=query.events,
        word_timestamps=query.events,
    )


def raw_format(query: messages.StreamQuery) -> RawFormat | None:
    """What the bytes of the stream are; ``None`` for a container."""
    if query.encoding == "container":
        return None
    return RawFormat(encoding=query.encoding, sample_rate=query.sample_rate, channels=query.channels)


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


def render_event(event: events.LiveEvent) -> messages.ServerEvent:
    """An event of the domain as a message."""
    return _RENDERERS[type(event)](event)
