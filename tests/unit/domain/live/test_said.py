"""What was said in a stream so far."""

from __future__ import annotations

from domain.live.events import Final
from domain.live.hearing import Heard
from domain.live.said import Said


def add(said: Said, text: str, language: str = "en", probability: float = 0.9) -> None:
    final = Final(utterance=0, start=0.0, end=1.0, text=text, language=language, words=())
    said.add(final, Heard(segments=[], language=language, language_probability=probability))


def language_of(said: Said) -> tuple[str, float]:
    whole = said.transcript(duration=1.0, model="m", default_language="xx")
    return whole.language, whole.language_probability


def test_the_language_of_the_whole_is_the_one_detected_most_surely() -> None:
    said = Said(language=None, prompt=None)
    assert language_of(said) == ("xx", 0.0)
    add(said, "uno", "es", 0.4)
    add(said, "two", "en", 0.55)
    add(said, "tres", "es", 0.5)
    assert language_of(said) == ("en", 0.55)
    assert said.context.language is None


def test_a_language_that_was_given_stays() -> None:
    said = Said(language="es", prompt=None)
    assert language_of(said) == ("es", 1.0)
    add(said, "one", "es", 1.0)
    assert said.context.language == "es"


def test_the_context_begins_with_a_whole_word_and_is_bounded() -> None:
    said = Said(language=None, prompt="  A prompt.  ")
    assert said.context.text == "A prompt."
    for n in range(100):
        add(said, f"sentence{n}")
        assert len(said.context.text) <= 200
    assert said.context.text.split()[0].startswith("sentence")
    assert said.context.text.endswith("sentence99")


def test_a_language_without_spaces_has_context_too() -> None:
    said = Said(language="zh", prompt=None)
    add(said, "一" * 300)
    assert said.context.text == "一" * 200
