"""A service that is stopped lets its live streams finish what they heard."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.live import (
    SENTENCE,
    Client,
    connected,
    log_lines,
    refused,
    said,
    samples,
    soon,
    streams_open,
    wav,
)
from tests.end_to_end.service import WHISPER, Service, eventually, service

SHORT = "en-04.flac"


async def stopped_while_they_speak(running: Service) -> tuple[Client, ...]:
    """Four streams at the moment of a stop: with events, plain, one that is at its end, one that has not begun."""
    async with (
        connected(running, events="true", encoding="pcm_s16le") as told,
        connected(running) as plain,
        connected(running, events="true") as ending,
        connected(running, events="true") as silent,
    ):
        await told.speak(samples(SHORT), pace=2)
        await plain.send(wav(SHORT))
        await ending.send(wav("en-40s.flac"), 65536)
        await ending.act("stop")
        assert await soon(lambda: streams_open(running) == 4)
        await asyncio.sleep(0.2)
        psutil.Process(running.pid).terminate()
        clients = (told, plain, ending, silent)
        await asyncio.gather(*(client.rest() for client in clients))
    return clients


def test_streams_finish_what_they_heard(folder: Path) -> None:
    with service(folder, "dev", WHISPER) as running:
        began = time.monotonic()
        told, plain, ending, silent = asyncio.run(stopped_while_they_speak(running))
        assert told.text == plain.text == said(SHORT)
        assert [message["type"] for message in told.told[-3:]] == ["final", "speech_stopped", "transcription"]
        assert len(plain.told) == 1
        assert told.closed == plain.closed == (1012, "service_stopping")
        assert ending.told[-1]["type"] == "transcription"
        assert ending.closed == (1000, "")
        error = silent.told[-1]
        assert (error["type"], error["code"], error["retryable"]) == ("error", "service_stopping", True)
        assert silent.closed == (1012, "service_stopping")
        assert eventually(lambda: not running.processes(), within=10)
        assert time.monotonic() - began < 20
        assert len(log_lines(running, "stream")) == 4


async def held_up(running: Service) -> tuple[Client, int]:
    async with (
        connected(running, events="true", encoding="pcm_s16le") as client,
        connected(running, events="true", encoding="pcm_s16le") as another,
    ):
        for speaker in (client, another):
            await speaker.send(b"".join(samples("en-40s.flac").tobytes() for _ in range(6)), 65536)
        await client.next("speech_started")
        psutil.Process(running.pid).terminate()
        await asyncio.sleep(0.3)
        status = (await refused(running)).status_code
        await client.rest()
    return client, status


@pytest.mark.slow
def test_a_stream_that_cannot_finish_in_time_is_told_so_and_no_new_one_is_taken(folder: Path) -> None:
    variables = {**WHISPER, "PARLANTE_SERVER__STOP_TIMEOUT": "3"}
    with service(folder, "dev", variables) as running:
        client, status = asyncio.run(held_up(running))
        error = client.told[-1]
        assert (error["type"], error["code"]) == ("error", "service_stopping"), json.dumps(client.told[-1])
        assert client.closed == (1012, "service_stopping")
        assert status == 503
        assert eventually(lambda: not running.processes(), within=10)


async def told_of_two_signals(running: Service) -> Client:
    async with connected(running, events="true", encoding="pcm_s16le") as client:
        await client.send(b"".join(samples(SENTENCE).tobytes() for _ in range(60)), 65536)
        await client.next("speech_started")
        worker = running.worker()
        for _ in range(2):
            worker.terminate()
            await asyncio.sleep(0.2)
        await client.rest()
    return client


@pytest.mark.slow
def test_a_second_signal_does_not_wait(folder: Path) -> None:
    with service(folder, "dev", WHISPER) as running:
        began = time.monotonic()
        asyncio.run(told_of_two_signals(running))
        psutil.Process(running.pid).terminate()
        assert eventually(lambda: not running.processes(), within=8)
        assert time.monotonic() - began < 12
