"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # the tests may run as root in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
]


def chromium_program() -> str:
    """Its path; skips the test where there is none, unless PARLANTE_REQUIRE_CHROMIUM=1."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if program := shutil.which(name):
            return program
    if os.environ.get("PARLANTE_REQUIRE_CHROMIUM") == "1":
        pytest.fail("there is no Chromium: apt-get install chromium")
    pytest.skip("there is no Chromium: apt-get install chromium")


class Page:
    """The one page of the browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.requested: list[str] = []
        """Addresses that the page asked for, WebSockets too."""
        self.complaints: list[str] = []
        """What the page wrote to its console as errors, and its exceptions."""

    async def listen(self) -> None:
        """Take what the browser tells, until it ends."""
        async for text in self._socket:
            message = json.loads(text)
            told = message.get("params", {})
            match message.get("method"):
                case "Network.requestWillBeSent":
                    self.requested.append(told["request"]["url"])
                case "Network.webSocketCreated":
                    self.requested.append(told["url"])
                case "Runtime.exceptionThrown":
                    self.complaints.append(json.dumps(told["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if told["type"] == "error":
                    self.complaints.append(json.dumps(told["args"]))
                case None:
                    self._answers.pop(message["id"]).set_result(message.get("result"))

    async def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        return await asyncio.wait_for(answer, 20)

    async def open(self, url: str) -> None:
        for domain in ("Network", "Runtime", "Page"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        assert await self.comes_true("document.readyState === 'complete'", within=20)

    async def value(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def comes_true(self, expression: str, *, within: float) -> bool:
        until = time.monotonic() + within
        while not (yes := await self.value(expression)) and time.monotonic() < until:  # noqa: ASYNC110 -- a page
            await asyncio.sleep(0.1)
        return bool(yes)


@asynccontextmanager
async def chromium(*arguments: str) -> AsyncGenerator[Page, None]:
    """Run Chromium with an empty profile and one empty page."""
    program = chromium_program()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: ASYNC220 -- it is started once
            [program, *_ARGUMENTS, *arguments, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with _page(Path(profile), process) as page:
                yield page
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


@asynccontextmanager
async def _page(profile: Path, process: subprocess.Popen[bytes]) -> AsyncGenerator[Page, None]:
    port_file = profile / "DevToolsActivePort"
    until = time.monotonic() + 30
    while not port_file.exists() or not port_file.read_text("utf-8").strip():
        assert process.poll() is None, "Chromium ended while it started"
        assert time.monotonic() < until, "Chromium did not start"
        await asyncio.sleep(0.1)
    port, path = port_file.read_text("utf-8").split()
    async with websockets.connect(f"ws://127.0.0.1:{port}{path}", proxy=None, max_size=None) as browser:
        await browser.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        targets = json.loads(await browser.recv())["result"]["targetInfos"]
        target = next(target["targetId"] for target in targets if target["type"] == "page")
    address = f"ws://127.0.0.1:{port}/devtools/page/{target}"
    async with websockets.connect(address, proxy=None, max_size=None) as socket:
        page = Page(socket)
        listening = asyncio.create_task(page.listen())
        try:
            yield page
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
