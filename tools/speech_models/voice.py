"""The architecture of the small Coqui voices: SpeedySpeech (Vainer & Dušek 2020), Coqui's ``ForwardTTS``.

It takes characters, without a phonemizer, and Griffin-Lim inside Coqui turns its mels into sound, so that a
voice is one checkpoint.
"""

import string
from pathlib import Path
from typing import Any

import torch
from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.speedy_speech_config import SpeedySpeechConfig
from TTS.tts.models.forward_tts import ForwardTTS, ForwardTTSArgs

from tools.speech_models.grammar import Language

SAMPLE_RATE = 22_050
"""Hertz, espeak-ng's own."""
HOP = 256
"""Samples of a frame."""
MEL_BINS = 80
_ASCII = string.ascii_uppercase + string.ascii_lowercase
LETTERS: dict[Language, str] = {"en": _ASCII, "es": _ASCII + "áéíóúñüÁÉÍÓÚÑ"}
PUNCTUATION = "!'(),-.:;? ¿¡"


def voice_config(language: Language, width: int) -> Any:
    """Return the ``SpeedySpeechConfig`` of a voice with so many hidden channels."""
    encoder = {
        "kernel_size": 4,
        "dilations": [1, 2, 4, 1, 2, 4, 1],
        "num_conv_blocks": 2,
        "num_res_blocks": 7,
    }
    decoder = {
        "kernel_size": 4,
        "dilations": [1, 2, 4, 8, 1, 2, 4, 8, 1],
        "num_conv_blocks": 2,
        "num_res_blocks": 9,
    }
    architecture = ForwardTTSArgs(
        use_pitch=False,
        use_energy=False,
        use_aligner=False,
        hidden_channels=width,
        out_channels=MEL_BINS,
        positional_encoding=True,
        detach_duration_predictor=True,
        encoder_type="residual_conv_bn",
        encoder_params=encoder,
        decoder_type="residual_conv_bn",
        decoder_params=decoder,
    )
    audio = BaseAudioConfig(
        sample_rate=SAMPLE_RATE,
        fft_size=1024,
        hop_length=HOP,
        win_length=1024,
        num_mels=MEL_BINS,
        mel_fmin=0,
        mel_fmax=8000,
        power=1.5,
        griffin_lim_iters=60,
        preemphasis=0.97,
        ref_level_db=20,
        min_level_db=-100,
        signal_norm=True,
        symmetric_norm=True,
        max_norm=4.0,
        clip_norm=True,
        do_trim_silence=False,
        do_sound_norm=False,
        stats_path=None,
        log_func="np.log10",
    )
    characters = CharactersConfig(
        characters_class="TTS.tts.utils.text.characters.Graphemes",
        pad="_",
        eos="~",
        bos="^",
        blank="#",
        characters=LETTERS[language],
        punctuations=PUNCTUATION,
    )
    return SpeedySpeechConfig(
        model_args=architecture,
        audio=audio,
        characters=characters,
        use_phonemes=False,
        add_blank=False,
        enable_eos_bos_chars=False,
        text_cleaner="no_cleaners",
        datasets=[],
        use_ssim_loss=False,
    )


class Voice:
    """An untrained Coqui voice with its tokenizer and its audio processor."""

    def __init__(self, language: Language, width: int) -> None:
        """Initialise all weights; ``width`` is that of the hidden channels."""
        self.model: Any = ForwardTTS(voice_config(language, width))
        self.config = self.model.config
        self.tokenizer, self.audio = self.model.tokenizer, self.model.ap

    def save(self, directory: Path) -> None:
        """Write ``model.pth`` (16-bit weights) and ``config.json``, which Coqui's ``Synthesizer`` reads."""
        directory.mkdir(parents=True, exist_ok=True)
        weights = {
            name: weight.half() if weight.is_floating_point() else weight
            for name, weight in self.model.state_dict().items()
        }
        torch.save({"model": weights}, directory / "model.pth")
        self.config.save_json(str(directory / "config.json"))
