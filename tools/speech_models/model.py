"""The small Whisper in training: OpenAI's architecture with a reduced vocabulary and three auxiliary heads.

The heads are for training alone and are left behind at export:

* the *letter head* spells what the encoder hears (CTC), which teaches the encoder before the decoder can;
* the *timestamp map* makes the embedding of each timestamp from the encoder's own sinusoid of that instant,
  so that all 1,501 timestamps learn together (``bake`` writes the result into the embedding table);
* the *position head* reads that sinusoid back from the encoder's output, so that it stays in there.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import WhisperConfig, WhisperForConditionalGeneration

from tools.speech_models.reduced_vocabulary import CTC_ALPHABET, ReducedVocabulary
from tools.speech_models.tokenizer import TIMESTAMPS

HEAD_WIDTH = 64
ENCODER_LAYERS, DECODER_LAYERS = 4, 3


def whisper_config(vocabulary_size: int, width: int, end_token: int, start_token: int) -> WhisperConfig:
    """Return the architecture: 4 + 3 layers of the given width, one head for each 64 of it."""
    return WhisperConfig(
        vocab_size=vocabulary_size,
        d_model=width,
        encoder_layers=ENCODER_LAYERS,
        decoder_layers=DECODER_LAYERS,
        encoder_attention_heads=width // HEAD_WIDTH,
        decoder_attention_heads=width // HEAD_WIDTH,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_target_positions=448,
        dropout=0.0,
        attn_implementation="sdpa",
        pad_token_id=end_token,
        bos_token_id=end_token,
        eos_token_id=end_token,
        decoder_start_token_id=start_token,
    )


def sinusoids(positions: int, width: int) -> torch.Tensor:
    """Return Whisper's encoder positions, float32 of shape (positions, width), one each 20 ms."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2).float())
    angles = torch.arange(positions)[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class MiniWhisper:
    """A Whisper model, its vocabulary and its training heads.

    Shapes: B windows, F frames of 10 ms, T = F / 2 encoder positions, L tokens, D the width, V the reduced
    vocabulary.
    """

    def __init__(self, vocabulary: ReducedVocabulary, width: int) -> None:
        """Initialise all weights; ``width`` is a multiple of 64."""
        self.vocabulary, self.width = vocabulary, width
        self.config = whisper_config(vocabulary.size, width, vocabulary.end, vocabulary.start)
        self.whisper: Any = WhisperForConditionalGeneration(self.config)
        self.letter_head = nn.Linear(width, len(CTC_ALPHABET) + 1)
        self.timestamp_map = nn.Linear(width, width)
        self.position_head = nn.Linear(width, width)
        self.sinusoids = sinusoids(TIMESTAMPS, width)
        self.maps_timestamps = False
        """Whether the timestamps' embeddings come from the map; in the first stages they are free."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield all weights, those of the heads too."""
        for module in (self.whisper, self.letter_head, self.timestamp_map, self.position_head):
            yield from module.parameters()

    def encode(self, features: torch.Tensor, offset: int = 0) -> torch.Tensor:
        """Run the encoder on windows of any length (that of transformers takes 30 s only).

        Args:
            features: (B, 80, F).
            offset: encoder position of the first frame.

        Returns:
            (B, T, D).
        """
        encoder = self.whisper.model.encoder
        hidden = functional.gelu(encoder.conv1(features))
        hidden = functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + encoder.embed_positions.weight[offset : offset + hidden.shape[1]]
        for layer in encoder.layers:
            hidden = layer(hidden, None)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        return encoder.layer_norm(hidden)

    def embeddings(self) -> torch.Tensor:
        """Return the embedding of each training token, (V, D)."""
        table = self.whisper.model.decoder.embed_tokens.weight
        if not self.maps_timestamps:
            return table
        first, after = self.vocabulary.first_timestamp, self.vocabulary.after_timestamps
        return torch.cat([table[:first], self.timestamp_map(self.sinusoids), table[after:]])

    def decode(self, heard: torch.Tensor, tokens: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Run the decoder.

        Args:
            heard: of ``encode``, (B, T, D).
            tokens: training ids, (B, L).
            embeddings: of ``embeddings``, (V, D).

        Returns:
            (B, L, D): at each place what leads to the next token.
        """
        decoder = self.whisper.model.decoder
        inputs = functional.embedding(tokens, embeddings)
        return decoder(inputs_embeds=inputs, encoder_hidden_states=heard, use_cache=False).last_hidden_state

    def logits(self, decoded: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the scores of the next token, float32 (…, V); the last one counts for all unused tokens."""
        scores = functional.linear(decoded, embeddings.to(decoded.dtype)).float()
        return torch.cat([scores[..., :-1], scores[..., -1:] + self.vocabulary.others_log_count], dim=-1)

    def map_timestamps(self, trusted: int = 500) -> None:
        """Make the timestamps' embeddings a linear map of sinusoids, fitted to the free ones so far.

        Args:
            trusted: number of timestamps to fit (ridge regression): those of the first seconds, which the
                short windows of the first stages have trained.
        """
        first = self.vocabulary.first_timestamp
        with torch.no_grad():
            learned = self.whisper.model.decoder.embed_tokens.weight[first : first + trusted]
            inputs = torch.cat([self.sinusoids[:trusted], torch.ones(trusted, 1)], dim=1)
            ridge = 3.0 * torch.eye(self.width + 1)
            ridge[-1, -1] = 1e-3
            solution = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ learned)
            self.timestamp_map.weight.copy_(solution[:-1].T)
            self.timestamp_map.bias.copy_(solution[-1])
        self.maps_timestamps = True

    def bake(self) -> dict[str, torch.Tensor]:
        """Return the Whisper weights with the mapped timestamps written into the embedding table."""
        with torch.no_grad():
            weights = {name: weight.clone() for name, weight in self.whisper.state_dict().items()}
            weights["model.decoder.embed_tokens.weight"] = self.embeddings().clone()
            weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"]
        return weights

    def save(self, path: Path) -> None:
        """Write a checkpoint, which ``load`` and ``export`` read."""
        checkpoint = {
            "whisper": self.bake(),
            "letter_head": self.letter_head.state_dict(),
            "timestamp_map": self.timestamp_map.state_dict() if self.maps_timestamps else None,
            "position_head": self.position_head.state_dict(),
            "token_ids": self.vocabulary.token_ids,
            "width": self.width,
        }
        torch.save(checkpoint, path)

    @classmethod
    def load(cls, path: Path, tokenizer: Any) -> "MiniWhisper":
        """Read a checkpoint, with the vocabulary that it was trained with."""
        checkpoint = torch.load(path)
        model = cls(ReducedVocabulary(tokenizer, checkpoint["token_ids"]), checkpoint["width"])
        model.whisper.load_state_dict(checkpoint["whisper"])
        model.letter_head.load_state_dict(checkpoint["letter_head"])
        model.position_head.load_state_dict(checkpoint["position_head"])
        if checkpoint["timestamp_map"] is not None:
            model.timestamp_map.load_state_dict(checkpoint["timestamp_map"])
            model.maps_timestamps = True
        return model
