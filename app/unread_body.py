"""Answers that come before their request has been read to its end, for example a 413 in the middle of an upload.

A server that closes a connection on which bytes still arrive resets it, and the client may lose the answer; and one
that does not announce it has the client's next request fail (RFC 9112, section 9.6). So the end is announced, and what
still comes is read and thrown away for a moment.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

_PATIENCE = 2.0
"""Seconds that a client has to notice its answer and to stop sending."""
_SMALL = 2**20
"""Bytes of a request that is rather read to its end than answered with the end of its connection."""


def read_to_end(app: ASGIApp) -> ASGIApp:
    """Wrap an application: requests that it answers early are read on, within bounds."""

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        length = Headers.from_scope(scope).get("content-length")
        small = length is not None and length.isdecimal() and int(length) <= _SMALL
        ended = length in {None, "0"} and "transfer-encoding" not in Headers.from_scope(scope)

        async def receive_and_note() -> HTTPReceiveMessage:
            nonlocal ended
            message = cast(HTTPReceiveMessage, await receive())
            ended = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def send_and_announce(message: Message) -> None:
            if message["type"] == "http.response.start" and not (ended or small) and scope["http_version"][0] == "1":
                MutableScopeHeaders(message)["Connection"] = "close"
            await send(message)

        await app(scope, receive_and_note, send_and_announce)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not ended:
                    await receive_and_note()

    return service
