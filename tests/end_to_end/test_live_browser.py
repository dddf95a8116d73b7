"""A real browser: its microphone to words, from a page of another origin; and the docs without any other host."""

from __future__ import annotations

import functools
import threading
import wave
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from app.service_process import free_port
from tests.end_to_end.chromium import chromium, chromium_program
from tests.end_to_end.live import SENTENCE, said, samples, silence
from tests.end_to_end.service import API_KEY, REPOSITORY, WHISPER, Service, service, words

pytestmark = pytest.mark.slow


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its name there
        """Say nothing."""


@pytest.fixture(scope="module")
def page_url() -> Iterator[str]:
    """The example's page, served from an origin of its own."""
    chromium_program()
    handler = functools.partial(QuietHandler, directory=str(REPOSITORY / "examples"))
    with ThreadingHTTPServer(("127.0.0.1", free_port("127.0.0.1")), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/browser.html"
        server.shutdown()


@pytest.fixture(scope="module")
def for_the_page(page_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    origin = page_url.removesuffix("/browser.html")
    variables = {**WHISPER, "PARLANTE_SERVER__CORS_ORIGINS": f'["{origin}"]'}
    with service(tmp_path_factory.mktemp("page"), "dev", variables) as running:
        yield running


def microphone(file: Path) -> list[str]:
    """Arguments that have the browser hear a held-out sentence, once, as if it were spoken."""
    sound = np.concatenate([silence(1.5), samples(SENTENCE), silence(1.0)])
    frame = AudioFrame.from_ndarray(sound[None, :], format="s16", layout="mono")
    frame.sample_rate = 16000
    resampler = AudioResampler(format="s16", layout="mono", rate=48000)
    with wave.open(str(file), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(48000)
        for part in (frame, None):
            for resampled in resampler.resample(part):
                recording.writeframes(resampled.to_ndarray().tobytes())
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={file}%noloop",
    ]


async def test_what_is_said_to_a_page_of_another_origin_is_shown(
    for_the_page: Service, page_url: str, tmp_path: Path
) -> None:
    async with chromium(*microphone(tmp_path / "said.wav")) as page:
        await page.open(page_url)
        await page.value(f"element('service').value = {for_the_page.url!r}, element('key').value = {API_KEY!r}, 0")
        await page.value("element('form').requestSubmit()")
        assert await page.comes_true("element('status').textContent === 'Speak.'", within=15), page.complaints
        assert await page.comes_true("element('unstable').textContent.length > 0", within=20)
        assert await page.comes_true("finals.length === 1", within=20)
        await page.value("element('form').requestSubmit()")
        assert await page.comes_true("element('status').textContent === 'Done.'", within=15)
        shown = await page.value("element('confirmed').textContent")

        assert words(shown) == said(SENTENCE)
        assert await page.comes_true("element('button').textContent === 'Start'", within=5)
    assert page.complaints == []
    assert all(API_KEY not in url for url in page.requested)
    hosts = {urlsplit(url).netloc for url in page.requested if not url.startswith("data:")}
    assert hosts == {urlsplit(page_url).netloc, urlsplit(for_the_page.url).netloc}


async def test_a_wrong_key_is_told_to_the_person(for_the_page: Service, page_url: str, tmp_path: Path) -> None:
    async with chromium(*microphone(tmp_path / "said.wav")) as page:
        await page.open(page_url)
        await page.value(f"element('service').value = {for_the_page.url!r}, element('key').value = 'wrong', 0")
        await page.value("element('form').requestSubmit()")
        assert await page.comes_true("element('status').textContent === 'the API key is not known'", within=15)


async def test_the_docs_are_shown_and_ask_no_other_host(demo: Service) -> None:
    async with chromium() as page:
        await page.open(f"{demo.url}/docs")
        assert await page.comes_true("document.querySelectorAll('.opblock').length > 5", within=30)
        assert "transcribe" in await page.value("document.body.innerText")
    assert page.complaints == []
    assert {urlsplit(url).netloc for url in page.requested if not url.startswith(("data:", "blob:"))} == {
        urlsplit(demo.url).netloc
    }
