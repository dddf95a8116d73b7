"""``parlante live``: a file or standard input to a running service, and what it hears as it hears it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any
from urllib.parse import urlencode

import click
import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

from app.command_line.live_display import LiveDisplay
from app.command_line.live_source import Piece, container_pieces, raw_pieces, unpaced_pieces
from domain.audio import RawFormat
from domain.errors import ParlanteError


@click.command("live")
@click.argument("file", type=click.File("rb"))
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Address of the service.")
@click.option("--key", envvar="API_KEY", show_envvar=True, help="API key.")
@click.option("--language", help="ISO 639-1 code of the speech; detected if left out.")
@click.option(
    "--encoding",
    type=click.Choice(["container", "pcm_s16le", "pcm_f32le"]),
    default="container",
    show_default=True,
    help="What the bytes are: an audio file, or raw samples.",
)
@click.option("--sample-rate", default=16000, show_default=True, help="Of raw samples, in hertz.")
@click.option("--channels", default=1, show_default=True, help="Of raw samples.")
@click.option("--realtime", is_flag=True, help="Send the bytes at the pace at which the audio plays.")
def command(
    file: IO[bytes],
    url: str,
    key: str | None,
    language: str | None,
    encoding: str,
    sample_rate: int,
    channels: int,
    realtime: bool,
) -> None:
    """Stream FILE (- is standard input) to a running service and show what it hears.

    Confirmed text is solid, what may still change is dim; each utterance ends on a line of its own. Ctrl-C ends the
    audio and waits for the rest of the text; a second one ends at once.
    """
    query = {"events": "true", "encoding": encoding}
    if encoding != "container":
        raw = RawFormat(
            encoding="pcm_s16le" if encoding == "pcm_s16le" else "pcm_f32le", sample_rate=sample_rate, channels=channels
        )
        query |= {"sample_rate": str(sample_rate), "channels": str(channels)}
        pieces = raw_pieces(file, raw, paced=realtime)
    else:
        pieces = container_pieces(file) if realtime else unpaced_pieces(file)
    if language is not None:
        query["language"] = language
    address = f"{url.rstrip('/').replace('http', 'ws', 1)}/api/v1/streaming?{urlencode(query)}"
    with _connect(address, key) as socket:
        _Conversation(socket, pieces).run()


def _connect(address: str, key: str | None) -> ClientConnection:
    try:
        # No keepalive: the service answers no ping while it makes a client wait that is faster than real time.
        return connect(
            address, additional_headers={"X-API-Key": key} if key else None, max_size=None, ping_timeout=None
        )
    except InvalidStatus as err:
        raise ParlanteError(_refusal(err)) from err
    except (OSError, InvalidHandshake, InvalidURI) as err:
        raise ParlanteError(f"no service answers at {address.partition('/api/')[0]}: {err}") from err


def _refusal(err: InvalidStatus) -> str:
    """The service's own sentence, where the answer is problem details."""
    status = err.response.status_code
    with suppress(msgspec.DecodeError, KeyError, TypeError):
        problem: dict[str, Any] = msgspec.json.decode(err.response.body or b"")
        return f"the service refused the stream: {problem['detail']} ({problem['code']}, status {status})"
    return f"the service refused the stream with status {status}"


class _Conversation:
    """Sends in one thread, shows in this one."""

    def __init__(self, socket: ClientConnection, pieces: Iterator[Piece]) -> None:
        self._socket = socket
        self._pieces = pieces
        self._stopping = threading.Event()
        self._failed: Exception | None = None

    def run(self) -> None:
        """Until the whole transcription is there.

        Raises:
            ParlanteError: the service said what went wrong, or the connection ended early.
        """
        before = signal.signal(signal.SIGINT, self._stop)
        threading.Thread(target=self._speak, daemon=True).start()
        try:
            with LiveDisplay() as display:
                self._listen(display)
        finally:
            self._stopping.set()
            signal.signal(signal.SIGINT, before)

    def _stop(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._stopping.set()
        threading.Thread(target=self._end, daemon=True).start()  # the other thread may wait for standard input

    def _listen(self, display: LiveDisplay) -> None:
        try:
            for message in self._socket:
                event: dict[str, Any] = msgspec.json.decode(message)
                if self._failed is not None:
                    raise ParlanteError(f"the audio could not be read: {self._failed}") from self._failed
                if event["type"] == "error":
                    raise ParlanteError(f"{event['message']} ({event['code']})")
                display.show(event)
                if event["type"] == "transcription":
                    break
            else:
                raise ParlanteError("the service closed the stream before it had answered")
        except ConnectionClosed as err:
            raise ParlanteError(f"the connection to the service was lost: {err}") from err

    def _speak(self) -> None:
        began = time.monotonic()
        try:
            for piece in self._pieces:
                if self._stopping.wait(max(0.0, began + piece.due - time.monotonic())):
                    return
                self._socket.send(piece.data)
        except ConnectionClosed:
            return  # the listening side says why
        except (OSError, ValueError) as err:
            self._failed = err
        self._end()

    def _end(self) -> None:
        with suppress(ConnectionClosed):
            self._socket.send('{"action": "stop"}')
