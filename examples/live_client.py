"""Live transcription with nothing but ``websockets``: ``python live_client.py [--events] FILE [URL]``.

The plain protocol: the bytes of an audio file in pieces of any size, ``{"action": "stop"}``, one JSON answer. With
``--events`` the service also says what it hears while the bytes come. A key, where the service wants one, is taken from
the variable ``API_KEY``. Pings have no timeout: who sends faster than real time has to wait, and so have his pings.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

SERVICE = "ws://127.0.0.1:8000"


async def send(socket: ClientConnection, file: Path) -> None:
    """Send a file in pieces of 1 KB, then say that this was all."""
    with file.open("rb") as recording:
        while piece := recording.read(1024):
            await socket.send(piece)
    await socket.send(json.dumps({"action": "stop"}))


async def transcribe(url: str, file: Path) -> str:
    """The plain protocol: one answer after the stop."""
    async with connect(f"{url}/api/v1/streaming", additional_headers=headers(), ping_timeout=None) as socket:
        sending = asyncio.create_task(send(socket, file))
        answer = json.loads(await socket.recv())
        await sending
        if "transcription" not in answer:
            sys.exit(f"{answer['message']} ({answer['code']})")
        return str(answer["transcription"])


async def listen(url: str, file: Path) -> None:
    """Print what the service hears as it hears it."""
    async with connect(
        f"{url}/api/v1/streaming?events=true", additional_headers=headers(), ping_timeout=None
    ) as socket:
        sending = asyncio.create_task(send(socket, file))
        async for message in socket:
            event = json.loads(message)
            match event["type"]:
                case "partial":
                    print(f"        {event['text']} [{event['unstable']}]")
                case "final":
                    print(f"{event['start']:7.2f} {event['text']}")
                case "error":
                    sys.exit(f"{event['message']} ({event['code']})")
        await sending


def headers() -> dict[str, str]:
    """The key goes in a header, never in the address."""
    key = os.environ.get("API_KEY")
    return {"X-API-Key": key} if key else {}


def main() -> None:
    """Read the arguments."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--events"]
    if not 1 <= len(arguments) <= 2:
        sys.exit(__doc__)
    file, url = Path(arguments[0]), (arguments[1:] or [SERVICE])[0].replace("http", "ws", 1)
    if "--events" in sys.argv:
        asyncio.run(listen(url, file))
    else:
        print(asyncio.run(transcribe(url, file)))


if __name__ == "__main__":
    main()
