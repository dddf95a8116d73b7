"""Each limit of a live stream and each fault of a client has its answer, frees its place, and disturbs nobody."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.end_to_end.live import (
    SENTENCE,
    Client,
    Deaf,
    connected,
    log_lines,
    refused,
    said,
    samples,
    silence,
    soon,
    streams_open,
    transcribed,
    wav,
)
from tests.end_to_end.service import WHISPER, Service, service, words

SHORT = "en-04.flac"
LIMITS = {
    "STREAMS": "4",
    "MAX_DURATION": "6",
    "IDLE_TIMEOUT": "1.5",
    "SEND_TIMEOUT": "1",
    "MAX_MESSAGE": "65536",
    "MAX_RATE": "200000",
    "RATE_BURST": "2",
}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with small limits."""
    variables = WHISPER | {f"PARLANTE_LIVE__{name}": value for name, value in LIMITS.items()}
    with service(tmp_path_factory.mktemp("tight"), "dev", variables) as running:
        yield running


@asynccontextmanager
async def bystander(service: Service) -> AsyncGenerator[None, None]:
    """Somebody else who speaks meanwhile and must be understood."""
    async with connected(service, events="true", encoding="pcm_s16le") as client:
        speaking = asyncio.create_task(client.speak(samples(SHORT)))
        yield
        await speaking
        await client.act("stop")
        await client.rest()
    assert client.text == said(SHORT)
    assert client.closed == (1000, "")


async def too_long(client: Client) -> None:
    await client.send(silence(7).tobytes(), 16000)


async def idle(client: Client) -> None:
    await client.send(silence(0.5).tobytes())


async def too_fast(client: Client) -> None:
    await client.send(bytes(600_000), 60_000)


async def too_large(client: Client) -> None:
    await client.socket.send(bytes(65537))


async def too_large_a_text(client: Client) -> None:
    await client.socket.send(json.dumps({"action": "config", "prompt": "a" * 70000}))


async def stop_first(client: Client) -> None:
    await client.act("stop")


async def unknown_action(client: Client) -> None:
    await client.act("dance")


async def malformed_json(client: Client) -> None:
    await client.socket.send('{"action": ')


async def json_of_something_else(client: Client) -> None:
    await client.socket.send('["stop"]')


async def unknown_option(client: Client) -> None:
    await client.act("config", colour="red")


async def config_after_audio(client: Client) -> None:
    await client.send(silence(0.2).tobytes())
    await client.act("config", language="en")


FAULTS: list[tuple[Callable[[Client], Awaitable[None]], str, int]] = [
    (too_long, "audio_too_long", 1008),
    (idle, "stream_idle", 1008),
    (too_fast, "rate_exceeded", 1008),
    (too_large, "message_too_large", 1009),
    (too_large_a_text, "message_too_large", 1009),
    (stop_first, "audio_empty", 1003),
    (unknown_action, "message_invalid", 1007),
    (malformed_json, "message_invalid", 1007),
    (json_of_something_else, "message_invalid", 1007),
    (unknown_option, "message_invalid", 1007),
    (config_after_audio, "message_invalid", 1007),
]


@pytest.mark.parametrize(("fault", "code", "close_code"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
async def test_a_fault_has_a_clear_answer_and_disturbs_nobody(
    tight: Service, fault: Callable[[Client], Awaitable[None]], code: str, close_code: int
) -> None:
    async with bystander(tight):
        rate = 192_000 if fault is too_fast else 16_000  # so much of it is no long sound
        async with connected(tight, events="true", encoding="pcm_s16le", sample_rate=rate) as client:
            await fault(client)
            await client.rest()
        assert await soon(lambda: streams_open(tight) <= 1)
    error = client.told[-1]
    assert (error["type"], error["code"], error["retryable"]) == ("error", code, False)
    assert client.closed == (close_code, code)


@pytest.mark.parametrize("events", ["true", "false"])
async def test_garbage_is_told_to_be_garbage(tight: Service, events: str) -> None:
    async with bystander(tight):
        garbage = os.urandom(1) + b"\x00garbage" * 20_000
        client = await transcribed(tight, garbage, events=events)
        assert await soon(lambda: streams_open(tight) <= 1)
    assert client.told[-1]["code"] == "audio_invalid"
    assert client.closed == (1003, "audio_invalid")


async def test_garbage_that_begins_as_audio_is_told_to_be_garbage(tight: Service) -> None:
    client = await transcribed(tight, b"OggS" + os.urandom(100_000))
    assert client.closed == (1003, "audio_invalid")


async def test_one_stream_more_than_there_are_places_is_refused_at_the_handshake(tight: Service) -> None:
    async with connected(tight), connected(tight), connected(tight), bystander(tight):
        answer = await refused(tight)
        problem = json.loads(answer.body)
        assert (answer.status_code, problem["code"], problem["retryable"]) == (503, "overloaded", True)
        assert int(answer.headers["retry-after"]) >= 1
    assert await soon(lambda: streams_open(tight) == 0)
    assert (await transcribed(tight, wav(SHORT))).text == said(SHORT)


async def test_what_comes_after_stop_is_ignored(tight: Service) -> None:
    async with connected(tight) as client:
        await client.send(wav(SHORT))
        for _ in range(3):
            await client.act("stop")
        await client.act("config", language="es")
        await client.send(wav("en-06.flac"))
        await client.rest()
    assert len(client.told) == 1
    assert client.text == said(SHORT)
    assert client.closed == (1000, "")


async def test_flush_and_ping_before_any_audio_do_no_harm(tight: Service) -> None:
    async with connected(tight) as client:
        await client.act("flush")
        await client.act("ping")
        await client.act("config", language="en")
        await client.send(wav(SHORT))
        await client.act("stop")
        await client.rest()
    assert client.text == said(SHORT)


async def test_a_client_that_vanishes_while_it_speaks_frees_its_place(tight: Service) -> None:
    async with bystander(tight):
        async with connected(tight, events="true", encoding="pcm_s16le") as client:
            await client.speak(samples(SENTENCE)[:24000])
            client.socket.transport.abort()
        assert await soon(lambda: streams_open(tight) <= 1)


async def test_a_client_that_vanishes_while_the_final_is_decoded_frees_its_place(live: Service) -> None:
    async with connected(live) as client:
        await client.send(wav("en-40s.flac"), 65536)
        await client.act("stop")
        assert await soon(lambda: streams_open(live) == 1)
        client.socket.transport.abort()
    assert await soon(lambda: streams_open(live) == 0)


async def test_a_client_that_vanishes_behind_all_that_it_sent_frees_its_place(live: Service) -> None:
    async with connected(live) as client:
        for _ in range(2):
            await client.send(wav("en-40s.flac"), 65536)
        client.socket.transport.abort()
    assert await soon(lambda: streams_open(live) == 0)


async def test_a_client_that_closes_in_good_order_frees_its_place(live: Service) -> None:
    async with connected(live, events="true", encoding="pcm_s16le") as client:
        await client.speak(samples(SHORT)[:16000], pace=4)
    assert await soon(lambda: streams_open(live) == 0)
    assert log_lines(live, "stream")[-1]["code"] is None


async def test_a_client_that_never_reads_is_let_go(tight: Service) -> None:
    before = len(log_lines(tight, "stream"))
    deaf = await asyncio.to_thread(Deaf, tight)
    with deaf.socket:
        assert await soon(lambda: streams_open(tight) == 1)
        async with bystander(tight):
            await asyncio.to_thread(deaf.ask, 6_000)
        assert await soon(lambda: streams_open(tight) == 0, within=4)
    ends = {line["reason"]: line["code"] for line in log_lines(tight, "stream")[before:]}
    assert ends["client_not_reading"] == 1008


async def test_an_engine_that_breaks_is_told_and_the_next_stream_is_heard(demo: Service) -> None:
    async def kill_what_listens() -> None:
        while True:
            if decoder := demo.decoder():
                decoder.kill()
            await asyncio.sleep(0.2)

    async with connected(demo, events="true", encoding="pcm_s16le") as client:
        speaking = asyncio.create_task(client.speak(samples(SENTENCE)))
        await client.next("speech_started")
        killing = asyncio.create_task(kill_what_listens())
        await client.rest()
        killing.cancel()
        await asyncio.gather(speaking, killing, return_exceptions=True)
    error = client.told[-1]
    assert (error["type"], error["code"], error["retryable"]) == ("error", "engine_failed", True)
    assert client.closed == (1011, "engine_failed")
    assert await soon(lambda: streams_open(demo) == 0)
    assert (await transcribed(demo, wav(SHORT))).told[-1]["transcription"]


@pytest.fixture(scope="module")
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a slow engine: one thread, one transcription at a time."""
    variables = {
        **WHISPER,
        "PARLANTE_LIVE__LAG_THRESHOLD": "0.4",
        "PARLANTE_TRANSCRIBERS__FASTER_WHISPER__CPU_THREADS": "1",
    }
    with service(tmp_path_factory.mktemp("one"), "dev", variables) as running:
        yield running


@pytest.mark.slow
async def test_under_overload_partials_thin_out_and_finals_stay_right(one_at_a_time: Service) -> None:
    async def speak(number: int) -> Client:
        async with connected(one_at_a_time, events="true", encoding="pcm_s16le", partial_interval=0.1) as client:
            await asyncio.sleep(number * 0.05)
            await client.speak(samples(SENTENCE), pace=2)
            await client.act("stop")
            await client.rest()
        return client

    alone = await speak(0)
    together = await asyncio.gather(*(speak(number) for number in range(10)))
    for client in (alone, *together):
        assert client.text == said(SENTENCE)
        final = client.of("final")[0]
        assert words(final["text"]) == said(SENTENCE)
        assert all(final["text"].startswith(partial["text"]) for partial in client.of("partial"))
    assert sum(len(client.of("partial")) for client in together) / 10 < len(alone.of("partial"))
    lags: list[dict[str, Any]] = [lag for client in together for lag in client.of("lag")]
    assert lags
    assert all(lag["seconds"] > 0.4 for lag in lags)
