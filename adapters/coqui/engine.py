"""One Coqui model with its vocoder, loaded: a sentence in, samples out.

Imports ``TTS`` and ``torch``, so only what opens the adapter imports this.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any, Final

import numpy as np

from adapters.coqui.catalogue import ModelFiles
from domain.audio import Samples
from domain.errors import ConfigurationInvalid, EngineFailed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # invalid escape sequences in pysbd's source
    import torch
    from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES, Synthesizer

_SHORT: Final = 32
"""Tokens under which a sentence may be filled up with full stops: convolutions fail on less than their kernel."""
_LONGEST_STEP: Final = 0.25
"""Seconds of sound for a token at most: several times what speech takes, so that only run-away decoding reaches it."""
_PLAINER: Final = {"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "…": "..."}
"""What to say for a typographic character that the model lacks."""
_WARM_UP: Final = "Uno, dos, tres. One, two, three."


def silence() -> None:
    """Turn Coqui's logging off for good: it logs the texts, at several levels and from many modules."""
    logger = logging.getLogger("TTS")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())


def set_threads(threads: int | None) -> None:
    """Let torch compute with so many threads on the CPU, in the whole process; ``None`` leaves it as it is."""
    if threads is not None:
        torch.set_num_threads(threads)


def choose_device(wanted: str) -> str:
    """``cpu`` or ``cuda``, for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigurationInvalid: ``cuda`` is wanted and torch sees none.
    """
    seen = torch.cuda.is_available()
    if wanted == "cuda" and not seen:
        raise ConfigurationInvalid("device is 'cuda', but torch sees no CUDA device; set it to 'auto' or 'cpu'")
    return "cuda" if seen and wanted in {"auto", "cuda"} else "cpu"


class Engine:
    """One loaded copy of a model. Not for two threads at once: decoders keep their state in attributes."""

    def __init__(self, model: ModelFiles, vocoder: ModelFiles | None, device: str) -> None:
        self._synthesizer: Any = Synthesizer(
            tts_checkpoint=model.checkpoint,
            tts_config_path=model.config,
            vocoder_checkpoint=vocoder and vocoder.checkpoint,
            vocoder_config=vocoder and vocoder.config,
            use_cuda=device == "cuda",
        )
        self.sample_rate = int(self._synthesizer.output_sample_rate)
        self._tokenizer: Any = getattr(self._synthesizer.tts_model, "tokenizer", None)
        decoder = getattr(self._synthesizer.tts_model, "decoder", None)
        self._most_steps: int | None = getattr(decoder, "max_decoder_steps", None)
        self._plainer = str.maketrans({c: plain for c, plain in _PLAINER.items() if self._lacks(c)})

    @property
    def speakers(self) -> frozenset[str]:
        """Names of the model's speakers; empty where it has one voice only."""
        speakers = getattr(self._synthesizer.tts_model, "speaker_manager", None)
        names = {*getattr(speakers, "name_to_id", ()), *getattr(speakers, "embedding_names", ())}
        return frozenset(names) if len(names) > 1 else frozenset()

    def warm_up(self, language: str, speaker: str | None) -> None:
        """Speak once, unheard: librosa compiles its Griffin-Lim then, CUDA chooses its kernels."""
        self.speak(_WARM_UP, language, speaker)

    def speak(self, sentence: str, language: str, speaker: str | None) -> Samples | None:
        """The sound of one sentence at ``sample_rate``, or ``None`` where the model knows none of its letters.

        Raises:
            EngineFailed: the model broke.
        """
        try:
            with torch.inference_mode():
                return self._speak(sentence, language, speaker)
        except Exception as err:
            raise EngineFailed("the Coqui model failed on a sentence") from err

    def _speak(self, sentence: str, language: str, speaker: str | None) -> Samples | None:
        names = getattr(self._synthesizer.tts_model.language_manager, "language_names", ())
        several = len(names) > 1
        sentence = sentence.translate(self._plainer)
        tokens = self._tokens(sentence, language if several else next(iter(names), None))
        if not any(len(token) == 1 and token.isalnum() for token in tokens):
            return None

        def run(text: str) -> list[float]:
            self._bound_decoder(len(tokens))
            sound: list[float] = self._synthesizer.tts(
                text,
                speaker_name=speaker,
                language_name=language if several else None,
                split_sentences=False,
            )
            return sound[:-PAD_SILENCE_SAMPLES]

        try:
            sound = run(sentence)
        except RuntimeError:
            if len(tokens) >= _SHORT:
                raise
            sound = run(sentence + "." * (_SHORT - len(tokens)))
        samples = np.asarray(sound, dtype=np.float32)
        return samples / max(1.0, float(np.abs(samples).max(initial=0.0)))

    def _tokens(self, sentence: str, language: str | None) -> list[str]:
        """The characters or phonemes that the tokenizer knows of the sentence; it drops the others."""
        if not hasattr(self._tokenizer, "characters"):
            return list(sentence)
        characters = self._tokenizer.characters
        return [characters.id_to_char(i) for i in self._tokenizer.text_to_ids(sentence, language)]

    def _bound_decoder(self, tokens: int) -> None:
        """Let a Tacotron decode no longer than the sentence can take, where its configuration allows more."""
        model = self._synthesizer.tts_model
        if self._most_steps is not None:
            seconds = 3.0 + _LONGEST_STEP * tokens
            steps = seconds * model.ap.sample_rate / model.ap.hop_length / model.decoder.r
            model.decoder.max_decoder_steps = min(self._most_steps, round(steps))

    def _lacks(self, character: str) -> bool:
        try:
            self._tokenizer.characters.char_to_id(character)
        except (KeyError, AttributeError):
            return True
        return False
