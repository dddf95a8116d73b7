"""What holds for Silero beside the contract."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from domain.ports.voice_activity import VoiceActivityDetector
from tests.contracts.voice_activity.test_voice_activity import follow, framed, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("name", ["en-02", "es-07", "en-40s", "noise-pink"])
@pytest.mark.parametrize("frames", [1, 31])
async def test_says_what_the_model_says_of_the_whole(detector: VoiceActivityDetector, name: str, frames: int) -> None:
    sound = framed(detector, samples(name)[: 10 * 16_000])
    expected = get_vad_model()(sound.copy()).reshape(-1)  # faster-whisper's own, all frames at once
    assert np.allclose(await follow(detector, sound, frames), expected, atol=1e-3)


async def test_hears_again_after_samples_that_are_no_numbers(detector: VoiceActivityDetector) -> None:
    broken = np.full(16_000, np.nan, np.float32)
    found = await follow(detector, np.concatenate([broken, samples("en-02")]))
    assert np.isfinite(found).all()
    assert np.mean(found[31:] > 0.5) > 0.5
