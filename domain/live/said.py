"""What was said in a stream so far."""

from __future__ import annotations

from typing import Final

from domain.live import events
from domain.live.hearing import Context, Heard
from domain.transcript import Segment, Transcript
from domain.words import joined

_CONTEXT: Final = 200
"""Characters of what was said before that are given to the engine."""
_SURE: Final = 0.6
"""Probability from which a detected language holds for the rest of the stream."""


class Said:
    """Collects the finals of a stream, and what they tell about what follows."""

    def __init__(self, *, language: str | None, prompt: str | None) -> None:
        """Begin with what is known before the stream.

        Args:
            language: ISO 639-1 code of the speech; ``None`` has it detected.
            prompt: Text that came before the stream.
        """
        self.context = Context(language=language, text=(prompt or "").strip())
        """What is known before the next utterance."""
        self._language = (language or "", 1.0 if language else 0.0)
        self._segments: list[Segment] = []

    def add(self, final: events.Final, heard: Heard) -> None:
        """Take the next final, and the hearing that it is from."""
        self._segments.append(Segment(start=final.start, end=final.end, text=final.text, words=final.words or None))
        if self.context.language is None:
            if heard.language_probability > self._language[1]:
                self._language = (heard.language, heard.language_probability)
            if heard.language_probability >= _SURE:
                self.context.language = heard.language
        said = joined([self.context.text, final.text])
        if len(said) > _CONTEXT:
            said = said[-_CONTEXT:]
            said = said.partition(" ")[2] or said  # begin with a whole word, in languages that part them
        self.context.text = said

    def transcript(self, *, duration: float, model: str, default_language: str) -> Transcript:
        """The whole of it.

        Args:
            duration: Seconds of sound that came.
            model: The model that heard it.
            default_language: What is answered where nothing was said in no given language.
        """
        return Transcript(
            text=joined(segment.text for segment in self._segments),
            language=self._language[0] or default_language,
            language_probability=self._language[1],
            duration=duration,
            model=model,
            segments=tuple(self._segments),
        )
