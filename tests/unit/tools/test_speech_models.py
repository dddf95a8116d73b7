"""The pure parts of the recipe of the test models."""

import random

import numpy as np
import pytest

from tools.speech_models.grammar import FIXED_SENTENCES, LANGUAGES, sentence, sentence_in
from tools.speech_models.lexicon import english_number, spanish_number
from tools.speech_models.scoring import normalize, word_errors
from tools.speech_models.word_times import Word, character_durations


def test_a_seed_always_gives_the_same_sentences() -> None:
    """Held-out speech is named by its seed, so the draws may never change."""
    rng = random.Random(7)
    assert [sentence(rng).en for _ in range(4)] == [
        "Open the door of the garage and close the window of the office.",
        "Set a timer for six hours.",
        "The number is nine zero eight three zero.",
        "What is the weather in Bogota on Thursday?",
    ]


def test_sentences_are_parallel() -> None:
    """Every English sentence has a Spanish one, but for the NATO alphabet; both end like sentences."""
    rng = random.Random(0)
    for _ in range(2000):
        english, spanish = sentence(rng)
        assert english[0].isupper()
        assert english[-1] in ".?"
        if spanish is not None:
            assert spanish.lstrip("¿")[0].isupper()
            assert spanish[-1] == english[-1]
        else:
            assert ", " in english


def test_a_language_is_always_found() -> None:
    """A sentence in a wanted language is drawn until there is one."""
    rng = random.Random(1)
    for language in LANGUAGES:
        for _ in range(200):
            drawn, text = sentence_in(language, rng)
            assert text == drawn.text(language)


def test_fixed_sentences_are_among_the_drawn() -> None:
    """The whole grammar is reached."""
    rng = random.Random(2)
    drawn = {sentence(rng) for _ in range(5000)}
    assert drawn.issuperset(FIXED_SENTENCES)


@pytest.mark.parametrize(
    ("number", "english", "spanish"),
    [
        (0, "zero", "cero"),
        (16, "sixteen", "dieciséis"),
        (20, "twenty", "veinte"),
        (29, "twenty nine", "veintinueve"),
        (30, "thirty", "treinta"),
        (99, "ninety nine", "noventa y nueve"),
    ],
)
def test_numbers_in_words(number: int, english: str, spanish: str) -> None:
    """Numbers are spoken as words."""
    assert (english_number(number), spanish_number(number)) == (english, spanish)


def test_words_are_compared_without_case_and_punctuation() -> None:
    """Accents count, capitals and marks do not."""
    assert normalize(" ¿Dónde está  el hospital? ") == "dónde está el hospital"
    assert normalize("Call John at ten o'clock.") == "call john at ten o'clock"


def test_word_errors_are_counted_over_all_pairs() -> None:
    """One substitution, one deletion and one insertion over six words."""
    errors = word_errors([("Turn on the light.", "turn off light"), ("Thank you.", "Thank you all")])
    assert (errors.errors, errors.words) == (3, 6)
    assert errors.rate == pytest.approx(0.5)


def test_words_heard_in_silence_are_errors() -> None:
    """Nothing was said: each word is one too many, and no rate can be given."""
    assert word_errors([("", "thank you")]).errors == 2
    assert word_errors([("", "thank you")]).rate == float("inf")
    assert word_errors([("", "")]).rate == 0.0


def test_characters_share_the_time_of_their_word() -> None:
    """The durations add up, each character has a frame, and words start when they are spoken."""
    durations = character_durations("one two.", [Word(0, 0), Word(4, 2560)], frames=30, hop=256)
    assert durations.sum() == 30
    assert durations.min() >= 1
    assert durations[:4].sum() == 10


def test_no_character_is_left_without_a_frame() -> None:
    """A word spoken in no time takes frames from the longest character."""
    durations = character_durations("a bcd", [Word(0, 0), Word(2, 0)], frames=8, hop=256)
    assert durations.sum() == 8
    assert np.all(durations >= 1)
