"""Builds Tacotron2-DDC models and vocoders with random weights from Coqui's own configurations.

They take the way of production's default models: HiFi-GAN in a checkpoint of the old layout, MelGAN in one of the new.
Import ``adapters.coqui.engine`` first: it imports ``TTS`` without its warnings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.tacotron2_config import Tacotron2Config
from TTS.tts.models import setup_model
from TTS.vocoder.configs import FullbandMelganConfig, HifiganConfig
from TTS.vocoder.models import setup_model as setup_vocoder

LETTERS = "abcdefghijklmnopqrstuvwxyzáéíóúüñ"
SAMPLE_RATE = 16_000
MAX_STEPS = 20


def build(root: Path) -> None:
    """Write ``tacotron2-en``, ``tacotron2-es``, ``hifigan`` and ``melgan`` under ``root``."""
    for language in ("en", "es"):
        _tacotron2(root / f"tacotron2-{language}", language)
    _hifigan(root / "hifigan")
    _melgan(root / "melgan")


def _audio() -> BaseAudioConfig:
    return BaseAudioConfig(
        sample_rate=SAMPLE_RATE, fft_size=1024, hop_length=256, win_length=1024, num_mels=80, mel_fmin=0, mel_fmax=8000
    )


def _tacotron2(directory: Path, language: str) -> None:
    config = Tacotron2Config(
        audio=_audio(),
        characters=CharactersConfig(
            characters_class="TTS.tts.utils.text.characters.Graphemes",
            pad="_",
            eos="~",
            bos="^",
            blank="#",
            characters=LETTERS,
            punctuations="!'(),-.:;? ¿¡",
        ),
        phoneme_language=language,
        text_cleaner="multilingual_cleaners",
        double_decoder_consistency=True,
        ddc_r=6,
        r=2,
        max_decoder_steps=MAX_STEPS,
    )
    torch.manual_seed(7)
    weights = setup_model(config).state_dict()
    # Untrained, it would stop anywhere; so it speaks for MAX_STEPS.
    weights["decoder.stopnet.1.linear_layer.bias"].fill_(-20)
    _save(directory, {"model": {k: w.half() if w.is_floating_point() else w for k, w in weights.items()}}, config)


def _hifigan(directory: Path) -> None:
    config = HifiganConfig(audio=_audio())
    config.generator_model_params["upsample_initial_channel"] = 32
    torch.manual_seed(7)
    _save(directory, {"model": setup_vocoder(config).model_g.state_dict(), "model_disc": {}}, config)


def _melgan(directory: Path) -> None:
    config = FullbandMelganConfig(audio=_audio())
    torch.manual_seed(7)
    _save(directory, {"model": setup_vocoder(config).state_dict()}, config)


def _save(directory: Path, state: dict[str, Any], config: Any) -> None:
    directory.mkdir(parents=True)
    torch.save(state, directory / "model.pth")
    config.save_json(directory / "config.json")
