"""Guided cross-attention: some decoder heads learn to look at the time at which each token is heard.

faster-whisper aligns words by the attention of such heads (dynamic time warping); here they are trained on
purpose, after Tachibana et al. 2018, "Efficiently trainable text-to-speech system based on deep convolutional
networks with guided attention", with the known times instead of a diagonal.
"""

from typing import Any

import torch

from tools.speech_models.model import HEAD_WIDTH, MiniWhisper

ALIGNMENT_HEADS = ((1, 0), (1, 1), (2, 0))
"""Decoder layer and head; export writes them into the model's configuration."""


def alignment_heads(heads: int) -> list[tuple[int, int]]:
    """Return the alignment heads of a model with so many heads in a layer."""
    return [(layer, head) for layer, head in ALIGNMENT_HEADS if head < heads]


class AlignmentGuide:
    """Listens to the queries and keys of the alignment heads and scores where they look."""

    def __init__(self, model: MiniWhisper) -> None:
        """Hook into the model's cross-attention; what is captured is that of its last run."""
        self._heads = alignment_heads(model.width // HEAD_WIDTH)
        self._captured: dict[tuple[int, str], Any] = {}
        for layer in {layer for layer, _ in self._heads}:
            attention = model.whisper.model.decoder.layers[layer].encoder_attn
            attention.q_proj.register_forward_hook(self._capture(layer, "query"))
            attention.k_proj.register_forward_hook(self._capture(layer, "key"))

    def _capture(self, layer: int, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: torch.Tensor) -> None:
            self._captured[layer, name] = output

        return hook

    def loss(self, centres: torch.Tensor, reaches: torch.Tensor) -> torch.Tensor:
        """Return minus the log of the attention near the right time, averaged over tokens and heads.

        Args:
            centres: when the token after each input is heard, in encoder positions, (B, L); negative:
                unknown.
            reaches: half the allowed time, in encoder positions, (B, L).
        """
        window, place = (centres >= 0).nonzero(as_tuple=True)
        centre, reach = centres[window, place, None], reaches[window, place, None].clamp_min(2)
        total = torch.zeros(())
        for layer, head in self._heads:
            part = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
            query = self._captured[layer, "query"].float()[window, place][:, part] * HEAD_WIDTH**-0.5
            key = self._captured[layer, "key"].float()[:, :, part]
            scores = torch.cat([query[window == one] @ key[one].T for one in range(len(centres))])
            positions = torch.arange(scores.shape[1])[None]
            near = (positions - centre).abs() <= reach
            mass = scores.log_softmax(-1).masked_fill(~near, -30.0).logsumexp(-1)
            total = total - mass.clamp(min=-15).mean()
        return total / len(self._heads)
