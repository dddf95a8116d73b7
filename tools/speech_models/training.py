"""One training loop for all stages: it runs for a given time and keeps a checkpoint."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from tools.speech_models.alignment import AlignmentGuide
from tools.speech_models.corpus import Utterance, load_corpus
from tools.speech_models.features import MEL_BINS, SILENCE, normalize
from tools.speech_models.losses import Batch, step_losses
from tools.speech_models.model import MiniWhisper
from tools.speech_models.reduced_vocabulary import ReducedVocabulary
from tools.speech_models.scoring import WordErrors, word_errors
from tools.speech_models.stages import STAGES, Stage
from tools.speech_models.windows import WindowMaker

SAVE_EVERY = 200
REPORT_EVERY = 50
"""Steps."""


def train(
    *,
    stage: int,
    minutes: float,
    corpus: Path,
    development: Path,
    tokenizer: Path,
    start: Path | None,
    result: Path,
    width: int = 192,
    peak: float | None = None,
    threads: int = 2,
    seed: int = 0,
) -> WordErrors:
    """Train one stage.

    Args:
        stage: 1, 2 or 3.
        minutes: how long to train; the schedule is stretched to it.
        corpus: speech to train on, of ``make_corpus``.
        development: speech to judge on, with other seeds.
        tokenizer: ``tokenizer.json``.
        start: checkpoint of the stage before (or of this one, to go on); None for stage 1.
        result: checkpoint to write.
        width: of a new model, a multiple of 64.
        peak: learning rate instead of the stage's own.
        threads: of PyTorch.
        seed: of weights and windows.

    Returns:
        The errors of the trained model on the development speech.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    utterances, development_utterances = load_corpus(corpus), load_corpus(development)
    known = Tokenizer.from_file(str(tokenizer))
    if start is not None:
        model = MiniWhisper.load(start, known)
    else:
        everything = [*utterances, *development_utterances]
        texts = (text for one in everything for text in (one.text, one.english))
        model = MiniWhisper(ReducedVocabulary.of_texts(known, texts), width)
    plan = STAGES[stage]
    if peak is not None:
        plan = replace(plan, learning_rate=replace(plan.learning_rate, peak=peak))
    if plan.maps_timestamps and not model.maps_timestamps:
        model.map_timestamps()
    count = sum(weight.numel() for weight in model.parameters())
    print(f"{count / 1e6:.1f} million weights, {model.vocabulary.size} tokens", flush=True)
    steps = _run(model, plan, utterances, minutes * 60, result, random.Random(seed + stage))
    model.save(result)
    errors = judge(model, development_utterances)
    print(f"stage {stage}: {steps} steps, WER {errors.rate:.3f} on single sentences", flush=True)
    return errors


def _run(
    model: MiniWhisper,
    stage: Stage,
    utterances: Sequence[Utterance],
    seconds: float,
    result: Path,
    rng: random.Random,
) -> int:
    """Train until the time is over; return the number of steps."""
    vocabulary = model.vocabulary
    maker = WindowMaker([vocabulary.tokenize(one) for one in utterances], vocabulary, stage.style())
    guide = AlignmentGuide(model) if stage.loss_weights(0.0).alignment else None
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=stage.learning_rate.peak, betas=(0.9, 0.98), weight_decay=0.01)
    averages: dict[str, float] = {}
    step, began = 0, time.monotonic()
    while (progress := (time.monotonic() - began) / seconds) < 1:
        frames, size = stage.batch_shape(progress, rng)
        offset = _offset(frames, rng) if stage.moves_windows else 0
        batch = Batch.of([maker.draw(frames, rng, offset) for _ in range(size)], vocabulary.end)
        losses = step_losses(model, guide, batch, stage.loss_weights(progress), offset)
        optimizer.param_groups[0]["lr"] = stage.learning_rate.at(step, progress)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        step += 1
        for name, loss in losses.items():
            value = loss.item()
            averages[name] = 0.97 * averages.get(name, value) + 0.03 * value
        if step % REPORT_EVERY == 0:
            report = " ".join(f"{name} {average:.3f}" for name, average in averages.items())
            print(f"{progress * seconds / 60:.1f} min, step {step}: {report}", flush=True)
        if step % SAVE_EVERY == 0:
            model.save(result)
    return step


def _offset(frames: int, rng: random.Random) -> int:
    """Draw where in the 30 s (in encoder positions) a short window stands."""
    positions = frames // 2
    return rng.randrange(1501 - positions) if positions < 1500 and rng.random() < 0.9 else 0


def judge(model: MiniWhisper, utterances: Sequence[Utterance], frames: int = 1000, size: int = 50) -> WordErrors:
    """Decode single sentences greedily, without timestamps, and count the errors."""
    pairs: list[tuple[str, str]] = []
    model.whisper.eval()
    with torch.no_grad():
        for first in range(0, len(utterances), size):
            batch = utterances[first : first + size]
            texts = (model.vocabulary.decode(tokens) for tokens in _greedy(model, batch, frames))
            pairs += zip((one.text for one in batch), texts, strict=True)
    model.whisper.train()
    return word_errors(pairs)


def _greedy(model: MiniWhisper, utterances: Sequence[Utterance], frames: int, longest: int = 40) -> list[list[int]]:
    """Return the most likely training ids of each utterance, without the ones that start a transcript."""
    vocabulary = model.vocabulary
    features = np.full((len(utterances), MEL_BINS, frames), SILENCE, np.float32)
    for window, one in zip(features, utterances, strict=True):
        window[:, : one.frames] = one.features[:, :frames]
    heard = model.encode(torch.from_numpy(np.stack([normalize(window) for window in features])))
    embeddings = model.embeddings()
    start = [
        [vocabulary.start, vocabulary.language(one.language), vocabulary.transcribe, vocabulary.no_timestamps]
        for one in utterances
    ]
    tokens, done = torch.tensor(start), torch.zeros(len(utterances), dtype=torch.bool)
    for _ in range(longest):
        latest = model.logits(model.decode(heard, tokens, embeddings)[:, -1], embeddings).argmax(-1)
        latest[done] = vocabulary.end
        done |= latest == vocabulary.end
        tokens = torch.cat([tokens, latest[:, None]], dim=1)
        if done.all():
            break
    return [row[len(start[0]) :] for row in tokens.tolist()]
