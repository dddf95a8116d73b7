"""What a training step minimises.

Timestamps are learned softly: the target is spread over neighbours (a bump of 40 ms standard deviation),
because the right instant of a word is not known to 20 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from tools.speech_models.alignment import AlignmentGuide
from tools.speech_models.model import MiniWhisper
from tools.speech_models.tokenizer import TIMESTAMPS
from tools.speech_models.windows import IGNORED, UNKNOWN, Window

LONGEST_TARGET = 447
_NEIGHBOURS = torch.arange(-6, 7)
_BUMP = functional.normalize(torch.exp(-0.5 * (_NEIGHBOURS / 2.0) ** 2), p=1, dim=0)
_TIMESTAMP_SCALE = 0.3
"""How long a decoder output is along the sinusoid of the timestamp that it means."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Windows side by side. Inputs are all tokens but the last, the others belong to the next token."""

    features: torch.Tensor
    """(B, 80, F)."""
    inputs: torch.Tensor
    """(B, L)."""
    targets: torch.Tensor
    """(B, L), ``IGNORED`` where there is none."""
    centres: torch.Tensor
    """(B, L), encoder positions, negative where unknown."""
    reaches: torch.Tensor
    """(B, L), encoder positions."""
    letters: list[list[int]]
    """For CTC, one list a window."""

    @classmethod
    def of(cls, windows: Sequence[Window], end_token: int) -> "Batch":
        """Stack windows of the same length; the tokens are filled up with the end token."""
        length = min(max(len(window.tokens) for window in windows), LONGEST_TARGET)

        def stack(rows: Sequence[Sequence[float]], filling: float, dtype: torch.dtype) -> torch.Tensor:
            return torch.tensor([[*row, *[filling] * length][:length] for row in rows], dtype=dtype)

        return cls(
            features=torch.from_numpy(np.stack([window.features for window in windows])),
            inputs=stack([window.tokens for window in windows], end_token, torch.long)[:, :-1],
            targets=stack([window.targets for window in windows], IGNORED, torch.long)[:, 1:],
            centres=stack([window.centres for window in windows], UNKNOWN, torch.float)[:, 1:],
            reaches=stack([window.reaches for window in windows], 0.0, torch.float)[:, 1:],
            letters=[window.letters for window in windows],
        )


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How much each part of the loss counts; the token loss counts 1."""

    letters: float = 0.0
    """CTC of the letter head."""
    positions: float = 0.0
    """The position head's error; needs mapped timestamps, and so does the next one."""
    timestamp_direction: float = 0.0
    """How far a timestamp's decoder output is from its sinusoid."""
    alignment: float = 0.0
    """Guided attention."""


def step_losses(
    model: MiniWhisper, guide: AlignmentGuide | None, batch: Batch, weights: LossWeights, offset: int
) -> dict[str, torch.Tensor]:
    """Run the model on a batch.

    Args:
        model: to be trained.
        guide: of the model, where ``weights.alignment`` counts.
        batch: the windows.
        weights: of the parts; a part of weight 0 is not computed.
        offset: encoder position of the windows' first frame.

    Returns:
        The weighted parts by name; their sum is to be minimised.
    """
    with torch.autocast("cpu", torch.bfloat16):
        heard = model.encode(batch.features, offset)
        embeddings = model.embeddings()
        decoded = model.decode(heard, batch.inputs, embeddings)
        kept = batch.targets != IGNORED
        decoded, targets = decoded[kept], batch.targets[kept]
        logits = model.logits(decoded, embeddings)
        letters = model.letter_head(heard) if weights.letters else None
        positions = model.position_head(heard) if weights.positions else None
    losses = {"tokens": token_loss(model, logits, targets)}
    sinusoids = model.sinusoids
    if letters is not None:
        losses["letters"] = weights.letters * letter_loss(letters.float(), batch.letters)
    if positions is not None:
        error = (positions.float() - sinusoids[offset : offset + heard.shape[1]]) ** 2
        losses["positions"] = weights.positions * error.mean() / 0.5  # a sinusoid's mean square is 0.5
    timed = _is_timestamp(model, targets)
    if weights.timestamp_direction and timed.any():
        read = functional.linear(decoded[timed].float(), model.timestamp_map.weight.T)
        wanted = _TIMESTAMP_SCALE * sinusoids[targets[timed] - model.vocabulary.first_timestamp]
        error = ((read - wanted) ** 2).mean() / (0.5 * _TIMESTAMP_SCALE**2)
        losses["timestamp_direction"] = weights.timestamp_direction * error
    if guide is not None and weights.alignment and (batch.centres >= 0).any():
        losses["alignment"] = weights.alignment * guide.loss(batch.centres, batch.reaches)
    return losses


def token_loss(model: MiniWhisper, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of N next tokens, that of timestamps softened if they are mapped.

    Args:
        model: whose vocabulary and timestamps are meant.
        logits: (N, V).
        targets: (N,).
    """
    chances = logits.log_softmax(-1)
    loss = -chances.gather(1, targets[:, None])[:, 0]
    timed = _is_timestamp(model, targets)
    if not (model.maps_timestamps and timed.any()):
        return loss.mean()
    first = model.vocabulary.first_timestamp
    near = (targets[timed, None] - first + _NEIGHBOURS).clamp(0, TIMESTAMPS - 1)
    softened = -(chances[timed].gather(1, near + first) * _BUMP).sum()
    return (loss[~timed].sum() + softened) / len(targets)


def letter_loss(scores: torch.Tensor, letters: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the CTC loss (Graves et al. 2006) of scores (B, T, letters) against what is said."""
    flat = torch.tensor([letter for row in letters for letter in row] or [1])
    lengths = torch.tensor([len(row) for row in letters])
    heard = torch.full((len(letters),), scores.shape[1])
    chances = scores.log_softmax(-1).transpose(0, 1)
    return functional.ctc_loss(chances, flat, heard, lengths, zero_infinity=True)


def _is_timestamp(model: MiniWhisper, tokens: torch.Tensor) -> torch.Tensor:
    return (tokens >= model.vocabulary.first_timestamp) & (tokens < model.vocabulary.after_timestamps)
