"""One WebSocket connection of the live endpoint: reads the client, tells it what is heard, ends with a clear word."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import Any, Final

import msgspec
import structlog
from litestar import WebSocket

from app.controllers.transcription import Transcription, render_transcript
from app.live import messages
from app.live.open_streams import OpenStreams
from app.live.rendering import render_event
from app.settings.schema import Live
from domain import errors
from domain.audio import RawFormat
from domain.live.events import Finished
from domain.live.options import LiveOptions
from domain.ports.transcriber import TranscriberCapabilities
from domain.transcript import Task
from domain.use_cases.listen import Listen, LiveStream

_log = structlog.stdlib.get_logger("app.live")

NORMAL: Final = 1000
SERVICE_RESTART: Final = 1012

_CLOSE_CODES: dict[type[errors.ParlanteError], int] = {
    errors.AudioInvalid: 1003,
    errors.MessageInvalid: 1007,
    errors.MessageTooLarge: 1009,
    errors.InvalidRequest: 1008,
    errors.ServiceStopping: SERVICE_RESTART,
    errors.Unavailable: 1013,
    errors.ParlanteError: 1011,
}
"""RFC 6455, section 7.4.1, and 1012 (service restart) and 1013 (try again later) of its registry."""

_LINGER: Final = 0.5
"""Seconds at most in which a client that still sends may read why its stream ended.

A socket that is closed with unread bytes is reset, and a reset may overtake the answer.
"""
_QUIET: Final = 0.05
"""Seconds of silence after which such a client has stopped."""
_CLOSE_PATIENCE: Final = 0.3
"""Seconds for the close frame to leave; a client that does not read gets none."""

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
        streams: OpenStreams,
    ) -> None:
        self._socket = socket
        self._query = query
        self._listen = listen
        self._limits = limits
        self._can = capabilities
        self._streams = streams
        self._options = live_options(query, limits)
        self._received = 0
        self._began = time.monotonic()
        self._stream: asyncio.Future[LiveStream] = asyncio.get_running_loop().create_future()
        self._stopped = False
        self._cut_short = False

    @property
    def heard(self) -> float:
        """Seconds of sound that came."""
        begun = self._stream.done() and not self._stream.cancelled()
        return self._stream.result().duration if begun else 0.0

    async def run(self) -> None:
        """Serve the client until the stream has ended, failed, or been left."""
        try:
            await self._serve()
        except ClientLeft:
            return
        except errors.ParlanteError as err:
            await self._fail(err)
        except Exception as err:
            _log.exception("unexpected_error", exc_info=err)
            await self._fail(errors.ParlanteError("something went wrong inside the service; its log has the details"))
        else:
            if self._cut_short:
                await self._close(SERVICE_RESTART, errors.ServiceStopping.code)
            else:
                await self._close(NORMAL, "")

    async def _serve(self) -> None:
        if self._query.events:
            request_id = structlog.contextvars.get_contextvars().get("request_id", "")
            await self._send(
                messages.ReadyEvent(
                    engine=self._can.engine,
                    model=self._can.model,
                    sample_rate=self._can.sample_rate,
                    request_id=request_id,
                )
            )
        telling = asyncio.create_task(self._tell())
        tasks = (telling, asyncio.create_task(self._read()), asyncio.create_task(self._end_with_service()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # What has been told to its end stands, whatever the client did in the same moment.
            await (telling if telling in done else done.pop())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_with_service(self) -> None:
        """When the service stops, finish what was heard so far; say so where there is no time for it."""
        await self._streams.stopping.wait()
        if not self._stopped and self._stream.done():
            self._cut_short = self._stopped = True
            await self._stream.result().end()
        if self._stopped:
            await self._streams.overdue.wait()
        raise errors.ServiceStopping("the service is being stopped; connect again in a moment")

    # What the client sends.

    async def _read(self) -> None:
        """Read for as long as the client is there; after ``stop`` only to know that it is."""
        while True:
            message = await self._receive()
            data, text = message.get("bytes"), message.get("text")
            self._count(len(data if data is not None else text or ""))
            if data is None:
                await self._act(text or "")
            elif not self._stopped:
                await self._begin().feed(data)

    async def _receive(self) -> Any:
        try:
            async with asyncio.timeout(None if self._stopped else self._limits.idle_timeout):
                message: Any = await self._socket.receive()
        except TimeoutError:
            if self._stopped:
                return await self._receive()
            raise errors.StreamIdle(f"nothing came for {self._limits.idle_timeout:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise ClientLeft
        return message

    async def _act(self, text: str) -> None:
        try:
            action = _action.decode(text)
        except msgspec.DecodeError as err:
            raise errors.MessageInvalid(f"the text message is none that is known: {err}") from None
        match action:
            case messages.PingAction():
                if self._query.events:
                    await self._send(messages.PongEvent())
            case _ if self._stopped:
                pass
            case messages.StopAction():
                await self._begin().end()
                self._stopped = True
            case messages.FlushAction():
                if self._stream.done():
                    await self._stream.result().flush()
            case messages.ConfigAction():
                self._configure(action)

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
        lasted = time.monotonic() - self._began
        if lasted > self._limits.max_duration + self._limits.idle_timeout:
            raise errors.AudioTooLong(f"the stream is longer than {self._limits.max_duration:g} s")
        self._received += size
        if self._received > self._limits.max_rate * (lasted + self._limits.rate_burst):
            raise errors.RateExceeded(f"more than {self._limits.max_rate} bytes a second came")

    # What the service says.

    async def _tell(self) -> None:
        stream = await self._stream
        async with aclosing(stream.events()) as heard:
            async for event in heard:
                if self._query.events:
                    await self._send(render_event(event))
                elif isinstance(event, Finished):
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
        """Say what went wrong, in a message and as the reason of the close."""
        if not isinstance(err, errors.InvalidRequest):
            _log.warning("stream_failed", code=err.code, cause=type(err.__cause__).__name__ if err.__cause__ else None)
        if not isinstance(err, errors.ClientNotReading):
            with suppress(TimeoutError, ClientLeft, errors.ClientNotReading):
                async with asyncio.timeout(_LINGER):
                    await self._send(messages.ErrorEvent(code=err.code, message=err.message, retryable=err.retryable))
                    while True:
                        await self._discard()
        await self._close(close_code(type(err)), err.code)

    async def _discard(self) -> None:
        async with asyncio.timeout(_QUIET):
            if (await self._socket.receive())["type"] == "websocket.disconnect":
                raise ClientLeft

    async def _close(self, code: int, reason: str) -> None:
        with suppress(TimeoutError, RuntimeError, ConnectionError):
            async with asyncio.timeout(_CLOSE_PATIENCE):
                await self._socket.close(code=code, reason=reason)


def close_code(kind: type[errors.ParlanteError]) -> int:
    """The code with which an error closes a stream."""
    return next(_CLOSE_CODES[of] for of in kind.__mro__ if of in _CLOSE_CODES)


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
