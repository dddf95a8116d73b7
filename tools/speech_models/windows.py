"""Training windows: random sentences on a stretch of up to 30 s, with the tokens that Whisper shall write.

A window looks like what faster-whisper gives to the model: it pads the *normalised* features with zeros after
the end of the audio, puts the text so far in front as a prompt, and cuts a long recording wherever 30 s are
over.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tools.speech_models.features import MEL_BINS, SILENCE, Features, normalize
from tools.speech_models.grammar import Language
from tools.speech_models.noise import Noise
from tools.speech_models.reduced_vocabulary import ReducedVocabulary, TokenizedUtterance

IGNORED = -100
"""As a target: nothing is to be learned here."""
UNKNOWN = -1.0
"""As a centre: when the token is heard is not known."""
LONGEST_PROMPT = 223
"""Tokens, as in Whisper."""
_SPACE = 1
"""The letter between two sentences, for CTC."""


@dataclass(frozen=True, kw_only=True)
class WindowStyle:
    """How often windows have which property; shares are between 0 and 1."""

    noise: Noise
    noisy: float
    """Share with background noise."""
    silent: float
    """Share in which nothing is said."""
    filled: float = 0.0
    """Share that speech fills to the end, the last sentence cut where the window ends."""
    ended: float
    """Chance, after each sentence of a window that is not filled, that it was the last."""
    delayed: float
    """Share that starts with up to 1.2 s of silence."""
    late: float = 0.0
    """Share that starts with a long silence."""
    padded: float = 0.0
    """Share whose features are zero some time after the last word."""
    prompted: float
    """Share with previous text as a prompt."""
    prompt_sentences: tuple[int, ...]
    """Lengths of prompts, drawn evenly."""
    prompt_timed: float = 0.0
    """Share of the prompts that have timestamps, as the text of a recording's last window has."""
    timed: float
    """Share with timestamps to be written."""
    translated: float = 0.25
    """Share of the Spanish windows that are to be written in English."""
    masked: float
    """Share with blanked mel bins and frames (SpecAugment, Park et al. 2019)."""


@dataclass(kw_only=True)
class Window:
    """One training example. The four lists of tokens run side by side."""

    features: Features
    """Normalised, float32 of shape (80, frames)."""
    tokens: list[int] = field(default_factory=list)
    """Training ids, from the prompt to the end of text: what the decoder reads."""
    targets: list[int] = field(default_factory=list)
    """What is to be written at each place: ``tokens`` again or ``IGNORED``."""
    centres: list[float] = field(default_factory=list)
    """When each token is heard, in encoder positions of 20 ms, or ``UNKNOWN``."""
    reaches: list[float] = field(default_factory=list)
    """Half the time in which it may be heard, in encoder positions."""
    letters: list[int] = field(default_factory=list)
    """All that is said, for CTC."""

    def write(
        self, token: int, target: int | None = None, centre: float | None = None, reach: float | None = None
    ) -> None:
        """Append a token; its target is itself unless another is given, its times are in frames of 10 ms."""
        self.tokens.append(token)
        self.targets.append(token if target is None else target)
        self.centres.append(UNKNOWN if centre is None else centre / 2)
        self.reaches.append(0.0 if reach is None else reach / 2)


@dataclass(frozen=True)
class _Placed:
    start: int
    end: int
    spoken: TokenizedUtterance


class WindowMaker:
    """Draws windows from a corpus in one style."""

    def __init__(
        self, utterances: Sequence[TokenizedUtterance], vocabulary: ReducedVocabulary, style: WindowStyle
    ) -> None:
        """Keep what windows are drawn from; each window has one language."""
        self._utterances = list(utterances)
        self._pools: dict[tuple[Language, int], list[TokenizedUtterance]] = {}
        self._vocabulary, self._style = vocabulary, style

    def _pool(self, language: Language, frames: int) -> list[TokenizedUtterance]:
        """Return the utterances of a language that fit into a window, sorted out once for each length."""
        if (language, frames) not in self._pools:
            self._pools[language, frames] = [
                spoken
                for spoken in self._utterances
                if spoken.utterance.language == language and spoken.utterance.frames <= frames
            ]
        return self._pools[language, frames]

    def draw(self, frames: int, rng: random.Random, offset: int = 0) -> Window:
        """Draw a window.

        Args:
            frames: its length in frames of 10 ms, even.
            rng: source of all choices.
            offset: encoder positions (20 ms) by which timestamps are moved: a short window may stand anywhere
                in the 30 s.

        Raises:
            IndexError: no utterance is short enough for the window.
        """
        style, vocabulary = self._style, self._vocabulary
        language = rng.choice(self._utterances).utterance.language
        pool = self._pool(language, frames)
        translate = language == "es" and rng.random() < style.translated
        raw = np.full((MEL_BINS, frames), SILENCE, np.float32)
        silent = rng.random() < style.silent
        placed, cut = ([], None) if silent else self._place(raw, pool, rng)
        if rng.random() < style.noisy:
            raw = np.maximum(raw, style.noise(frames, rng, silence=silent))
        window = Window(features=normalize(raw))
        if cut is None and rng.random() < style.padded:
            last = placed[-1].end + rng.choice((0, 1)) * rng.randrange(150) if placed else rng.randrange(20, frames)
            window.features[:, last:] = 0.0
        self._prompt(window, pool, translate, rng)
        window.write(vocabulary.start, IGNORED)
        window.write(vocabulary.language(language), vocabulary.no_speech if silent else None)
        window.write(vocabulary.translate if translate else vocabulary.transcribe, IGNORED if silent else None)
        if silent:
            window.write(vocabulary.first_timestamp)
        elif rng.random() < style.timed:
            self._write_timed(window, placed, cut, translate, offset)
        else:
            if cut is not None:  # without timestamps there is no way to say that a sentence was cut: take it away
                window.features[:, max(placed[-1].end, cut - 5) :] = 0.0
            window.write(vocabulary.no_timestamps)
            for one in placed:
                self._write_words(window, one, translate)
        window.write(vocabulary.end)
        if not silent and rng.random() < style.masked:
            _mask(window.features, rng)
        window.letters = [letter for one in placed for letter in (*one.spoken.letters, _SPACE)]
        return window

    def _place(
        self, raw: Features, pool: Sequence[TokenizedUtterance], rng: random.Random
    ) -> tuple[list[_Placed], int | None]:
        """Mix sentences into the raw features; return them, and where a last one starts that the end cuts."""
        style, frames = self._style, raw.shape[1]
        filled = rng.random() < style.filled
        placed: list[_Placed] = []
        spoken, at = rng.choice(pool), self._first_start(frames, rng)
        while at <= frames - 30 and not (placed and not filled and rng.random() < style.ended):
            end = at + spoken.utterance.frames
            if end <= frames:
                raw[:, at:end] = np.maximum(raw[:, at:end], spoken.utterance.features)
                placed.append(_Placed(at, end, spoken))
                at = end + rng.randrange(5, 130)
            elif not placed:  # the start was too late for any sentence
                at = 0
            else:
                if filled and frames - at > 40:
                    raw[:, at:] = np.maximum(raw[:, at:], spoken.utterance.features[:, : frames - at])
                    return placed, at
                break
            spoken = rng.choice(pool)
        return placed, None

    def _first_start(self, frames: int, rng: random.Random) -> int:
        """Draw the frame at which the first sentence starts."""
        kind = rng.random()
        if kind < self._style.delayed:
            return rng.randrange(120)
        return rng.randrange(max(1, frames - 400)) if kind < self._style.delayed + self._style.late else 0

    def _prompt(self, window: Window, pool: Sequence[TokenizedUtterance], translate: bool, rng: random.Random) -> None:
        """Write what was said before the window, of which nothing is to be learned."""
        style, vocabulary = self._style, self._vocabulary
        if rng.random() >= style.prompted:
            return
        timed = rng.random() < style.prompt_timed
        tokens: list[int] = []
        at = 0
        for spoken in rng.choices(pool, k=rng.choice(style.prompt_sentences)):
            end = at + spoken.utterance.frames
            text = spoken.english_tokens if translate else spoken.tokens
            if timed:
                text = [vocabulary.timestamp(at + 3), *text, vocabulary.timestamp(end - 3)]
            tokens += text
            at = end + rng.randrange(5, 130)
            at = at if at < 2990 else 0
        if timed and rng.random() < 0.3:  # the start of a sentence that the last window cut
            tokens.append(tokens[-1])
        for token in (vocabulary.previous, *tokens[-LONGEST_PROMPT:]):
            window.write(token, IGNORED)

    def _write_timed(
        self, window: Window, placed: Sequence[_Placed], cut: int | None, translate: bool, offset: int
    ) -> None:
        """Write sentences between timestamps; of a cut one its start alone: the next window begins there."""
        for one in placed:
            self._write_time(window, one.start + 3, offset)
            self._write_words(window, one, translate)
            self._write_time(window, one.end - 3, offset)
        if cut is not None:
            self._write_time(window, cut + 3, offset)

    def _write_time(self, window: Window, frame: int, offset: int) -> None:
        window.write(self._vocabulary.timestamp(frame + 2 * offset), centre=frame, reach=16)

    def _write_words(self, window: Window, one: _Placed, translate: bool) -> None:
        """Write a sentence's tokens, each heard where its letters are, if all letters last equally long."""
        length = one.end - one.start
        if translate:
            for token in one.spoken.english_tokens:
                window.write(token, centre=(one.start + one.end) / 2, reach=length / 2 + 10)
            return
        total, before = sum(one.spoken.token_lengths) + 0.5, 0.25
        for token, letters in zip(one.spoken.tokens, one.spoken.token_lengths, strict=True):
            centre = one.start + length * (before + letters / 2) / total
            window.write(token, centre=centre, reach=20 + 0.06 * length + length * letters / 2 / total)
            before += letters


def _mask(features: Features, rng: random.Random) -> None:
    """Blank two bands of mel bins and two stretches of frames with the mean."""
    mean = features.mean()
    for _ in range(2):
        low = rng.randrange(MEL_BINS - 10)
        features[low : low + rng.randrange(1, 10)] = mean
        start = rng.randrange(features.shape[1] - 40)
        features[:, start : start + rng.randrange(1, 18)] = mean
