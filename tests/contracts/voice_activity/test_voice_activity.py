"""What holds for every voice activity detector: the contract of ``domain.ports.voice_activity``."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.audio import Samples
from domain.live.endpointing import Endpointer
from domain.ports.voice_activity import VoiceActivityDetector
from tests.engines.recordings import RECORDINGS, SAMPLE_RATE

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPOKEN = ["en-02", "en-05", "en-09", "es-01", "es-07"]


def samples(name: str) -> Samples:
    return RECORDINGS[name].waveform().samples


def framed(detector: VoiceActivityDetector, sound: Samples) -> Samples:
    """With silence up to a whole frame."""
    return np.pad(sound, (0, -len(sound) % detector.frame)).astype(np.float32)


async def follow(detector: VoiceActivityDetector, sound: Samples, frames: int = 31) -> NDArray[np.float32]:
    """The probabilities of a stream that comes ``frames`` frames at a time."""
    sound, stream = framed(detector, sound), detector.stream()
    size = frames * detector.frame
    found = [await stream.probabilities(sound[begin : begin + size]) for begin in range(0, len(sound), size)]
    return np.concatenate(found)


def hum(seconds: float, hertz: float = 50.0) -> Samples:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return sum(0.1 / n * np.sin(2 * np.pi * n * hertz * t) for n in (1, 2, 3)).astype(np.float32)  # type: ignore[union-attr]


def clicks(seconds: float) -> Samples:
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    noise = np.random.default_rng(3)
    for begin in range(8000, len(sound) - 200, 11_000):
        sound[begin : begin + 80] = noise.uniform(-0.9, 0.9, 80)
    return sound


def noise(seconds: float, level: float = 0.02) -> Samples:
    return (np.random.default_rng(4).standard_normal(round(seconds * SAMPLE_RATE)) * level).astype(np.float32)


QUIET = {
    "perfect silence": np.zeros(20 * SAMPLE_RATE, np.float32),
    "silence": samples("silence"),
    "white noise": samples("noise-white"),
    "pink noise": samples("noise-pink"),
    "brown noise": samples("noise-brown"),
    "louder noise": noise(20.0),
    "hum": hum(20.0),
    "hum at 60 hertz": hum(20.0, 60.0),
    "clicks": clicks(20.0),
}


def opens(detector: VoiceActivityDetector, probabilities: NDArray[np.float32]) -> int:
    endpointer = Endpointer(sample_rate=detector.sample_rate, frame=detector.frame, silence=0.6, max_utterance=20.0)
    return sum(type(endpointer.take(float(probability))).__name__ == "Opened" for probability in probabilities)


async def test_is_a_detector(detector: VoiceActivityDetector) -> None:
    assert isinstance(detector, VoiceActivityDetector)
    assert detector.sample_rate == SAMPLE_RATE
    assert 0.01 <= detector.frame / detector.sample_rate <= 0.1


@pytest.mark.parametrize("frames", [0, 1, 7, 31])
async def test_answers_one_probability_for_each_frame(detector: VoiceActivityDetector, frames: int) -> None:
    found = await detector.stream().probabilities(samples("en-40s")[: frames * detector.frame])
    assert found.shape == (frames,)
    assert found.dtype == np.float32
    assert np.all((found >= 0.0) & (found <= 1.0))


@pytest.mark.parametrize("name", SPOKEN)
async def test_hears_speech_where_somebody_speaks(detector: VoiceActivityDetector, name: str) -> None:
    found = await follow(detector, samples(name))
    assert np.mean(found > 0.5) > 0.5
    assert opens(detector, found) >= 1


@pytest.mark.parametrize("name", QUIET)
async def test_hears_none_where_nobody_does(detector: VoiceActivityDetector, name: str) -> None:
    assert opens(detector, await follow(detector, QUIET[name])) == 0


async def test_hears_where_speech_begins_and_ends(detector: VoiceActivityDetector) -> None:
    sentence, rest = samples("en-02"), np.zeros(2 * SAMPLE_RATE, np.float32)
    found = await follow(detector, np.concatenate([rest, sentence, rest]))
    speech = np.flatnonzero(found > 0.5) * detector.frame / detector.sample_rate
    assert 2.0 <= speech[0] <= 2.6
    assert len(sentence) / SAMPLE_RATE + 1.2 <= speech[-1] <= len(sentence) / SAMPLE_RATE + 2.2


async def test_hears_speech_after_minutes_of_noise(detector: VoiceActivityDetector) -> None:
    found = await follow(detector, np.concatenate([*[samples("noise-pink")] * 4, samples("en-02")]))
    speech = np.flatnonzero(found > 0.5) * detector.frame / detector.sample_rate
    assert len(speech) > 10
    assert speech[0] >= 119.5


@pytest.mark.parametrize("frames", [1, 3, 200])
async def test_the_size_of_the_pieces_changes_nothing(detector: VoiceActivityDetector, frames: int) -> None:
    sound = samples("en-40s")[: 8 * SAMPLE_RATE]
    assert np.allclose(await follow(detector, sound, frames), await follow(detector, sound), atol=1e-3)


async def test_streams_do_not_disturb_each_other(detector: VoiceActivityDetector) -> None:
    sounds = [framed(detector, samples(name)[: 2 * SAMPLE_RATE]) for name in ("en-02", "noise-white", "es-01")]
    alone = [await follow(detector, sound) for sound in sounds]
    streams = [detector.stream() for _ in sounds]
    together: list[list[NDArray[np.float32]]] = [[] for _ in sounds]
    size = 2 * detector.frame
    for begin in range(0, max(map(len, sounds)), size):
        found = await asyncio.gather(
            *(stream.probabilities(sound[begin : begin + size]) for stream, sound in zip(streams, sounds, strict=True))
        )
        for each, probabilities in zip(together, found, strict=True):
            each.append(probabilities)
    for expected, each in zip(alone, together, strict=True):
        assert np.allclose(np.concatenate(each), expected, atol=1e-3)


async def test_the_event_loop_goes_on_meanwhile(detector: VoiceActivityDetector) -> None:
    working = asyncio.create_task(follow(detector, samples("en-40s"), frames=10_000))
    turns = 0
    while not working.done():
        await asyncio.sleep(0)
        turns += 1
    await working
    assert turns > 10
