"""The live endpoint as its clients meet it: the plain protocol, live events, kinds of audio, options."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.live import (
    REFERENCES,
    SENTENCE,
    STOP,
    Client,
    check_against_schema,
    connected,
    file,
    refused,
    said,
    samples,
    silence,
    transcribed,
    wav,
)
from tests.end_to_end.service import Service, word_error_rate, words

CONTAINERS = [
    "wav-streaming-header.wav",
    "wav-s16-44k-stereo.wav",
    "wav-float32.wav",
    "ogg-opus.ogg",
    "ogg-vorbis.ogg",
    "webm-opus-live.webm",
    "mp3.mp3",
    "flac.flac",
]
SPOKEN_IN_CONTAINERS = "The train to Boston leaves at seven in the evening."
SHORT = "en-04.flac"


# The plain protocol.


async def test_a_wav_in_pieces_and_stop_are_answered_by_one_message(live: Service) -> None:
    client = await transcribed(live, wav(), size=1024)
    (answer,) = client.told
    assert words(answer["transcription"]) == said(SENTENCE)
    assert set(answer) == {"transcription", "language", "language_probability", "duration", "model", "segments"}
    assert answer["language"] == "en"
    assert answer["duration"] == pytest.approx(len(samples(SENTENCE)) / 16000, abs=0.01)
    (segment,) = answer["segments"]
    assert set(segment) == {"start", "end", "text"}
    assert segment["text"] == answer["transcription"]
    assert 0 <= segment["start"] < segment["end"] <= answer["duration"]
    assert client.closed == (1000, "")


async def test_nothing_is_said_before_stop(live: Service) -> None:
    async with connected(live) as client:
        await client.send(wav())
        await client.act("ping")
        await client.act("flush")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.recv(), 1.5)
        await client.act("stop")
        assert len(await client.rest()) == 1


async def test_pieces_may_have_any_size(live: Service) -> None:
    recording = wav(SHORT)
    for size in (len(recording), 333, 7):
        assert (await transcribed(live, recording, size=size)).text == said(SHORT)


async def test_the_embedded_engine_speaks_the_plain_protocol(demo: Service) -> None:
    client = await transcribed(demo, file("wav-s16-44k-stereo.wav"))
    (answer,) = client.told
    assert word_error_rate(SPOKEN_IN_CONTAINERS, answer["transcription"]) <= 0.3  # its model wants longer speech
    assert answer["language"] == "en"
    assert client.closed == (1000, "")


@pytest.mark.parametrize("name", CONTAINERS)
async def test_every_container_that_can_be_read_as_it_comes_is_heard(demo: Service, name: str) -> None:
    client = await transcribed(demo, file(name))
    assert word_error_rate(SPOKEN_IN_CONTAINERS, client.told[-1]["transcription"]) <= 0.3
    assert client.told[-1]["duration"] == pytest.approx(2.98, abs=0.15)


async def test_raw_samples_are_heard_in_both_encodings(live: Service) -> None:
    sound = samples(SHORT)
    assert (await transcribed(live, sound.tobytes(), encoding="pcm_s16le")).text == said(SHORT)
    floats = (sound / np.float32(32768)).astype("<f4").tobytes()
    assert (await transcribed(live, floats, encoding="pcm_f32le")).text == said(SHORT)


async def test_raw_samples_are_heard_at_other_rates_and_in_stereo(live: Service) -> None:
    stereo = np.repeat(samples(SHORT).repeat(3)[:, None], 2, axis=1)
    client = await transcribed(live, stereo.tobytes(), encoding="pcm_s16le", sample_rate=48000, channels=2)
    assert client.text == said(SHORT)


async def test_spanish_is_recognized_as_spanish(live: Service) -> None:
    client = await transcribed(live, wav("es-00.flac"))
    assert client.text == said("es-00.flac")
    assert client.told[-1]["language"] == "es"


@pytest.mark.parametrize("name", ["silence", "noise-white", "noise-pink", "noise-brown"])
async def test_where_nobody_speaks_there_are_no_words(live: Service, name: str) -> None:
    client = await transcribed(live, wav(f"{name}.flac"), size=16384, events="true")
    assert [message["type"] for message in client.told if message["type"] != "lag"] == ["ready", "transcription"]
    assert client.text == []


# Live events.


@pytest.fixture(scope="module")
def conversation(live: Service) -> Client:
    """Two sentences with a pause between them, at the pace of speech."""

    async def speak() -> Client:
        sound = np.concatenate([samples(SENTENCE), silence(1.0), samples(SHORT)])
        async with connected(live, events="true", encoding="pcm_s16le") as client:
            await client.speak(sound)
            await client.act("stop")
            await client.rest()
        return client

    return asyncio.run(speak())


def test_events_come_in_their_order(conversation: Client) -> None:
    kinds = [message["type"] for message in conversation.told if message["type"] not in {"partial", "lag"}]
    utterance = ["speech_started", "final", "speech_stopped"]
    assert kinds == ["ready", *utterance, *utterance, "transcription"]
    assert conversation.closed == (1000, "")


def test_ready_says_what_listens(conversation: Client) -> None:
    (ready,) = conversation.of("ready")
    assert (ready["engine"], ready["model"], ready["sample_rate"]) == ("faster-whisper", "whisper-mini", 16000)
    assert ready["request_id"]


def test_words_come_while_people_speak(conversation: Client) -> None:
    kinds = [message["type"] for message in conversation.told]
    before_the_end = conversation.told[: kinds.index("final")]
    assert any(message["type"] == "partial" and message["unstable"] for message in before_the_end)
    assert any(message["type"] == "partial" and message["text"] for message in before_the_end)


def test_confirmed_text_is_never_retracted(conversation: Client) -> None:
    for final in conversation.of("final"):
        confirmed = ""
        for partial in conversation.of("partial"):
            if partial["utterance"] == final["utterance"]:
                assert partial["text"].startswith(confirmed)
                confirmed = partial["text"]
        assert final["text"].startswith(confirmed)


def test_finals_are_right_and_make_up_the_whole(conversation: Client) -> None:
    finals = conversation.of("final")
    assert [words(final["text"]) for final in finals] == [said(SENTENCE), said(SHORT)]
    assert [final["utterance"] for final in finals] == [0, 1]
    whole = conversation.told[-1]
    assert whole["transcription"] == " ".join(final["text"] for final in finals)
    assert [segment["text"] for segment in whole["segments"]] == [final["text"] for final in finals]


def test_words_have_their_times_in_the_stream(conversation: Client) -> None:
    length = len(samples(SENTENCE)) / 16000
    first, second = conversation.of("final")
    for final, begin, end in ((first, 0, length), (second, length + 0.9, conversation.told[-1]["duration"])):
        assert [word["word"].strip() for word in final["words"]] == final["text"].split()
        times = [(word["start"], word["end"]) for word in final["words"]]
        assert times == sorted(times)
        assert begin <= final["start"] <= times[0][0]
        assert times[-1][1] <= final["end"] <= end + 0.1


def test_the_ends_of_speech_are_told(conversation: Client) -> None:
    starts = [message["time"] for message in conversation.of("speech_started")]
    stops = [message["time"] for message in conversation.of("speech_stopped")]
    length = len(samples(SENTENCE)) / 16000
    assert 0 <= starts[0] < stops[0] <= length + 0.3
    assert length + 1.0 <= starts[1] < stops[1] <= conversation.told[-1]["duration"] + 0.1


async def test_the_embedded_engine_tells_live_events(demo: Service) -> None:
    async with connected(demo, events="true", encoding="pcm_s16le") as client:
        await client.speak(samples(SHORT))
        await client.act("stop")
        await client.rest()
    kinds = [message["type"] for message in client.told if message["type"] not in {"partial", "lag"}]
    assert kinds == ["ready", "speech_started", "final", "speech_stopped", "transcription"]
    assert client.told[0]["engine"] == "pocketsphinx"
    confirmed = [partial["text"] for partial in client.of("partial")]
    assert all(client.of("final")[0]["text"].startswith(text) for text in confirmed)


async def test_flush_ends_the_utterance_at_once(live: Service) -> None:
    sound = samples(SHORT)
    async with connected(live, events="true", encoding="pcm_s16le", endpointing_silence=5) as client:
        await client.speak(np.concatenate([sound, silence(0.3)]), pace=4)
        await client.act("flush")
        final = await client.next("final")
        assert words(final["text"]) == said(SHORT)
        await client.speak(sound, pace=4)
        await client.act("stop")
        await client.rest()
    assert client.text == 2 * said(SHORT)


async def test_ping_is_answered_at_any_time(live: Service) -> None:
    async with connected(live, events="true", encoding="pcm_s16le") as client:
        await client.act("ping")
        await client.next("pong")
        await client.speak(samples(SHORT), pace=8)
        await client.act("ping")
        await client.next("pong")
        await client.act("stop")
        await client.act("ping")
        await client.rest()
    assert len(client.of("pong")) >= 2
    assert client.text == said(SHORT)


# Options.


async def test_the_silence_that_ends_an_utterance_can_be_chosen(live: Service) -> None:
    sound = np.concatenate([samples(SHORT), silence(0.5), samples(SHORT)]).tobytes()
    for seconds, utterances in ((0.3, 2), (3.0, 1)):
        client = await transcribed(live, sound, encoding="pcm_s16le", events="true", endpointing_silence=seconds)
        assert len(client.of("speech_started")) == utterances


async def test_a_first_message_can_give_the_options(live: Service) -> None:
    config = {"action": "config", "language": "es", "task": "transcribe", "endpointing_silence": 0.4}
    check_against_schema(config, "ClientAction")
    async with connected(live, language="en") as client:
        await client.act(**config)  # type: ignore[arg-type]
        await client.send(wav("es-01.flac"))
        await client.socket.send(STOP)
        (answer,) = await client.rest()
    assert (words(answer["transcription"]), answer["language"]) == (said("es-01.flac"), "es")


async def test_speech_is_translated_where_it_is_asked_for(live: Service) -> None:
    client = await transcribed(live, wav("es-01.flac"), language="es", task="translate")
    assert client.text == words(REFERENCES["es-01.flac"]["english"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"events": "perhaps"}, "events"),
        ({"encoding": "pcm_u8"}, "encoding"),
        ({"sample_rate": "10"}, "sample_rate"),
        ({"endpointing_silence": "60"}, "endpointing_silence"),
        ({"language": "english"}, "language"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_at_the_handshake(
    live: Service, query: dict[str, Any], field: str
) -> None:
    answer = await refused(live, **query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in answer.body.decode()


async def test_what_the_engine_cannot_do_is_refused_at_the_handshake(demo: Service) -> None:
    assert (await refused(demo, language="es")).status_code == 400
    answer = await refused(demo, task="translate")
    assert b'"unsupported_option"' in answer.body


async def test_what_the_engine_cannot_do_is_refused_in_a_config_message(demo: Service) -> None:
    async with connected(demo, events="true") as client:
        await client.act("config", language="es")
        await client.rest()
    assert client.told[-1]["code"] == "unsupported_language"
    assert client.closed == (1008, "unsupported_language")
