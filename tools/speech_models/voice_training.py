"""Train a small Coqui voice on an espeak-ng voice, whose word times are known: no aligner is needed."""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from tools.speech_models.grammar import Language, sentence_in
from tools.speech_models.voice import HOP, MEL_BINS, Voice
from tools.speech_models.word_times import TimedSpeaker, character_durations

ESPEAK_VOICES: dict[Language, str] = {"en": "en-us", "es": "es"}
WORDS_PER_MINUTE = 135
BATCH_SIZE = 12
PEAK_LEARNING_RATE = 2e-3
REPORT_EVERY = 100
SAVE_EVERY = 500
"""Steps."""


@dataclass(frozen=True)
class Example:
    """One spoken sentence."""

    characters: torch.Tensor
    """Token ids, (characters,)."""
    mel: torch.Tensor
    """Coqui's normalised mel, (frames, 80)."""
    durations: torch.Tensor
    """Frames of each character, (characters,)."""


def train_voice(
    language: Language,
    minutes: float,
    directory: Path,
    *,
    sentences: int = 1800,
    width: int = 128,
    threads: int = 1,
) -> int:
    """Train a voice and write it.

    Args:
        language: of the voice.
        minutes: how long to train.
        directory: to write ``model.pth`` and ``config.json``; saved now and then on the way.
        sentences: number of different sentences of the grammar to train on.
        width: hidden channels.
        threads: of PyTorch.

    Returns:
        The number of steps.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rng = random.Random(5)
    voice = Voice(language, width)
    examples = make_examples(voice, language, sentences, rng)
    hours = sum(len(example.mel) for example in examples) * HOP / voice.config.audio.sample_rate / 3600
    print(f"{len(examples)} sentences, {hours:.2f} hours", flush=True)
    optimizer = torch.optim.AdamW(voice.model.parameters(), betas=(0.9, 0.98), weight_decay=1e-6)
    voice.model.train()
    step, began = 0, time.monotonic()
    while (progress := (time.monotonic() - began) / 60 / minutes) < 1:
        mel_loss, duration_loss = _losses(voice, rng.sample(examples, min(BATCH_SIZE, len(examples))))
        optimizer.param_groups[0]["lr"] = _learning_rate(step, progress)
        optimizer.zero_grad()
        (mel_loss + duration_loss).backward()
        torch.nn.utils.clip_grad_norm_(voice.model.parameters(), 5.0)
        optimizer.step()
        step += 1
        if step % REPORT_EVERY == 0:
            report = f"mel {mel_loss.item():.4f} durations {duration_loss.item():.4f}"
            print(f"{progress * minutes:.1f} min, step {step}: {report}", flush=True)
        if step % SAVE_EVERY == 0:
            voice.save(directory)
    voice.save(directory)
    print(f"{step} steps", flush=True)
    return step


def make_examples(voice: Voice, language: Language, count: int, rng: random.Random) -> list[Example]:
    """Speak different sentences of the grammar and measure their characters."""
    speaker = TimedSpeaker(ESPEAK_VOICES[language], WORDS_PER_MINUTE)
    examples: list[Example] = []
    seen: set[str] = set()
    while len(examples) < count:
        _, text = sentence_in(language, rng)
        if text in seen:
            continue
        seen.add(text)
        samples, words = speaker.speak(text)
        end = np.flatnonzero(np.abs(samples) > 0.004)[-1] + 900
        mel = voice.audio.melspectrogram(samples[:end] * 0.8).astype(np.float32)
        durations = character_durations(text, words, mel.shape[1], HOP)
        ids = voice.tokenizer.text_to_ids(text)
        if len(ids) != len(text):
            raise ValueError(f"the voice's characters do not cover {text!r}")
        examples.append(Example(torch.tensor(ids), torch.tensor(mel.T), torch.tensor(durations)))
    return examples


def _learning_rate(step: int, progress: float) -> float:
    """Return the rate: 200 steps of warm-up, constant until 30 % of the time, then a cosine to 2 %."""
    fall = 0.5 * (1 + math.cos(math.pi * max(0.0, progress - 0.3) / 0.7))
    return PEAK_LEARNING_RATE * min(1.0, (step + 1) / 200) * max(0.02, fall)


def _losses(voice: Voice, examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean absolute error of the mels and the smooth error of the log durations."""
    characters = _pad([example.characters for example in examples])
    mels = _pad([example.mel for example in examples])
    durations = _pad([example.durations for example in examples])
    character_counts = torch.tensor([len(example.characters) for example in examples])
    frame_counts = torch.tensor([len(example.mel) for example in examples])
    output = voice.model.forward(
        characters,
        character_counts,
        frame_counts,
        y=mels,
        dr=durations,
        aux_input={"d_vectors": None, "speaker_ids": None},
    )
    sounding = (torch.arange(mels.shape[1])[None] < frame_counts[:, None])[..., None]
    mel_loss = ((output["model_outputs"] - mels).abs() * sounding).sum() / sounding.sum() / MEL_BINS
    spoken = torch.arange(characters.shape[1])[None] < character_counts[:, None]
    wanted = torch.log(durations.float() + 1)
    errors = functional.smooth_l1_loss(output["durations_log"], wanted, reduction="none")
    return mel_loss, (errors * spoken).sum() / spoken.sum()


def _pad(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack rows of different lengths, filled up with zeros."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
