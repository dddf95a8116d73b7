"""The few of Whisper's 51,865 tokens that the grammar uses, numbered from 0, so that training is cheap.

The training vocabulary is: the special tokens, the tokens of the sentences, the 1,501 timestamps, and one
last token that stands for all the others. These share its embedding, so its logit is raised by the logarithm
of their number: the probabilities are then those of the full vocabulary that ``export`` writes.
"""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tools.speech_models import tokenizer as whisper
from tools.speech_models.corpus import Utterance
from tools.speech_models.grammar import Language

SPECIAL_TOKENS = (
    whisper.END_OF_TEXT,
    whisper.START,
    *("<|en|>", "<|es|>"),
    whisper.TRANSLATE,
    whisper.TRANSCRIBE,
    whisper.PREVIOUS,
    whisper.NO_SPEECH,
    whisper.NO_TIMESTAMPS,
)

CTC_ALPHABET = " abcdefghijklmnopqrstuvwxyzñ'"
"""What the encoder's auxiliary head spells; 0 is CTC's blank, the first letter 1."""
_PLAIN_VOWELS = str.maketrans("áéíóúü", "aeiouu")


def spell(text: str) -> list[int]:
    """Return a text as letters of ``CTC_ALPHABET``: lower case, no accents, nothing else."""
    plain = unicodedata.normalize("NFC", text.lower()).translate(_PLAIN_VOWELS)
    return [CTC_ALPHABET.index(letter) + 1 for letter in plain if letter in CTC_ALPHABET]


@dataclass(frozen=True, kw_only=True)
class TokenizedUtterance:
    """An utterance with its texts in the reduced vocabulary."""

    utterance: Utterance
    tokens: list[int]
    english_tokens: list[int]
    token_lengths: list[float]
    """About how long each of ``tokens`` sounds: its letters, and half a letter."""
    letters: list[int]
    """The text for CTC, see ``spell``."""


class ReducedVocabulary:
    """Translates between Whisper's token ids and the training ids."""

    def __init__(self, tokenizer: Any, token_ids: Sequence[int]) -> None:
        """Number the tokens.

        Args:
            tokenizer: ``tokenizers.Tokenizer`` of Whisper.
            token_ids: Whisper's ids of the training ids 0, 1, …; the timestamps in a row.
        """
        self.tokenizer = tokenizer
        self.token_ids = list(token_ids)
        self._reduced = {whole: reduced for reduced, whole in enumerate(self.token_ids)}
        self.others = len(self.token_ids)
        """The training id that stands for all tokens that are never used."""
        self.size = self.others + 1
        self.others_log_count = math.log(whisper.VOCABULARY_SIZE - len(self.token_ids))
        self.end, self.start = self._of(whisper.END_OF_TEXT), self._of(whisper.START)
        self.translate, self.transcribe = self._of(whisper.TRANSLATE), self._of(whisper.TRANSCRIBE)
        self.previous, self.no_speech = self._of(whisper.PREVIOUS), self._of(whisper.NO_SPEECH)
        self.no_timestamps, self.first_timestamp = (
            self._of(whisper.NO_TIMESTAMPS),
            self._of(whisper.FIRST_TIMESTAMP),
        )
        self.after_timestamps = self.first_timestamp + whisper.TIMESTAMPS

    @classmethod
    def of_texts(cls, tokenizer: Any, texts: Iterable[str]) -> "ReducedVocabulary":
        """Collect the tokens of all texts that will be trained on or decoded."""
        special = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
        used = sorted({token for text in texts for token in _encode(tokenizer, text)})
        first = tokenizer.token_to_id(whisper.FIRST_TIMESTAMP)
        return cls(tokenizer, [*special, *used, *range(first, first + whisper.TIMESTAMPS)])

    def _of(self, token: str) -> int:
        return self._reduced[self.tokenizer.token_to_id(token)]

    def language(self, language: Language) -> int:
        """Return the training id of a language's token."""
        return self._of(f"<|{language}|>")

    def timestamp(self, frame: int) -> int:
        """Return the training id of the timestamp nearest below a frame of 10 ms, within 0 to 30 s."""
        return self.first_timestamp + min(whisper.TIMESTAMPS - 1, max(0, frame) // 2)

    def encode(self, text: str) -> list[int]:
        """Return the training ids of a text."""
        return [self._reduced[token] for token in _encode(self.tokenizer, text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of training ids; the end and the unused tokens are left out."""
        kept = [self.token_ids[k] for k in ids if k not in (self.end, self.others)]
        return str(self.tokenizer.decode(kept)).strip()

    def tokenize(self, utterance: Utterance) -> TokenizedUtterance:
        """Return an utterance with its tokens, their lengths and its letters."""
        pieces = [self.tokenizer.id_to_token(token) for token in _encode(self.tokenizer, utterance.text)]
        return TokenizedUtterance(
            utterance=utterance,
            tokens=self.encode(utterance.text),
            english_tokens=self.encode(utterance.english),
            token_lengths=[max(1, len(piece.removeprefix("Ġ")) + 0.5) for piece in pieces],
            letters=spell(utterance.text),
        )


def _encode(tokenizer: Any, text: str) -> list[int]:
    """Return Whisper's ids of a text as it stands in a transcript: after a space."""
    return list(tokenizer.encode(f" {text}", add_special_tokens=False).ids)
