"""LocalAgreement-2: which words of a growing transcript stand."""

from __future__ import annotations

import pytest

from domain.live.agreement import Agreement, common_words, continuation
from domain.words import normalized


def following(*hypotheses: str, speaking: bool = True) -> Agreement:
    agreement = Agreement()
    for hypothesis in hypotheses:
        agreement.hear(hypothesis.split(), speaking=speaking)
    return agreement


def test_case_and_punctuation_do_not_make_another_word() -> None:
    assert normalized("Café,") == normalized("café") == "café"
    assert common_words("Hello, World.".split(), "hello world again".split()) == 2
    assert common_words("a b".split(), "b a".split()) == 0


def test_one_hypothesis_confirms_nothing() -> None:
    agreement = following("the train leaves")
    assert agreement.standing == []
    assert agreement.unstable == ["the", "train", "leaves"]


def test_two_that_agree_confirm_their_common_beginning() -> None:
    # The example of Macháček, Dabre, Bojar 2023, figure 1: the longest common prefix of consecutive hypotheses.
    agreement = following("the train loves at", "the train leaves at seven")
    assert agreement.standing == ["the", "train"]
    assert agreement.unstable == ["leaves", "at", "seven"]


def test_the_last_word_waits_while_somebody_speaks() -> None:
    assert following("the train", "the train").standing == ["the"]
    assert following("the train", "the train", speaking=False).standing == ["the", "train"]


def test_what_models_guess_alike_beyond_the_sound_does_not_stand() -> None:
    agreement = Agreement()
    agreement.hear("thank you for watching".split(), speaking=True)
    agreement.hear("thank you for watching today".split(), speaking=True, heard_twice=2)
    assert agreement.standing == ["thank", "you"]


def test_words_stand_as_they_were_written_when_they_came_to_stand() -> None:
    agreement = following("Hello World again", "hello, world again now", "HELLO WORLD AGAIN NOW THEN")
    assert agreement.standing == ["hello,", "world", "again", "NOW"]


def test_a_hypothesis_that_denies_what_stands_confirms_nothing() -> None:
    agreement = following("a b c", "a b c d", "x b c d e", "x b c d e f")
    assert agreement.standing == ["a", "b", "c"]


def test_after_a_doubt_it_goes_on_where_it_stood() -> None:
    agreement = following("a b c", "a b c d", "x y", "a b c d e", "a b c d e f")
    assert agreement.standing == ["a", "b", "c", "d", "e"]


def test_an_empty_hypothesis_takes_nothing_back() -> None:
    agreement = following("a b c", "a b c d", "")
    assert agreement.standing == ["a", "b", "c"]
    assert agreement.unstable == []


def test_words_that_the_window_no_longer_holds_are_handed_over_and_the_rest_goes_on() -> None:
    agreement = following("a b c d", "a b c d e")
    assert agreement.drop(2) == ["a", "b"]
    assert agreement.standing == ["c", "d"]
    agreement.hear("c d e f".split(), speaking=True)
    assert agreement.standing == ["c", "d", "e"]


@pytest.mark.parametrize(
    ("standing", "heard", "rest"),
    [
        ("", "a b c", "a b c"),
        ("a b", "a b c", "c"),
        ("A, b.", "a b c", "c"),
        ("a b", "a x c", "c"),  # heard otherwise: replaced
        ("a b c", "a c d", "d"),  # not heard again
        ("a c", "a b c d", "d"),  # heard in between
        ("a b", "", ""),
        ("a a", "a a a", "a"),
        ("a b c d", "x y z w v", "v"),
    ],
)
def test_the_rest_begins_after_the_words_that_are_most_like_those_that_stand(
    standing: str, heard: str, rest: str
) -> None:
    words = heard.split()
    assert words[continuation(standing.split(), words) :] == rest.split()
